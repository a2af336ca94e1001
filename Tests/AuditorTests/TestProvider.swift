import Network
import Primitives
import Proofs
import Sealing
import Transport

/// A provider as a state machine over dictionaries, with switches for what goes wrong.
struct TestProvider {
    struct Order {
        let terms: OrderTerms
        var state: OrderState
        var tree = OrderTree()
        /// Entries with the sequences at which they came and went.
        var entries: [(entry: OrderEntry, added: UInt64, removed: UInt64?)] = []
        var grant: Grant?
    }

    struct Shard {
        var bytes: [UInt8]
        let root: Digest
        let chunkRoots: [UInt8]
    }

    let key: SigningKey
    let domain: String
    var shards: [ShardID: Shard] = [:]
    var orders: [OrderID: Order] = [:]
    var grants: [Grant] = []
    var receipts: [Receipt] = []

    var isUp = true
    var isListed = true
    var isLeaving = false
    var capacityBytes: UInt64 = 1 << 40
    /// Shards whose bytes are gone or rotten, as it knows itself.
    var damaged: Set<ShardID> = []
    var forges = false
    /// Seconds that an answer to a challenge takes.
    var delay: Int64 = 0
    /// Puts that still go well; `nil` for all.
    var putsLeft: Int?
    /// Called before each answer to a challenge, to change the order under it.
    var challenges = 0
    var gets = 0
    /// Whether it knows compactions; older programs do not.
    var isCompacting = true
    var compactions = 0
    /// Changes in answers to who follows its orders.
    var changesTold = 0
    /// Amendments and compactions that are made, and whose answer is lost.
    var answersLost = 0
    /// Answers a compaction with the state before.
    var lies = false

    var id: NodeID { key.publicKey.nodeID }

    init(_ number: Int, domain: String? = nil) throws {
        key = try SigningKey(seed: [UInt8](repeating: UInt8(number + 1), count: 32))
        self.domain = domain ?? "domain-\(number)"
    }

    var usedBytes: UInt64 { shards.values.reduce(0) { $0 + UInt64($1.bytes.count) } }

    // MARK: Shards

    mutating func put(
        _ shard: ShardID,
        _ bytes: [UInt8],
        _ root: Digest,
        owner: NodeID
    )
        throws(NetworkError)
    {
        guard orders.values.contains(where: { $0.terms.ownerKey.nodeID == owner }) else {
            throw NetworkError(.refused, "no order")
        }
        if let left = putsLeft {
            guard left > 0 else { throw NetworkError(.full, "full") }
            putsLeft = left - 1
        }
        let (actual, chunks) = bytes.withUnsafeBytes { MerkleTree.chunkRoots(of: $0) }
        guard actual == root else { throw NetworkError(.corrupt, "wrong root") }
        shards[shard] = Shard(bytes: bytes, root: root, chunkRoots: chunks)
        damaged.remove(shard)
    }

    mutating func get(_ shard: ShardID, _ range: Range<Int>) throws(NetworkError) -> [UInt8] {
        gets += 1
        guard let held = shards[shard] else { throw NetworkError(.notFound, "not here") }
        guard !damaged.contains(shard) else { throw NetworkError(.corrupt, "damaged") }
        guard range.upperBound <= held.bytes.count else { throw NetworkError(.malformed, "range") }
        return Array(held.bytes[range])
    }

    mutating func delete(_ ids: [ShardID]) throws(NetworkError) {
        for order in orders.values {
            guard ids.allSatisfy({ order.tree.position(of: $0) == nil }) else {
                throw NetworkError(.refused, "under order")
            }
        }
        for id in ids { shards[id] = nil }
    }

    // MARK: Orders

    mutating func open(_ query: OpenOrder) throws -> OrderState {
        if let grant = query.grant { grants.append(grant) }
        let same = orders.values.first {
            $0.terms.volume == query.terms.volume && $0.terms.generation == query.terms.generation
        }
        if let same { return same.state }
        let state = try OrderState(accepting: query.proposal, signedBy: key)
        orders[query.terms.id] = Order(terms: query.terms, state: state, grant: query.grant)
        return state
    }

    func heads(_ query: OrderHead) -> OrderHeads {
        OrderHeads(
            orders: orders.values.filter { $0.terms.volume == query.volume }
                .map { OrderHeads.Head(terms: $0.terms, state: $0.state) }
        )
    }

    mutating func amend(_ query: AmendOrder) throws -> OrderState {
        guard var order = orders[query.order] else { throw NetworkError(.notFound, "no order") }
        if order.state.proposal == query.proposal { return order.state }
        guard order.state.sequence == query.baseSequence else {
            throw NetworkError(.exists, "stale")
        }
        for change in query.changes where !change.entry.isTombstone {
            guard let held = shards[change.entry.shard] else {
                throw NetworkError(.notFound, "shard is not here")
            }
            guard held.root == change.entry.root else { throw NetworkError(.malformed, "root") }
        }
        try order.tree.apply(query.changes)
        guard order.tree.commitment == query.proposal.commitment else {
            throw NetworkError(.malformed, "commitment")
        }
        order.state = try OrderState(accepting: query.proposal, signedBy: key)
        try order.state.verify(terms: order.terms, grants: grants)
        order.grant = query.grant
        for change in query.changes {
            if change.position == UInt64(order.entries.count) {
                order.entries.append((change.entry, order.state.sequence, nil))
            } else {
                order.entries[Int(change.position)].removed = order.state.sequence
            }
        }
        orders[query.order] = order
        return order.state
    }

    mutating func compact(_ query: CompactOrder) throws -> OrderState {
        guard isCompacting else { throw NetworkError(.refused, "unknown operation 0x1d") }
        guard var order = orders[query.order] else { throw NetworkError(.notFound, "no order") }
        if order.state.proposal == query.proposal { return order.state }
        guard order.state.sequence == query.baseSequence else {
            throw NetworkError(.exists, "stale")
        }
        compactions += 1
        if lies { return order.state }
        let moves = try order.tree.compact(dropping: Int(query.drops))
        guard order.tree.commitment == query.proposal.commitment else {
            throw NetworkError(.malformed, "commitment")
        }
        order.state = try OrderState(accepting: query.proposal, signedBy: key)
        try order.state.verify(terms: order.terms, grants: grants)
        order.grant = query.grant
        for move in moves {
            order.entries[move.to] = order.entries[move.from]
            order.entries[move.to].added = order.state.sequence
        }
        order.entries.removeSubrange(order.tree.count...)
        orders[query.order] = order
        return order.state
    }

    /// Pages are small, so that tests see several.
    static let pageMax = 5

    mutating func delta(_ query: FetchOrder) throws(NetworkError) -> OrderDelta {
        guard let order = orders[query.order] else { throw NetworkError(.notFound, "no order") }
        var changes: [OrderChange] = []
        var next: UInt64?
        for (position, row) in order.entries.enumerated().dropFirst(Int(query.from)) {
            let isAdded = row.added > query.sinceSequence
            let isRemoved = (row.removed ?? 0) > query.sinceSequence
            guard isAdded || isRemoved else { continue }
            guard changes.count < Self.pageMax else {
                next = UInt64(position)
                break
            }
            if isAdded { changes.append(OrderChange(position: UInt64(position), entry: row.entry)) }
            if row.removed != nil {
                changes.append(
                    OrderChange(position: UInt64(position), entry: .tombstone(row.entry.shard))
                )
            }
        }
        changesTold += changes.count
        return OrderDelta(
            terms: order.terms,
            state: order.state,
            changes: changes,
            next: next,
            grants: order.grant.map { [$0] } ?? []
        )
    }

    // MARK: Proofs

    mutating func answer(_ challenge: Challenge) throws -> ChallengeAnswer {
        challenges += 1
        guard let order = orders[challenge.order], order.state.sequence >= challenge.sequence else {
            return .unknownOrder
        }
        guard order.state.sequence == challenge.sequence else {
            return .stale(order.state, order.grant)
        }
        let reported = damaged.filter { order.tree.position(of: $0) != nil }.sorted()
        let proof = try Prover.prove(
            challenge,
            over: order.tree,
            damaged: reported,
            signedBy: key,
            reading: read
        )
        guard forges else { return .proof(proof) }
        var body = proof.body
        body[body.count / 2] ^= 1
        return .proof(
            try Proof(challenge: challenge, body: body, damaged: [], signedBy: key)
        )
    }

    private func read(_ entry: OrderEntry, _ leaves: [Int]) -> [LeafAnswer] {
        guard let shard = shards[entry.shard] else { return leaves.map { _ in .missing } }
        let leafCount = shard.bytes.count / Geometry.leafBytes
        guard let chunks = MerkleChunks(leafCount: leafCount, roots: shard.chunkRoots) else {
            return leaves.map { _ in .corrupt }
        }
        return shard.bytes.withUnsafeBytes { bytes in
            leaves.map { leaf in
                let start = leaf / MerkleTree.chunkLeaves * MerkleTree.chunkBytes
                let end = min(start + MerkleTree.chunkBytes, bytes.count)
                let chunk = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
                guard let path = chunks.path(leaf: leaf, chunk: chunk) else { return .corrupt }
                let first = leaf * Geometry.leafBytes
                return .leaf(bytes: Array(bytes[first..<first + Geometry.leafBytes]), path: path)
            }
        }
    }

    // MARK: Misfortunes

    mutating func flip(_ shard: ShardID, byte: Int = 0) { shards[shard]?.bytes[byte] ^= 1 }

    mutating func wipe() {
        shards = [:]
        orders = [:]
        grants = []
        damaged = []
    }
}
