import Auditor
import Disk
import Glibc
import Logging
import Network
import Node
import Primitives
import Proofs
import Reliability
import Sealing
import Testing
import Transport
import Volume

/// A keeper and providers on loopback with epochs of a second, and a volume that is looked after.
final class CustodyFixture {
    /// Shorter than the keeper's usual 30 s, longer than the 10 s between two holds.
    static let holdLasts = Duration.seconds(13)

    let directory: String
    let keeper: KeeperServer
    let file: NetworkFile
    let identity: SigningKey
    let logger: Logger
    private(set) var providers: [NodeID: ProviderServer] = [:]
    private(set) var ids: [NodeID] = []
    var configuration: VolumeConfiguration
    /// Seconds by which providers' clocks are behind ours.
    private let clockBehind: Double

    /// Runs `body` with `count` providers that the keeper knows.
    static func with(
        code: String = "4+2",
        providers count: Int = 8,
        clockBehind: Double = 0,
        _ body: (CustodyFixture) throws -> Void
    ) throws {
        let directory = "/var/tmp/mefs-custody-\(Hex.encode(SecureRandom.bytes(8)))"
        try Directory.make(directory)
        defer { try? Directory.remove(tree: directory) }
        let fixture = try CustodyFixture(directory, code: code, clockBehind: clockBehind)
        defer { fixture.stop() }
        for _ in 0..<count { try fixture.startProvider(fixture.ids.count) }
        try body(fixture)
    }

    private init(_ directory: String, code: String, clockBehind: Double) throws {
        self.directory = directory
        self.clockBehind = clockBehind
        // MEFS_TEST_LOG=debug shows what everybody has to say.
        let level = getenv("MEFS_TEST_LOG").flatMap { Logger.Level(rawValue: String(cString: $0)) }
        var logger = Logger(label: "test")
        logger.logLevel = level ?? .critical
        self.logger = logger
        let code = try #require(ErasureCode(code))
        identity = try SigningKey.random()
        var rates = CustodyConfiguration()
        // Few, so that an epoch is enough for a program that is not optimized.
        rates.leavesPerEpoch = 8
        rates.leavesWhenDoubtful = 24
        rates.repairPolicy = RepairPolicy(wait: .seconds(2))
        rates.scanInterval = .seconds(2)
        rates.lookInterval = .seconds(1)
        rates.amendInterval = .milliseconds(200)
        rates.spareSeconds = 3
        var configuration = KeeperConfiguration(
            directory: directory + "/keeper",
            listen: NodeAddress("127.0.0.1:0"),
            epochSeconds: 1
        )
        configuration.custody = rates
        configuration.holdLasts = Self.holdLasts
        keeper = KeeperServer(configuration: configuration, logger: logger)
        _ = try keeper.start()
        file = try keeper.networkFile(named: "test", code: code)
        self.configuration = VolumeConfiguration(
            id: try #require(VolumeID(bytes: SecureRandom.bytes(16))),
            name: "test",
            code: code,
            key: VolumeKey.random(),
            metadataPath: directory + "/volume.db",
            cacheDirectory: directory + "/cache"
        )
        self.configuration.dirtyAgeSeconds = 3600
        var custody = VolumeConfiguration.Custody(
            owner: identity,
            databasePath: directory + "/audit.db",
            keepers: file.keepers.map(\.publicKey)
        )
        custody.rates = rates
        self.configuration.custody = custody
    }

    private func stop() {
        for provider in providers.values { provider.stop() }
        keeper.stop()
    }

    // MARK: Providers

    func path(ofProvider number: Int) -> String { "\(directory)/provider-\(number)" }

    /// Starts the provider of that number and waits until the keeper knows it.
    @discardableResult
    func startProvider(_ number: Int) throws -> NodeID {
        var configuration = ProviderConfiguration(
            directory: path(ofProvider: number),
            capacityBytes: 1 << 30,
            listen: NodeAddress("127.0.0.1:0"),
            keepers: .known(file.keepers)
        )
        configuration.now = { [clockBehind] in Clock.now().adding(seconds: -clockBehind) }
        let provider = ProviderServer(configuration: configuration, logger: logger)
        _ = try provider.start()
        let id = try #require(provider.id)
        providers[id] = provider
        if !ids.contains(id) { ids.append(id) }
        let network = try network()
        defer { network.close() }
        try waitUntil { try network.providers().contains { $0.id == id && $0.isUp } }
        return id
    }

    func stopProvider(_ id: NodeID) {
        providers.removeValue(forKey: id)?.stop()
    }

    /// Ends a provider and loses everything it had.
    func destroyProvider(_ id: NodeID) throws {
        stopProvider(id)
        let number = try #require(ids.firstIndex(of: id))
        try Directory.remove(tree: path(ofProvider: number))
    }

    func status(of id: NodeID) throws -> StoreStatus {
        try #require(providers[id]?.status)
    }

    func shardCount(of id: NodeID) throws -> UInt64 { try status(of: id).shardCount }

    /// Shards at all providers that run.
    var shardCount: UInt64 {
        providers.values.reduce(0) { $0 + ($1.status?.shardCount ?? 0) }
    }

    /// Tells a provider to leave, as its owner does.
    func leave(_ id: NodeID) throws {
        let number = try #require(ids.firstIndex(of: id))
        let bytes = try WholeFile.read(path(ofProvider: number) + "/identity", limit: 1024)
        let digits = String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
        let key = try SigningKey(seed: try #require(Hex.decode(digits)))
        let network = try RemoteNetwork(file: file, identity: key, logger: logger)
        defer { network.close() }
        let reply = network.ask(SetLeaving(isLeaving: true), of: id)
        #expect(try reply.wait(for: .seconds(30)).isLeaving)
    }

    // MARK: The volume

    func network() throws -> RemoteNetwork {
        try RemoteNetwork(file: file, identity: identity, logger: logger)
    }

    /// Runs `body` with an open engine and closes it, draining nothing.
    func open(
        _ change: (inout VolumeConfiguration) -> Void = { _ in },
        _ body: (VolumeEngine) throws -> Void
    ) throws {
        let network = try network()
        defer { network.close() }
        try open(over: network, change, body)
    }

    func open(
        over network: any StorageNetwork,
        _ change: (inout VolumeConfiguration) -> Void = { _ in },
        _ body: (VolumeEngine) throws -> Void
    ) throws {
        var configuration = configuration
        change(&configuration)
        let engine = try VolumeEngine(configuration, network: network, logger: logger)
        do {
            try body(engine)
        } catch {
            _ = try? engine.shutdown(drainSeconds: 0)
            throw error
        }
        try engine.shutdown(drainSeconds: 0)
    }
}

extension VolumeEngine {
    /// Writes files of random bytes, places them, and gives the bytes.
    func placeFiles(_ count: Int, bytes: Int, seed: UInt64) throws -> [InodeNumber: [UInt8]] {
        var random = SeededGenerator(seed: seed)
        var files: [InodeNumber: [UInt8]] = [:]
        for number in 0..<count {
            let content = random.bytes(bytes)
            let ino = try makeFile("\(seed)-\(number)")
            try write(content, at: 0, to: ino)
            files[ino] = content
            // A stripe for each.
            try place()
        }
        return files
    }

    /// Reads every file from the providers and compares it.
    func expect(_ files: [InodeNumber: [UInt8]]) throws {
        _ = try dropCache()
        for (ino, bytes) in files {
            let found = try read(ino, 0..<bytes.count)
            #expect(found == bytes, "inode \(ino.rawValue)")
        }
    }

    func waitUntilProved(_ files: [InodeNumber: [UInt8]]) throws {
        for ino in files.keys {
            try waitUntil { try state(of: ino).hasPrefix("proved ") }
        }
    }

    /// Whether every stripe has all its shards and nothing waits to be repaired.
    var isWhole: Bool {
        guard let custody = status().custody else { return false }
        return custody.repairsPending == 0 && custody.shardsMissing == 0
            && custody.worstStripes.allSatisfy { $0.healthy == $0.n }
    }

    var repairsDone: UInt64 { status().custody?.repairsDone ?? 0 }
}
