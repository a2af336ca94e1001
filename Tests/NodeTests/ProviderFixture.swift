import Disk
import Network
import Node
import Primitives
import Proofs
import Sealing
import Testing
import Transport
import Wire

/// A provider on loopback that knows no keeper.
final class TestProvider {
    let path: String
    let log = LogLines()
    private(set) var server: ProviderServer
    private(set) var address: NodeAddress
    let id: NodeID
    private let configuration: ProviderConfiguration

    init(
        _ path: String,
        capacity: UInt64 = 1 << 30,
        scrubBytesPerSecond: UInt64? = 1 << 30,
        clock: TestClock? = nil
    ) throws {
        self.path = path
        var configuration = ProviderConfiguration(
            directory: path,
            capacityBytes: capacity,
            listen: try Samples.address("127.0.0.1:0"),
            keepers: .known([])
        )
        configuration.scrubBytesPerSecond = scrubBytesPerSecond
        if let clock { configuration.now = { clock.now } }
        self.configuration = configuration
        server = ProviderServer(configuration: configuration, logger: log.logger)
        address = try server.start()
        id = try #require(server.id)
    }

    /// Stops it, lets `meanwhile` do what it will, and starts it again.
    func restart(_ meanwhile: () throws -> Void = {}) throws {
        server.stop()
        try meanwhile()
        server = ProviderServer(configuration: configuration, logger: log.logger)
        address = try server.start()
    }

    func stop() { server.stop() }

    func client(_ number: UInt8, owner: UInt8? = nil) throws -> TestClient {
        try TestClient(
            key: try Samples.key(number),
            owner: try Samples.key(owner ?? number).publicKey.nodeID,
            provider: self
        )
    }

    /// The provider's own key, as its command line has it.
    func ownClient() throws -> TestClient {
        let text = String(decoding: try WholeFile.read(path + "/identity"), as: UTF8.self)
        let seed = try #require(Hex.decode(String(text.filter { !$0.isWhitespace })))
        let key = try SigningKey(seed: seed)
        return try TestClient(key: key, owner: key.publicKey.nodeID, provider: self)
    }

    var segment: String { path + "/segments/0000000000000001.seg" }

    /// Flips a bit of a stored shard, wherever it lies in the first segment.
    func flip(_ shard: TestShard, at offset: Int) throws {
        let file = try Descriptor(opening: segment, .readWrite)
        let all = try file.read(at: 0, count: Int(try file.size()))
        let pattern = Array(shard.bytes.prefix(64))
        let start = try #require(
            stride(from: all.count - 64, through: 0, by: -8).first {
                all[$0] == pattern[0] && Array(all[$0..<$0 + 64]) == pattern
            }
        )
        try file.write(at: UInt64(start + offset), [all[start + offset] ^ 4])
    }
}

/// Someone who asks a provider: an owner, or a node with an owner's grant.
final class TestClient {
    let key: SigningKey
    let owner: NodeID
    private let provider: TestProvider
    private let loops = EventLoops()
    private let pool: ConnectionPool

    init(key: SigningKey, owner: NodeID, provider: TestProvider) throws {
        self.key = key
        self.owner = owner
        self.provider = provider
        pool = try ConnectionPool(identity: key, loops: loops)
    }

    func close() {
        pool.stop()
        loops.stop()
    }

    var id: NodeID { key.publicKey.nodeID }

    private var calls: ProviderCalls {
        let (pool, address) = (pool, provider.address)
        return ProviderCalls(owner: owner) { operation, id, head, payload, timeout in
            pool.request(
                operation.rawValue,
                to: id,
                at: address,
                head: head,
                payload: payload,
                timeout: timeout
            )
        }
    }

    func ask<Q: ProviderQuery>(_ query: Q) throws(NetworkError) -> Q.Answer {
        try start(query).wait(for: .seconds(60))
    }

    func start<Q: ProviderQuery>(_ query: Q) -> Pending<Q.Answer> {
        calls.ask(query, of: provider.id)
    }

    /// The error that asking ends with.
    func refusal<Q: ProviderQuery>(_ query: Q) -> NetworkError? {
        do throws(NetworkError) {
            _ = try ask(query)
            return nil
        } catch {
            return error
        }
    }

    func status() throws -> StoreStatus {
        let body = try pool.request(
            Operation.storeStatus.rawValue,
            to: provider.id,
            at: provider.address,
            head: [],
            timeout: .seconds(30)
        ).wait(for: .seconds(30))
        return try StoreStatus(decoding: body)
    }

    func put(_ shard: TestShard, root: Digest? = nil) throws(NetworkError) {
        try startPut(shard, root: root).wait(for: .seconds(60))
    }

    func startPut(_ shard: TestShard, root: Digest? = nil) -> Pending<Void> {
        shard.bytes.withUnsafeBytes {
            calls.put(
                shard.id,
                to: provider.id,
                payload: Payload(copying: $0),
                root: root ?? shard.root
            )
        }
    }

    func put(_ shards: [TestShard]) throws(NetworkError) {
        let puts = shards.map { startPut($0) }
        for put in puts { try put.wait(for: .seconds(60)) }
    }

    func get(_ shard: TestShard) throws(NetworkError) -> [UInt8] {
        try calls.get(shard.id, from: provider.id, offset: 0, count: shard.bytes.count)
            .wait(for: .seconds(60))
    }

    func delete(_ shards: [TestShard]) throws(NetworkError) {
        try startDelete(shards).wait(for: .seconds(60))
    }

    func startDelete(_ shards: [TestShard]) -> Pending<Void> {
        calls.delete(shards.map(\.id), from: provider.id)
    }
}

/// An order as one client sees it.
struct ClientOrder {
    let terms: OrderTerms
    var client: TestClient
    var tree = OrderTree()
    var state: OrderState
    var grant: Grant?

    /// Opens it, or finds it open.
    init(
        _ client: TestClient,
        at provider: TestProvider,
        volume: UInt8 = 5,
        generation: UInt32 = 0,
        owner: UInt8 = 50,
        grant: Grant? = nil
    ) throws {
        self.client = client
        self.grant = grant
        terms = OrderTerms(
            volume: try Samples.volumeID(volume),
            ownerKey: try Samples.key(owner).publicKey,
            provider: provider.id,
            generation: generation,
            opened: Samples.time
        )
        state = try client.ask(
            OpenOrder(terms: terms, proposal: try Self.opening(terms, client.key), grant: grant)
        )
    }

    static func opening(_ terms: OrderTerms, _ key: SigningKey) throws -> OrderProposal {
        try OrderProposal(
            order: terms.id,
            sequence: 0,
            commitment: .empty,
            at: Samples.time,
            signedBy: key
        )
    }

    var id: OrderID { terms.id }

    /// The amendment that adds and removes, and the tree it leads to.
    func amendment(
        adding: [TestShard] = [],
        removing: [TestShard] = []
    ) throws -> (AmendOrder, OrderTree) {
        let changes = tree.changes(
            adding: adding.map(OrderEntry.init),
            removing: removing.map(\.id)
        )
        var tree = tree
        try tree.apply(changes)
        return (try amendment(changes, leadingTo: tree.commitment), tree)
    }

    func amendment(
        _ changes: [OrderChange],
        leadingTo commitment: Commitment
    ) throws -> AmendOrder {
        AmendOrder(
            order: id,
            baseSequence: state.sequence,
            changes: changes,
            proposal: try OrderProposal(
                order: id,
                sequence: state.sequence + 1,
                commitment: commitment,
                at: Samples.time,
                signedBy: client.key
            ),
            grant: grant
        )
    }

    mutating func amend(adding: [TestShard] = [], removing: [TestShard] = []) throws {
        let (query, tree) = try amendment(adding: adding, removing: removing)
        state = try client.ask(query)
        try #require(state.commitment == tree.commitment)
        self.tree = tree
    }

    /// The compaction that takes so many tombstones away, and the tree it leads to.
    func compaction(dropping drops: Int) throws -> (CompactOrder, OrderTree) {
        var tree = tree
        try tree.compact(dropping: drops)
        return (try compaction(dropping: drops, leadingTo: tree.commitment), tree)
    }

    func compaction(
        dropping drops: Int,
        leadingTo commitment: Commitment
    ) throws -> CompactOrder {
        CompactOrder(
            order: id,
            baseSequence: state.sequence,
            drops: UInt32(drops),
            proposal: try OrderProposal(
                order: id,
                sequence: state.sequence + 1,
                commitment: commitment,
                at: Samples.time,
                signedBy: client.key
            ),
            grant: grant
        )
    }

    mutating func compact(dropping drops: Int) throws {
        let (query, tree) = try compaction(dropping: drops)
        state = try client.ask(query)
        try #require(state.commitment == tree.commitment)
        self.tree = tree
    }

    /// Follows what others did.
    mutating func follow() throws {
        var position: UInt64? = 0
        let since = state.sequence
        while let from = position {
            let delta = try client.ask(FetchOrder(order: id, sinceSequence: since, from: from))
            try tree.apply(delta.changes)
            state = delta.state
            try state.verify(terms: delta.terms, grants: delta.grants)
            position = delta.next
        }
        try #require(state.commitment == tree.commitment)
    }

    /// Follows what others did, compactions among it: each place as it is now, none behind the
    /// count.
    ///
    /// - Returns: how many changes that took.
    @discardableResult
    mutating func followCompactions() throws -> Int {
        var entries = (0..<tree.count).map { tree[$0] }
        var changes = 0
        var position: UInt64? = 0
        let since = state.sequence
        while let from = position {
            let delta = try client.ask(FetchOrder(order: id, sinceSequence: since, from: from))
            for change in delta.changes {
                try #require(change.position <= UInt64(entries.count))
                if change.position == UInt64(entries.count) {
                    entries.append(change.entry)
                } else {
                    entries[Int(change.position)] = change.entry
                }
            }
            changes += delta.changes.count
            state = delta.state
            position = delta.next
        }
        tree = try OrderTree(entries: Array(entries.prefix(Int(state.commitment.count))))
        try #require(state.commitment == tree.commitment)
        return changes
    }

    func challenge(_ leaves: UInt32 = 32, epoch: UInt64 = 7) throws -> Challenge {
        Challenge(
            order: id,
            provider: terms.provider,
            epoch: Epoch(epoch),
            beacon: try Samples.digest(9),
            sequence: state.sequence,
            commitment: state.commitment,
            leaves: leaves
        )
    }

    /// What a challenge of the newest state shows.
    func audit(_ leaves: UInt32 = 32, epoch: UInt64 = 7) throws -> ProofOutcome {
        let challenge = try challenge(leaves, epoch: epoch)
        let answer = try client.ask(ChallengeProvider(challenge: challenge))
        guard case .proof(let proof) = answer else {
            Issue.record("the answer is \(answer)")
            throw DiskError("audit", "\(id)", errno: 0)
        }
        return Verifier.verify(proof, of: challenge)
    }
}

extension OrderEntry {
    init(_ shard: TestShard) {
        self.init(shard: shard.id, bytes: UInt64(shard.bytes.count), root: shard.root)
    }
}

extension Samples {
    static func grant(
        _ rights: Grant.Rights,
        to grantee: UInt8,
        volume: UInt8 = 5,
        owner: UInt8 = 50,
        issued: Int64 = 0,
        lasting: Int64 = 3600
    ) throws -> Grant {
        let now = Clock.now()
        return try Grant(
            volume: try volumeID(volume),
            grantee: try key(grantee).publicKey.nodeID,
            rights: rights,
            issued: Timestamp(seconds: now.seconds + issued, nanoseconds: 0),
            expires: Timestamp(seconds: now.seconds + lasting, nanoseconds: 0),
            signedBy: try key(owner)
        )
    }
}

/// A provider, its owner with the key 50, and an open order of volume 05...
func withProvider(
    scrubBytesPerSecond: UInt64? = 1,
    _ body: (TestProvider, TestClient, inout ClientOrder) throws -> Void
) throws {
    try withScratch { path in
        let provider = try TestProvider(path + "/p", scrubBytesPerSecond: scrubBytesPerSecond)
        defer { provider.stop() }
        let owner = try provider.client(50)
        defer { owner.close() }
        var order = try ClientOrder(owner, at: provider)
        try body(provider, owner, &order)
    }
}
