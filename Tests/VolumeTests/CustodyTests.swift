import Auditor
import Disk
import Network
import Node
import Primitives
import Proofs
import SQLite
import Sealing
import Synchronization
import Testing
import Transport
import Volume

/// What becomes of shards over months, in seconds: epochs last one, waits two.
@Suite(.serialized)
struct CustodyTests {
    @Test func whatIsPlacedIsProvedAndReceiptsShowIt() throws {
        try CustodyFixture.with(providers: 6) { fixture in
            try fixture.open { engine in
                let files = try engine.placeFiles(2, bytes: 2_000_000, seed: 1)
                let ino = try #require(files.keys.min())
                try engine.waitUntilProved(files)
                let text = try engine.state(of: ino)
                #expect(Timestamp(text: String(text.dropFirst("proved ".count))) != nil)
                let dirty = try engine.makeFile("new")
                try engine.write([1], at: 0, to: dirty)
                #expect(try engine.state(of: dirty) == "local")

                let results = try engine.auditNow(leaves: 8)
                #expect(results.count == 6)
                #expect(results.allSatisfy { $0.verdict == .ok })
                #expect(results.allSatisfy { $0.proofBytes > 8 * 1024 })
                let receipts = try engine.receipts(limit: 10, provider: nil)
                #expect(receipts.count == 10)
                #expect(receipts.map(\.answered) == receipts.map(\.answered).sorted())
                let some = try #require(results.first?.provider)
                let prefix = String(some.hex.prefix(10))
                let own = try engine.receipts(limit: 100, provider: prefix)
                #expect(!own.isEmpty && own.allSatisfy { $0.provider == some })
                #expect(throws: FileSystemError.self) {
                    _ = try engine.receipts(limit: 1, provider: "zz")
                }
                for order in try engine.orders(ofProvider: nil) {
                    let bytes = try engine.receiptFile(of: order.id).encoded()
                    let keepers = fixture.file.keepers.map(\.publicKey)
                    let file = try ReceiptFile(parsing: bytes)
                    let summary = try file.verify(trusting: keepers)
                    #expect(summary.provider == order.terms.provider)
                }
                try waitUntil { engine.status().custody?.lastProofOfAll != nil }
                let custody = try #require(engine.status().custody)
                #expect(custody.epochSeconds == 1)
                #expect(custody.providers.allSatisfy { $0.shards == 2 && $0.lastVerdict == .ok })
            }
        }
    }

    @Test func shardsOfALostProviderAreRebuiltAtOthers() throws {
        try CustodyFixture.with { fixture in
            try fixture.open { engine in
                let files = try engine.placeFiles(3, bytes: 3_000_000, seed: 2)
                try engine.waitUntilProved(files)
                let lost = try #require(try fixture.busiest(3).first)
                let shards = try fixture.shardCount(of: lost)
                try fixture.destroyProvider(lost)
                try waitUntil { engine.repairsDone >= shards && engine.isWhole }
                // Two more may go now.
                for id in try fixture.busiest(2) { fixture.stopProvider(id) }
                try engine.expect(files)
            }
        }
    }

    @Test func aProviderThatLostItsShardsGetsThemAgain() throws {
        try CustodyFixture.with(providers: 6) { fixture in
            try fixture.open { engine in
                let files = try engine.placeFiles(2, bytes: 2_000_000, seed: 3)
                try engine.waitUntilProved(files)
                let id = fixture.ids[2]
                let before = try fixture.shardCount(of: id)
                fixture.stopProvider(id)
                // A disk is replaced; the key was kept elsewhere.
                let path = fixture.path(ofProvider: 2)
                let key = try WholeFile.read(path + "/identity", limit: 1024)
                try Directory.remove(tree: path)
                try Directory.make(path)
                try WholeFile.create(path + "/identity", with: key, permissions: 0o600)
                try #require(try fixture.startProvider(2) == id)
                try waitUntil { try fixture.shardCount(of: id) == before && engine.isWhole }
                for id in fixture.ids where id != fixture.ids[2] {
                    guard fixture.providers.count > 4 else { break }
                    fixture.stopProvider(id)
                }
                try engine.expect(files)
            }
        }
    }

    @Test func aLeavingProviderIsEmptied() throws {
        try CustodyFixture.with { fixture in
            try fixture.open { engine in
                let files = try engine.placeFiles(3, bytes: 2_000_000, seed: 4)
                try engine.waitUntilProved(files)
                let id = try #require(try fixture.busiest(1).first)
                try fixture.leave(id)
                try waitUntil { try fixture.shardCount(of: id) == 0 }
                #expect(engine.status().degradedReads == 0)
                // It gets nothing new either.
                let more = try engine.placeFiles(3, bytes: 1_000_000, seed: 5)
                #expect(try fixture.shardCount(of: id) == 0)
                fixture.stopProvider(id)
                try engine.expect(files.merging(more) { first, _ in first })
            }
        }
    }

    @Test func deletedFilesAreTakenOutOfOrdersAndTheirSpaceIsGivenBack() throws {
        try CustodyFixture.with(providers: 6) { fixture in
            try fixture.open { engine in
                let files = try engine.placeFiles(2, bytes: 2_000_000, seed: 6)
                try engine.waitUntilProved(files)
                #expect(fixture.shardCount == 12)
                try engine.unlink(EntryName(Array("6-0".utf8)), in: .root)
                try waitUntil { fixture.shardCount == 6 }
                try waitUntil {
                    engine.status().custody?.providers.allSatisfy { $0.shards == 1 } ?? false
                }
                // Never was anybody asked for what was deleted.
                let results = try engine.auditNow(leaves: 64)
                #expect(results.allSatisfy { $0.verdict == .ok })
                let receipts = try engine.receipts(limit: 4096, provider: nil)
                #expect(receipts.allSatisfy { !$0.verdict.isAccusation })
            }
        }
    }

    @Test(arguments: [true, false])
    func ordersAreCompletedAfterACrash(losingTheBook: Bool) throws {
        try CustodyFixture.with(providers: 6) { fixture in
            var files: [InodeNumber: [UInt8]] = [:]
            let image = fixture.directory + "/image"
            // Placed, but not under order yet.
            let lazy = { (configuration: inout VolumeConfiguration) in
                configuration.custody?.rates.amendInterval = .seconds(3600)
                configuration.custody?.rates.audits = false
                configuration.custody?.rates.repairs = false
            }
            try fixture.open(lazy) { engine in
                files = try engine.placeFiles(2, bytes: 2_000_000, seed: 7)
                try Directory.make(image + "/cache")
                var names = ["volume.db", "volume.db-wal", "volume.db.cache-id", "cache/id"]
                if !losingTheBook { names += ["audit.db", "audit.db-wal"] }
                for name in names {
                    let bytes = try WholeFile.read(fixture.directory + "/" + name, limit: 64 << 20)
                    try WholeFile.create(image + "/" + name, with: bytes)
                }
                let killed = { (configuration: inout VolumeConfiguration) in
                    configuration.metadataPath = image + "/volume.db"
                    configuration.cacheDirectory = image + "/cache"
                    configuration.custody?.databasePath = image + "/audit.db"
                }
                try fixture.open(killed) { again in
                    try again.waitUntilProved(files)
                    try again.expect(files)
                }
            }
        }
    }

    @Test func whatTheKeeperRepairedMeanwhileIsTakenOver() throws {
        try CustodyFixture.with { fixture in
            var files: [InodeNumber: [UInt8]] = [:]
            try fixture.open { engine in
                files = try engine.placeFiles(3, bytes: 2_000_000, seed: 8)
                try waitUntil { !engine.status().delegatedTo.isEmpty }
            }
            let lost = try #require(try fixture.busiest(1).first)
            let shards = try fixture.shardCount(of: lost)
            try fixture.destroyProvider(lost)
            let volume = fixture.configuration.id
            let owner = fixture.identity.publicKey.nodeID
            try waitUntil {
                let status = fixture.keeper.custodyStatus(of: volume, owner: owner)
                return status?.repairsDone ?? 0 >= shards
            }
            let total = fixture.shardCount
            // The owner repairs nothing itself.
            let idle = { (configuration: inout VolumeConfiguration) -> Void in
                configuration.custody?.rates.repairs = false
            }
            try fixture.open(idle) { engine in
                try waitUntil { !engine.status().delegatedTo.isEmpty }
                try waitUntil { engine.isWhole }
                for id in try fixture.busiest(2) { fixture.stopProvider(id) }
                try engine.expect(files)
                #expect(engine.repairsDone == 0)
            }
            #expect(total >= 18)
        }
    }

    @Test func repairsAreTakenOverOnceAndStrayCopiesDeleted() throws {
        try CustodyFixture.with(providers: 7) { fixture in
            let network = try fixture.network()
            defer { network.close() }
            var files: [InodeNumber: [UInt8]] = [:]
            try fixture.open { engine in
                files = try engine.placeFiles(1, bytes: 400_000, seed: 11)
                try engine.waitUntilProved(files)
            }
            let stripe = try fixture.onlyStripe()
            let spare = try #require(
                fixture.ids.first { id in
                    !stripe.shards.contains { $0.provider == id }
                }
            )
            // The keeper has brought one shard to the provider that had none, and another one of a
            // stripe that is gone.
            let moved = stripe.shards[3]
            let bytes = try network.get(
                moved.shard,
                from: moved.provider,
                offset: 0,
                count: Int(stripe.shardBytes)
            ).wait(for: .seconds(30))
            let book = try fixture.bookOfOrders(over: network)
            try book.ensureOrder(with: spare)
            func put(_ shard: ShardID) throws {
                let root = bytes.withUnsafeBytes { MerkleTree.root(of: $0) }
                try bytes.withUnsafeBytes {
                    network.put(shard, to: spare, bytes: $0, root: root)
                }.wait(for: .seconds(30))
            }
            try put(moved.shard)
            let stray = try #require(ShardID(bytes: SecureRandom.bytes(16)))
            try put(stray)
            #expect(try fixture.shardCount(of: spare) == 2)
            func repair(_ number: UInt64, _ id: StripeID, _ shard: ShardID) -> RepairRecord {
                RepairRecord(
                    number: number,
                    stripe: id,
                    index: 3,
                    shard: shard,
                    from: moved.provider,
                    to: spare,
                    at: Clock.now()
                )
            }
            let gone = try #require(StripeID(bytes: SecureRandom.bytes(16)))
            let base: UInt64 = 1 << 60
            let told = ToldRepairs(
                network,
                [repair(base + 5, stripe.id, moved.shard), repair(base + 9, gone, stray)]
            )
            for _ in 0..<2 {
                try fixture.open(over: told) { engine in
                    try waitUntil { try fixture.shardCount(of: spare) == 1 }
                    try waitUntil { try fixture.shardCount(of: moved.provider) == 0 }
                    try waitUntil { !engine.status().delegatedTo.isEmpty }
                    try engine.waitUntilProved(files)
                    try engine.expect(files)
                    #expect(engine.status().degradedReads == 0)
                }
                let holder = try fixture.onlyStripe().shards[3].provider
                #expect(holder == spare)
            }
            #expect(told.asked.withLock { $0.filter { $0 < base + 9 }.count } == 1)
        }
    }

    @Test func whatALostMachinePutAndNeverToldOfIsGivenBack() throws {
        try CustodyFixture.with(code: "2+1", providers: 3) { fixture in
            try fixture.open { engine in
                let files = try engine.placeFiles(1, bytes: 100_000, seed: 1)
                try waitUntil {
                    try fixture.ids.allSatisfy { try fixture.status(of: $0).orderCount == 1 }
                }
                let before = fixture.shardCount
                // One that the lost machine put for this volume, and one that another machine of
                // the same owner puts just now for its own.
                let other = try #require(VolumeID(bytes: SecureRandom.bytes(16)))
                let lost = ShardNames.newID(of: fixture.configuration.id)
                let others = ShardNames.newID(of: other)
                let bytes = [UInt8](repeating: 7, count: 4096)
                let root = bytes.withUnsafeBytes { MerkleTree.root(of: $0) }
                let network = try fixture.network()
                defer { network.close() }
                for shard in [lost, others] {
                    try bytes.withUnsafeBytes { bytes in
                        try network.put(shard, to: fixture.ids[0], bytes: bytes, root: root)
                            .wait(for: .seconds(60))
                    }
                }
                #expect(fixture.shardCount == before + 2)
                _ = try engine.collectGarbage()
                #expect(fixture.shardCount == before + 1)
                #expect(
                    try network.get(others, from: fixture.ids[0], offset: 0, count: 4096)
                        .wait(for: .seconds(60)) == bytes
                )
                try engine.expect(files)
            }
        }
    }

    @Test func aVolumeThatIsNotDelegatedIsTakenBack() throws {
        try CustodyFixture.with(providers: 6) { fixture in
            let volume = fixture.configuration.id
            let network = try fixture.network()
            defer { network.close() }
            func isKnown() -> Bool {
                (try? network.ask(HoldVolume(volume: volume)).wait(for: .seconds(30))) != nil
            }
            try fixture.open { engine in
                try waitUntil { !engine.status().delegatedTo.isEmpty }
            }
            #expect(isKnown())
            let alone = { (configuration: inout VolumeConfiguration) -> Void in
                configuration.custody?.delegates = false
            }
            try fixture.open(alone) { engine in
                try waitUntil { !isKnown() }
                #expect(engine.status().delegatedTo.isEmpty)
                #expect(engine.status().delegationError == nil)
            }
        }
    }

    @Test func theKeeperIsToldOfStripesThatComeAndGo() throws {
        try CustodyFixture.with(providers: 6) { fixture in
            let volume = fixture.configuration.id
            let network = try fixture.network()
            defer { network.close() }
            func digests() throws -> BucketDigests {
                try network.ask(HoldVolume(volume: volume)).wait(for: .seconds(30)).digests
            }
            try fixture.open { engine in
                try waitUntil { !engine.status().delegatedTo.isEmpty }
                #expect(try digests() == BucketDigests())
                _ = try engine.placeFiles(1, bytes: 100_000, seed: 9)
                try waitUntil { try digests() != BucketDigests() }
                try engine.unlink(EntryName(Array("9-0".utf8)), in: .root)
                try waitUntil { try digests() == BucketDigests() }
                // The last changes are told at the end.
                _ = try engine.placeFiles(1, bytes: 100_000, seed: 10)
            }
            #expect(try digests() != BucketDigests())
        }
    }
}

extension CustodyFixture {
    /// The one stripe of the volume as the database has it, of a volume that is not open.
    func onlyStripe() throws -> StripeManifest {
        let database = try Database(path: configuration.metadataPath)
        let found = try database.query("SELECT id, shard_bytes FROM stripe WHERE state = 2") {
            ($0.blob(0), $0.integer(1))
        }
        try #require(found.count == 1)
        let id = try #require(StripeID(bytes: found[0].0))
        let shards = try database.query(
            "SELECT idx, shard, provider, root FROM shard WHERE stripe = ? ORDER BY idx",
            .blob(id.bytes)
        ) { ($0.integer(0), $0.blob(1), $0.blob(2), $0.blob(3)) }
        return StripeManifest(
            id: id,
            code: configuration.code,
            shardBytes: UInt32(found[0].1),
            shards: try shards.map { index, shard, provider, root in
                ShardHolding(
                    index: UInt8(index),
                    shard: try #require(ShardID(bytes: shard)),
                    provider: try #require(NodeID(bytes: provider)),
                    root: try #require(Digest(bytes: root))
                )
            }
        )
    }

    /// Another book of the same volume's orders.
    func bookOfOrders(over network: any StorageNetwork) throws -> OrderBook {
        try OrderBook(
            path: directory + "/other.db",
            identity: CustodyIdentity(
                volume: configuration.id,
                ownerKey: identity.publicKey,
                signer: identity,
                repairKey: configuration.key.repairKey,
                keepers: file.keepers.map(\.publicKey)
            ),
            network: network,
            logger: logger
        )
    }

    /// Running providers with the most shards, the busiest first.
    func busiest(_ count: Int) throws -> [NodeID] {
        let counts = try providers.keys.map { ($0, try shardCount(of: $0)) }
        return counts.sorted { ($0.1, $0.0) > ($1.1, $1.0) }.prefix(count).map(\.0)
    }
}
