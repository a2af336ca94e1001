import Lease
import Network
import Node
import Primitives
import Sealing
import Synchronization
import Testing
import Transport
import Disk

/// Keepers on loopback that one network file names, and their owner's way to them.
final class KeeperCluster {
    /// So short that a test need not wait long, and so long that a busy machine keeps to them.
    static let times: LeaseTimes = {
        var times = LeaseTimes()
        times.timeToLive = .seconds(4)
        times.reservation = .seconds(3)
        times.renewal = .milliseconds(500)
        times.retry = .milliseconds(250)
        times.margin = .seconds(1)
        times.patience = .seconds(3)
        times.stragglers = .milliseconds(300)
        return times
    }()

    let path: String
    let log = LogLines()
    private var servers: [KeeperServer] = []
    private var addresses: [NodeAddress] = []
    let file: NetworkFile
    let owner: RemoteNetwork

    init(_ path: String, count: Int) throws {
        self.path = path
        for number in 0..<count {
            let server = Self.server(path, number, try Samples.address("127.0.0.1:0"), log)
            addresses.append(try server.start())
            servers.append(server)
        }
        let keys = try (0..<count).map { number in
            let text = try WholeFile.read("\(path)/keeper-\(number)/identity")
            let digits = String(decoding: text, as: UTF8.self).filter { !$0.isWhitespace }
            return try SigningKey(seed: try #require(Hex.decode(digits)))
        }
        file = try NetworkFile.signed(
            name: "test",
            code: try Samples.code(),
            keepers: zip(addresses, keys).map {
                KeeperEndpoint(address: $0, publicKey: $1.publicKey)
            },
            by: keys[0]
        )
        owner = try RemoteNetwork(file: file, identity: try Samples.key(7), logger: log.logger)
    }

    private static func server(
        _ path: String,
        _ number: Int,
        _ address: NodeAddress,
        _ log: LogLines
    ) -> KeeperServer {
        var configuration = KeeperConfiguration(
            directory: "\(path)/keeper-\(number)",
            listen: address
        )
        configuration.leaseTimes = times
        return KeeperServer(configuration: configuration, logger: log.logger)
    }

    /// A new way to the keepers, with switches of its own.
    func way() -> SwitchedNetwork { SwitchedNetwork(owner) }

    func stop(_ number: Int) { servers[number].stop() }

    func start(_ number: Int) throws {
        servers[number] = Self.server(path, number, addresses[number], log)
        _ = try servers[number].start()
    }

    func lease(
        _ label: String,
        over network: SwitchedNetwork,
        predecessor: LeaseHolder? = nil,
        onLoss: @escaping @Sendable (String, UInt64) -> Void = { _, _ in }
    ) throws -> WriterLease {
        WriterLease(
            volume: try Samples.volumeID(),
            predecessor: predecessor,
            label: label,
            network: network,
            logger: log.logger,
            times: Self.times,
            onLoss: onLoss
        )
    }

    func stop() {
        owner.close()
        for server in servers { server.stop() }
    }
}

func withKeepers(_ count: Int, _ body: (KeeperCluster) throws -> Void) throws {
    try withScratch { path in
        let cluster = try KeeperCluster(path, count: count)
        defer { cluster.stop() }
        try body(cluster)
    }
}

/// The way to real keepers, which a test cuts, and some of which lie about heads.
final class SwitchedNetwork: StorageNetwork {
    private struct Switches {
        var cut: Set<Int> = []
        var lies: [Int: HeadList] = [:]
    }

    private let network: RemoteNetwork
    private let switches = Mutex(Switches())

    init(_ network: RemoteNetwork) { self.network = network }

    /// Keepers, by number, that cannot be reached from now on; all others can.
    func cut(_ keepers: Set<Int>) { switches.withLock { $0.cut = keepers } }

    func cutAll() { cut(Set(keeperIDs.indices)) }

    /// What keepers say to `GetHead` from now on.
    func lie(_ lies: [Int: HeadList]) { switches.withLock { $0.lies = lies } }

    var keeperIDs: [NodeID] { network.keeperIDs }

    func ask<Q: KeeperQuery>(_ query: Q, ofKeeper keeper: NodeID) -> Pending<Q.Answer> {
        let number = keeperIDs.firstIndex(of: keeper) ?? 0
        let (isCut, lie) = switches.withLock { ($0.cut.contains(number), $0.lies[number]) }
        if isCut { return Pending(.failure(NetworkError(.unreachable, "cut"))) }
        if query is GetHead, let answer = lie as? Q.Answer { return Pending(.success(answer)) }
        return network.ask(query, ofKeeper: keeper)
    }

    func ask<Q: KeeperQuery>(_ query: Q) -> Pending<Q.Answer> { network.ask(query) }

    func ask<Q: ProviderQuery>(_ query: Q, of provider: NodeID) -> Pending<Q.Answer> {
        network.ask(query, of: provider)
    }

    func providers() throws(NetworkError) -> [ProviderRecord] { try network.providers() }

    func put(
        _ shard: ShardID,
        to provider: NodeID,
        bytes: UnsafeRawBufferPointer,
        root: Digest
    ) -> Pending<Void> {
        network.put(shard, to: provider, bytes: bytes, root: root)
    }

    func get(
        _ shard: ShardID,
        from provider: NodeID,
        offset: Int,
        count: Int
    ) -> Pending<[UInt8]> {
        network.get(shard, from: provider, offset: offset, count: count)
    }

    func delete(_ shards: [ShardID], from provider: NodeID) -> Pending<Void> {
        network.delete(shards, from: provider)
    }
}
