import Disk
import Logging
import Network
import Node
import Primitives
import Proofs
import Sealing
import Testing
import Transport

/// A keeper and providers on loopback, in one process, and an owner's way to them.
final class TestNetwork {
    let path: String
    let log = LogLines()
    let keeper: KeeperServer
    let keeperAddress: NodeAddress
    let file: NetworkFile
    var providers: [ProviderServer] = []
    let owner: RemoteNetwork
    private let ownerKey: SigningKey

    init(_ path: String, owner: UInt8 = 50, directoryCache: String? = nil) throws {
        self.path = path
        keeper = KeeperServer(
            configuration: KeeperConfiguration(
                directory: path + "/keeper",
                listen: try Samples.address("127.0.0.1:0")
            ),
            logger: log.logger
        )
        keeperAddress = try keeper.start()
        file = try keeper.networkFile(named: "test", code: try Samples.code())
        ownerKey = try Samples.key(owner)
        self.owner = try RemoteNetwork(
            file: file,
            identity: ownerKey,
            logger: log.logger,
            directoryCache: directoryCache
        )
    }

    func configuration(_ number: Int, capacity: UInt64 = 1 << 30) throws -> ProviderConfiguration {
        ProviderConfiguration(
            directory: path + "/provider-\(number)",
            capacityBytes: capacity,
            listen: try Samples.address("127.0.0.1:0"),
            keepers: .known(file.keepers)
        )
    }

    /// Starts a provider, waits until the owner knows it, and opens an order there.
    @discardableResult
    func addProvider(capacity: UInt64 = 1 << 30) throws -> NodeID {
        let provider = ProviderServer(
            configuration: try configuration(providers.count, capacity: capacity),
            logger: log.logger
        )
        _ = try provider.start()
        providers.append(provider)
        let id = try #require(provider.id)
        try #require(eventually { self.record(id)?.isUp == true })
        try openOrder(at: id)
        return id
    }

    /// Without an order no shard is taken.
    private func openOrder(at provider: NodeID) throws {
        let terms = OrderTerms(
            volume: try Samples.volumeID(5),
            ownerKey: ownerKey.publicKey,
            provider: provider,
            generation: 0,
            opened: Samples.time
        )
        let proposal = try OrderProposal(
            order: terms.id,
            sequence: 0,
            commitment: .empty,
            at: Samples.time,
            signedBy: ownerKey
        )
        _ = try owner.ask(OpenOrder(terms: terms, proposal: proposal), of: provider)
            .wait(for: .seconds(60))
    }

    func record(_ id: NodeID) -> ProviderRecord? {
        (try? owner.providers())?.first { $0.id == id }
    }

    func put(_ shard: TestShard, to id: NodeID, root: Digest? = nil) throws(NetworkError) {
        try startPut(shard, to: id, root: root).wait(for: .seconds(60))
    }

    func startPut(_ shard: TestShard, to id: NodeID, root: Digest? = nil) -> Pending<Void> {
        shard.bytes.withUnsafeBytes {
            owner.put(shard.id, to: id, bytes: $0, root: root ?? shard.root)
        }
    }

    func get(
        _ shard: TestShard,
        _ range: Range<Int>? = nil,
        from id: NodeID
    ) throws(NetworkError) -> [UInt8] {
        let range = range ?? shard.bytes.indices
        return try owner.get(shard.id, from: id, offset: range.lowerBound, count: range.count)
            .wait(for: .seconds(60))
    }

    func stop() {
        owner.close()
        for provider in providers { provider.stop() }
        keeper.stop()
    }
}

func withNetwork(providers: Int = 1, _ body: (TestNetwork, [NodeID]) throws -> Void) throws {
    try withScratch { path in
        let network = try TestNetwork(path)
        defer { network.stop() }
        let ids = try (0..<providers).map { _ in try network.addProvider() }
        try body(network, ids)
    }
}

/// The code of the error that `body` throws, or `nil` if it throws none.
func failure<T>(_ body: () throws(NetworkError) -> T) -> NetworkError.Code? {
    do throws(NetworkError) {
        _ = try body()
        return nil
    } catch {
        return error.code
    }
}
