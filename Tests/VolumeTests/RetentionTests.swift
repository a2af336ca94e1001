import Disk
import Metadata
import Network
import Primitives
import SQLite
import Sealing
import Testing
import Transport
import Volume

/// What locked snapshots need is kept by providers and keepers, wherever it moves.
@Suite(.serialized)
struct RetentionTests {
    /// Runs `body` with an open engine whose heads are registered.
    private func open(
        _ fixture: CustodyFixture,
        _ body: (VolumeEngine, KeptHeads) throws -> Void
    ) throws {
        let network = try fixture.network()
        defer { network.close() }
        try network.register(
            try VolumeRegistration(
                id: fixture.configuration.id,
                code: fixture.configuration.code,
                wrappedKey: Array(0..<60),
                created: Clock.now(),
                signedBy: fixture.identity
            )
        )
        var checkpoints = VolumeConfiguration.Checkpoints(owner: fixture.identity)
        checkpoints.interval = .milliseconds(50)
        try fixture.open(over: network) {
            $0.checkpoints = checkpoints
        } _: { engine in
            try body(engine, try #require(KeptHeads(of: engine)))
        }
    }

    /// Makes a snapshot and waits until its lock is whole.
    private func lock(
        _ heads: KeptHeads,
        seconds: Int64,
        in fixture: CustodyFixture
    ) throws -> SnapshotInfo {
        let made = try heads.create(name: "safe", lockSeconds: seconds)
        func found() throws -> SnapshotInfo? {
            try heads.snapshots().first { $0.version == made.version }
        }
        try waitUntil { try found()?.lockedShare == 1 }
        return try #require(try found())
    }

    /// All shards that the metadata knows.
    private func shards(_ fixture: CustodyFixture) throws -> [ShardID] {
        let database = try Database(path: fixture.configuration.metadataPath, access: .readOnly)
        return try database.query("SELECT shard FROM shard") { ShardID(bytes: $0.blob(0)) }
            .compactMap { $0 }
    }

    /// At how many of the providers, but `left`, each shard is kept until `time`.
    private func holders(
        of shards: [ShardID],
        until time: Int64,
        _ fixture: CustodyFixture,
        besides left: NodeID? = nil
    ) throws -> [Int] {
        let network = try fixture.network()
        defer { network.close() }
        let owner = fixture.identity.publicKey.nodeID
        var counts = shards.map { _ in 0 }
        for provider in fixture.providers.keys where provider != left {
            let query = RetainShards(owner: owner, until: 0, shards: shards)
            let times = try network.ask(query, of: provider).wait(for: .seconds(60)).times
            for (index, found) in times.enumerated() where found == time { counts[index] += 1 }
        }
        return counts
    }

    @Test(arguments: [false, true])
    func aMovedShardIsLockedWhereItIsThen(isClosed: Bool) throws {
        try CustodyFixture.with(providers: 7) { fixture in
            var files: [InodeNumber: [UInt8]] = [:]
            var needed: [ShardID] = []
            var until: Int64 = 0
            func leave() throws {
                let id = try #require(try fixture.busiest(1).first)
                try fixture.leave(id)
                try waitUntil {
                    let counts = try holders(of: needed, until: until, fixture, besides: id)
                    return counts.allSatisfy { $0 == 1 }
                }
            }
            try open(fixture) { engine, heads in
                files = try engine.placeFiles(2, bytes: 600_000, seed: 3)
                let snapshot = try lock(heads, seconds: 3600, in: fixture)
                until = try #require(snapshot.lockedUntil).seconds
                let all = try shards(fixture)
                // Those of heads that came after it are not locked.
                needed = zip(all, try holders(of: all, until: until, fixture))
                    .filter { $1 > 0 }.map(\.0)
                #expect(needed.count >= 12)
                let retained = try RetainedRegister.list(
                    of: fixture.configuration.id,
                    at: try fixture.network()
                )
                #expect(retained.map(\.version) == [snapshot.version])
                #expect(retained.map(\.until) == [until])
                if !isClosed { try leave() }
            }
            // The keeper looks after the volume then.
            if isClosed { try leave() }
            if !isClosed { try recover(files, fixture) }
        }
    }

    /// Brings the retained head back where the shards that moved are needed, since two of those
    /// that did not are out of reach.
    private func recover(
        _ files: [InodeNumber: [UInt8]],
        _ fixture: CustodyFixture
    ) throws {
        let network = try fixture.network()
        defer { network.close() }
        let found = try #require(
            try RetainedRegister.list(of: fixture.configuration.id, at: network).first
        )
        let head = try RetainedRegister.fetch(
            found,
            of: fixture.configuration.id,
            at: network
        ).head
        let holders = fixture.ids.filter { (try? fixture.shardCount(of: $0)) ?? 0 > 0 }
        for id in holders.suffix(2) { fixture.stopProvider(id) }
        let path = fixture.directory + "/retained.db"
        let recovery = VolumeRecovery(
            key: fixture.configuration.key,
            network: network,
            retainer: fixture.identity.publicKey.nodeID,
            logger: fixture.logger
        )
        let plan = try recovery.plan(head)
        #expect(try recovery.restore(plan, to: path) { _, _ in } == [])
        try fixture.open(over: network) {
            $0.metadataPath = path
            $0.cacheDirectory = fixture.directory + "/retained"
            $0.custody = nil
        } _: { engine in
            try engine.expect(files)
        }
    }

    /// Providers' clocks are behind, so that they refuse to delete what is free here already.
    @Test func roomComesBackWhenProvidersLetGo() throws {
        try CustodyFixture.with(providers: 6, clockBehind: 6) { fixture in
            try open(fixture) { engine, heads in
                _ = try engine.placeFiles(2, bytes: 600_000, seed: 4)
                let snapshot = try lock(heads, seconds: 20, in: fixture)
                let version = snapshot.version
                let until = try #require(snapshot.lockedUntil)
                #expect(throws: FileSystemError.self) { try heads.delete(version) }
                for name in ["4-0", "4-1"] {
                    try engine.unlink(EntryName(Array(name.utf8)), in: .root)
                }
                let full = fixture.shardCount
                try waitUntil { Clock.now() >= until }
                try heads.delete(version)
                let use = try engine.collectGarbage()
                let retained = try #require(try engine.retainedShards())
                #expect(retained.count >= 12 && UInt64(retained.count) == use.deadShards)
                #expect(try #require(retained.until) >= until)
                try waitUntil {
                    try engine.collectGarbage().deadShards == 0
                }
                #expect(try engine.retainedShards()?.count == 0)
                #expect(fixture.shardCount <= full - 12)
            }
        }
    }
}
