import Disk
import Glibc
import Logging
import Network
import Node
import Primitives
import Proofs
import Sealing
import Transport

/// A provider and its keeper in this process, and shards that go there and back over TLS.
final class ProviderStages {
    static let names = ["put 4 MiB", "get 4 MiB", "get 64 KiB", "put 64 KiB"]

    /// Requests that are under way at once, as an uploader with two stripes has.
    private static let requestsMax = 8
    private static let patience: Duration = .seconds(60)
    /// What a reader of a small file asks for.
    private static let pieceBytes = 64 << 10

    private let mib: Int
    private let path: String
    private let keeper: KeeperServer
    private let provider: ProviderServer
    private let owner: RemoteNetwork
    private let id: NodeID
    private let large: StageBuffer
    private let largeRoot: Digest
    private let small: UnsafeRawBufferPointer
    private let smallRoot: Digest
    private var generator = SeededGenerator(seed: 6)

    /// Brings both up in a folder of their own in `directory`.
    init(in directory: String, mib: Int) throws {
        self.mib = mib
        path = "\(directory)/mefs-lab-stages.\(getpid())"
        large = StageBuffer(byteCount: Geometry.shardBytesMax)
        large.fillWithNoise()
        largeRoot = MerkleTree.root(of: large.readable)
        small = UnsafeRawBufferPointer(large.part(0, of: Self.pieceBytes))
        smallRoot = MerkleTree.root(of: small)
        var logger = Logger(label: "lab")
        logger.logLevel = .critical
        guard let anyPort = NodeAddress("127.0.0.1:0"), let code = ErasureCode(k: 4, m: 2) else {
            throw LabError("no address")
        }
        try Directory.make(path)
        keeper = KeeperServer(
            configuration: KeeperConfiguration(directory: path + "/keeper", listen: anyPort),
            logger: logger
        )
        _ = try keeper.start()
        let file = try keeper.networkFile(named: "lab", code: code)
        provider = ProviderServer(
            configuration: ProviderConfiguration(
                directory: path + "/provider",
                capacityBytes: 64 << 30,
                listen: anyPort,
                keepers: .known(file.keepers)
            ),
            logger: logger
        )
        _ = try provider.start()
        guard let id = provider.id else { throw LabError("the provider has no id") }
        self.id = id
        let key = try SigningKey.random()
        owner = try RemoteNetwork(file: file, identity: key, logger: logger)
        try waitUntilKnown()
        try openOrder(signedBy: key)
    }

    private func waitUntilKnown() throws {
        let end = Clock.monotonic() + Self.patience
        while try !owner.providers().contains(where: { $0.id == id && $0.isUp }) {
            guard Clock.monotonic() < end else { throw LabError("the provider did not come up") }
            Clock.sleep(for: .milliseconds(50))
        }
    }

    /// Without an order no shard is taken.
    private func openOrder(signedBy key: SigningKey) throws {
        guard let volume = VolumeID(bytes: [UInt8](repeating: 5, count: VolumeID.byteCount)) else {
            throw LabError("no id")
        }
        let terms = OrderTerms(
            volume: volume,
            ownerKey: key.publicKey,
            provider: id,
            generation: 0,
            opened: Clock.now()
        )
        let proposal = try OrderProposal(
            order: terms.id,
            sequence: 0,
            commitment: .empty,
            at: Clock.now(),
            signedBy: key
        )
        _ = try owner.ask(OpenOrder(terms: terms, proposal: proposal), of: id)
            .wait(for: Self.patience)
    }

    func measure(_ timer: inout StageTimer) throws {
        let count = max(1, (mib << 20) / Geometry.shardBytesMax)
        var ids: [ShardID] = []
        try timer.bytes(
            "put 4 MiB",
            count * Geometry.shardBytesMax,
            prepare: { try renew(&ids, count) }
        ) {
            try put(ids, large.readable, root: largeRoot)
        }
        if ids.isEmpty {
            try renew(&ids, count)
            try put(ids, large.readable, root: largeRoot)
        }
        try timer.bytes("get 4 MiB", count * Geometry.shardBytesMax) {
            try get(ids.map { ($0, 0) }, count: Geometry.shardBytesMax)
        }
        let pieces = mib << 4
        let places = (0..<pieces).map { _ in
            let part = Int(generator.next() % UInt64(Geometry.shardBytesMax / Self.pieceBytes))
            return (ids[Int(generator.next() % UInt64(ids.count))], part * Self.pieceBytes)
        }
        try timer.bytes("get 64 KiB", pieces * Self.pieceBytes) {
            try get(places, count: Self.pieceBytes)
        }
        let few = max(1, pieces / 8)
        try timer.bytes("put 64 KiB", few * Self.pieceBytes, prepare: { try renew(&ids, few) }) {
            try put(ids, small, root: smallRoot)
        }
    }

    /// New ids for the next round; the shards of the last one go.
    private func renew(_ ids: inout [ShardID], _ count: Int) throws {
        if !ids.isEmpty { try owner.delete(ids, from: id).wait(for: Self.patience) }
        ids = (0..<count).compactMap { _ in
            ShardID(bytes: generator.bytes(ShardID.byteCount))
        }
    }

    private func put(_ ids: [ShardID], _ bytes: UnsafeRawBufferPointer, root: Digest) throws {
        try pipelined(ids) { owner.put($0, to: id, bytes: bytes, root: root) }
    }

    private func get(_ places: [(ShardID, Int)], count: Int) throws {
        try pipelined(places) { shard, offset in
            owner.get(shard, from: id, offset: offset, count: count)
        }
    }

    /// Sends a request for each item, a few at once.
    private func pipelined<Item, Value>(_ items: [Item], send: (Item) -> Pending<Value>) throws {
        var underWay: [Pending<Value>] = []
        for item in items {
            if underWay.count == Self.requestsMax {
                _ = try underWay.removeFirst().wait(for: Self.patience)
            }
            underWay.append(send(item))
        }
        for request in underWay { _ = try request.wait(for: Self.patience) }
    }

    /// Ends both and removes their folder.
    func remove() {
        owner.close()
        provider.stop()
        keeper.stop()
        try? Directory.remove(tree: path)
    }
}
