import Auditor
import Disk
import Erasure
import Logging
import Network
import Primitives
import Proofs
import Sealing
import Synchronization
import Testing
import Transport

/// A volume with stripes on a network in memory, and who looks after it.
struct Fixture {
    let clock: TestClock
    let network: TestNetwork
    let stripes: TestStripes
    let identity: CustodyIdentity
    let configuration: CustodyConfiguration
    private(set) var book: OrderBook
    private(set) var custodian: Custodian
    private(set) var path: String
    let code: ErasureCode
    let volume: VolumeID
    let repairKey: RepairKey

    static let shardBytes = 20 << 10
    static var quiet: Logger {
        var logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        logger.logLevel = .critical
        return logger
    }

    init(
        providers: Int = 8,
        code: String = "4+2",
        _ change: (inout CustodyConfiguration) -> Void = { _ in }
    ) throws {
        clock = TestClock()
        stripes = TestStripes()
        network = try TestNetwork(providers: providers, clock: clock)
        self.code = try #require(ErasureCode(code))
        volume = try #require(VolumeID(bytes: [UInt8](repeating: 5, count: 16)))
        repairKey = RepairKey(trusted: [UInt8](repeating: 9, count: 32))
        identity = CustodyIdentity(
            volume: volume,
            ownerKey: network.owner.publicKey,
            signer: network.owner,
            repairKey: repairKey,
            keepers: [network.keeper.publicKey]
        )
        var configuration = CustodyConfiguration()
        // Orders here are small, and tests see thousands of proofs.
        configuration.leavesPerEpoch = 8
        configuration.leavesWhenDoubtful = 48
        change(&configuration)
        self.configuration = configuration
        path = try Self.temporaryPath()
        book = try Self.book(path, identity, network, configuration, clock)
        custodian = Self.custodian(book, identity, network, stripes, configuration, clock)
    }

    /// A keeper with the owner's grant, which has a book of its own.
    init(keeperOf owner: Fixture, rights: Grant.Rights = .all) throws {
        network = TestNetwork(owner.network, as: owner.network.keeper)
        (code, volume, repairKey) = (owner.code, owner.volume, owner.repairKey)
        (clock, stripes, configuration) = (owner.clock, owner.stripes, owner.configuration)
        let now = clock.now
        let grant = try Grant(
            volume: volume,
            grantee: network.keeper.publicKey.nodeID,
            rights: rights,
            issued: now,
            expires: Timestamp(seconds: now.seconds + 100 * 24 * 3600, nanoseconds: 0),
            signedBy: network.owner
        )
        identity = CustodyIdentity(
            volume: volume,
            ownerKey: network.owner.publicKey,
            signer: network.keeper,
            grant: grant,
            repairKey: repairKey,
            keepers: [network.keeper.publicKey]
        )
        path = try Self.temporaryPath()
        book = try Self.book(path, identity, network, configuration, clock)
        custodian = Self.custodian(book, identity, network, stripes, configuration, clock)
    }

    static func temporaryPath() throws -> String {
        let bytes = SecureRandom.bytes(8)
        return "/tmp/mefs-auditor-\(Hex.encode(bytes)).db"
    }

    static func book(
        _ path: String,
        _ identity: CustodyIdentity,
        _ network: TestNetwork,
        _ configuration: CustodyConfiguration,
        _ clock: TestClock
    ) throws -> OrderBook {
        try OrderBook(
            path: path,
            identity: identity,
            network: network,
            configuration: configuration,
            logger: quiet,
            now: { clock.now }
        )
    }

    static func custodian(
        _ book: OrderBook,
        _ identity: CustodyIdentity,
        _ network: TestNetwork,
        _ stripes: TestStripes,
        _ configuration: CustodyConfiguration,
        _ clock: TestClock,
        crew: WorkCrew = WorkCrew(limit: 0)
    ) -> Custodian {
        Custodian(
            identity: identity,
            configuration: configuration,
            book: book,
            source: stripes,
            network: network,
            crew: crew,
            logger: quiet,
            now: { clock.now }
        )
    }

    /// Runs `body` and removes the book's file.
    static func with(
        providers: Int = 8,
        code: String = "4+2",
        _ change: (inout CustodyConfiguration) -> Void = { _ in },
        _ body: (Fixture) throws -> Void
    ) throws {
        let fixture = try Fixture(providers: providers, code: code, change)
        defer { fixture.removeFile() }
        try body(fixture)
    }

    /// The same with one that may be started again.
    static func changing(
        providers: Int = 8,
        _ change: (inout CustodyConfiguration) -> Void = { _ in },
        _ body: (inout Fixture) throws -> Void
    ) throws {
        var fixture = try Fixture(providers: providers, change)
        defer { fixture.removeFile() }
        try body(&fixture)
    }

    /// The same owner after a crash, or, with `losingBook`, with nothing but the stripes.
    mutating func restart(losingBook: Bool = false) throws {
        if losingBook {
            removeFile()
            path = try Self.temporaryPath()
        }
        book = try Self.book(path, identity, network, configuration, clock)
        custodian = Self.custodian(book, identity, network, stripes, configuration, clock)
    }

    /// Goes on with the files of what it was copied to.
    mutating func use(_ copy: Fixture) { path = copy.path }

    /// Has a book that was just opened take in what others did: it cannot know before that what it
    /// is to remove is not there.
    func follow() throws {
        let shard = try #require(ShardID(bytes: [UInt8](repeating: 1, count: 16)))
        for id in network.ids { try book.remove([shard], from: id) }
    }

    /// Takes stripes away as the volume does: out of the orders, then deleted.
    func delete(_ gone: [StripeManifest]) throws {
        stripes.state.withLock { state in
            for stripe in gone { state.stripes[stripe.id] = nil }
        }
        let holdings = Dictionary(grouping: gone.flatMap(\.shards), by: \.provider)
        for (provider, holdings) in holdings.sorted(by: { $0.key < $1.key }) {
            let shards = holdings.map(\.shard)
            try book.remove(shards, from: provider)
            try network.delete(shards, from: provider).wait(for: .seconds(1))
        }
    }

    func removeFile() {
        for suffix in ["", "-wal", "-shm"] { try? WholeFile.remove(path + suffix) }
    }

    // MARK: Stripes

    /// Encodes a stripe, masks its shards, puts them to `holders` and under order.
    @discardableResult
    func place(
        _ number: UInt64,
        on holders: [NodeID],
        shardBytes: Int = Fixture.shardBytes
    ) throws -> StripeManifest {
        var generator = SeededGenerator(seed: number)
        let id = try #require(
            StripeID(bytes: SHA256.digest(generator.bytes(16)).bytes.prefix(16))
        )
        var holdings: [ShardHolding] = []
        let columns = try columns(&generator, shardBytes: shardBytes)
        for (index, var bytes) in columns.enumerated() {
            let shard = try #require(ShardID(bytes: generator.bytes(16)))
            let root = try bytes.withUnsafeMutableBytes { buffer in
                try ShardMask.applyAndHash(to: buffer, key: repairKey.maskKey(for: shard))
            }
            try book.ensureOrder(with: holders[index])
            try bytes.withUnsafeBytes { buffer in
                network.put(shard, to: holders[index], bytes: buffer, root: root)
            }.wait(for: .seconds(1))
            holdings.append(
                ShardHolding(
                    index: UInt8(index),
                    shard: shard,
                    provider: holders[index],
                    root: root
                )
            )
        }
        let manifest = StripeManifest(
            id: id,
            code: code,
            shardBytes: UInt32(shardBytes),
            shards: holdings
        )
        stripes.state.withLock { $0.stripes[id] = manifest }
        custodian.noteNewStripe(manifest)
        return manifest
    }

    private func columns(
        _ generator: inout SeededGenerator,
        shardBytes: Int
    ) throws -> [[UInt8]] {
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: code.n * shardBytes,
            alignment: 64
        )
        defer { memory.deallocate() }
        memory.copyBytes(from: generator.bytes(code.k * shardBytes))
        let views = (0..<code.n).map { index in
            UnsafeMutableRawBufferPointer(
                rebasing: memory[index * shardBytes..<(index + 1) * shardBytes]
            )
        }
        ErasureCoder(code).encode(views)
        return views.map { Array($0) }
    }

    /// Places stripes on the first n providers, each one further.
    func placeMany(_ count: Int, shardBytes: Int = Fixture.shardBytes) throws {
        let ids = network.ids
        for number in 0..<count {
            let holders = (0..<code.n).map { ids[(number + $0) % ids.count] }
            try place(UInt64(number), on: holders, shardBytes: shardBytes)
        }
        book.flush()
    }

    // MARK: Time

    /// Ticks once a step for so many seconds.
    func run(_ seconds: Int64, step: Int64 = 5) {
        var left = seconds
        while left > 0 {
            clock.advance(min(step, left))
            left -= step
            custodian.tick()
        }
    }

    /// Ticks through whole epochs.
    func runEpochs(_ count: Int, step: Int64 = 60) {
        run(Int64(count) * Int64(TestNetwork.epochSeconds), step: step)
    }

    // MARK: Looking

    /// Whether every shard of every stripe is where the stripe says, with its root.
    func isWhole() -> Bool {
        stripes.all.allSatisfy { stripe in
            stripe.shards.allSatisfy { holding in
                let bytes = network.read { world -> [UInt8]? in
                    guard let provider = world.providers[holding.provider], provider.isUp,
                        !provider.damaged.contains(holding.shard)
                    else { return nil }
                    return provider.shards[holding.shard]?.bytes
                }
                guard let bytes else { return false }
                return bytes.withUnsafeBytes { MerkleTree.root(of: $0) } == holding.root
            }
        }
    }

    /// Whether the orders hold what the stripes have, no shard twice and none besides.
    func isExactlyUnderOrder() -> Bool {
        let holdings = stripes.all.flatMap(\.shards)
        let expected = Dictionary(grouping: holdings, by: \.provider)
            .mapValues { $0.map(\.shard).sorted() }
        let held = network.read { world in
            world.providers.mapValues { provider in
                provider.orders.values.flatMap { order in
                    (0..<order.tree.count).map { order.tree[$0] }.filter { !$0.isTombstone }
                        .map(\.shard)
                }.sorted()
            }
        }
        return network.ids.allSatisfy { held[$0] ?? [] == expected[$0] ?? [] }
    }

    /// Entries that are tombstones, of all orders of a provider.
    func tombstones(at provider: NodeID) -> Int? {
        network.change(provider) { provider in
            provider.orders.values.map(\.tree.tombstoneCount).reduce(0, +)
        }
    }

    /// Whether every shard is under a live order with its holder.
    func isUnderOrder() -> Bool {
        stripes.all.allSatisfy { stripe in
            stripe.shards.allSatisfy { holding in
                network.read { world in
                    world.providers[holding.provider]?.orders.values.contains {
                        $0.tree.position(of: holding.shard) != nil
                    } ?? false
                }
            }
        }
    }
}
