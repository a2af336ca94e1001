import Disk
import Logging
import Network
import Primitives
import Proofs
import SQLite
import Sealing
import Synchronization
import Transport

/// The orders of a provider: what it has signed to keep for whom, and who may ask for it.
///
/// A state is durable before it is answered, and no two states of one sequence are ever signed:
/// both would let others call this provider a forger. The lock is held over the database's
/// transactions, which is what makes compare-and-swap hold.
final class ProviderOrders: Sendable {
    /// Orders of one owner: one a volume, two while it is renewed.
    static let ordersPerOwnerMax = 1024
    /// Orders in all, so that strangers who open them do not fill memory and disk: 1 KiB each.
    static let ordersMax = 1 << 16
    /// Entries of all trees in memory, 200 bytes each; the trees used last stay beyond that.
    private static let entriesInMemoryMax = 1 << 20

    struct State {
        let database: OrderDatabase
        var orders: [OrderID: HeldOrder] = [:]
        var byOwner: [NodeID: [OrderID]] = [:]
        /// Those in memory, and when each was last used, in uses of any.
        var trees: [OrderID: (tree: OrderTree, lastUse: UInt64)] = [:]
        var uses: UInt64 = 0
        var grants: GrantTable
        /// Shards whose deletion is under way, with how many requests ask for it: until the store
        /// has answered, no amendment may add them.
        var deleting: [ShardID: Int] = [:]
    }

    let provider: SigningKey
    let store: ShardStore
    let leaving: LeavingMark
    /// The wall clock, by which shards are retained.
    let now: @Sendable () -> Timestamp
    let logger: Logger
    /// Not a `Mutex`, which would not let a closure from elsewhere touch the database.
    private let state: Condition<State>
    private let orderCount: Atomic<Int>

    init(
        path: String,
        provider: SigningKey,
        store: ShardStore,
        leaving: LeavingMark,
        now: @escaping @Sendable () -> Timestamp,
        logger: Logger
    ) throws(NodeError) {
        self.provider = provider
        self.store = store
        self.leaving = leaving
        self.now = now
        self.logger = logger
        do throws(SQLiteError) {
            let database = try OrderDatabase(path: path)
            let heads = try database.heads().map(HeldOrder.init)
            orderCount = Atomic(heads.count)
            state = Condition(
                State(
                    database: database,
                    orders: Dictionary(uniqueKeysWithValues: heads.map { ($0.id, $0) }),
                    byOwner: Dictionary(grouping: heads, by: \.owner).mapValues { $0.map(\.id) },
                    grants: GrantTable(try database.grants())
                )
            )
        } catch {
            guard error.isCorrupt else { throw NodeError(error) }
            throw NodeError(
                .corrupt,
                "\(error); put a copy of it back, or move it away to serve shards without orders,"
                    + " which auditors will call missing"
            )
        }
    }

    /// Orders that are open.
    var count: Int { orderCount.load(ordering: .relaxed) }

    /// Tidies the database for a stop.
    func close() {
        state.withLock { state in try? state.database.checkpoint() }
    }

    /// Runs `body` with the orders; what the database throws becomes an answer.
    func withState<T>(
        _ body: (inout State) throws -> T
    ) throws(NetworkError) -> T {
        do {
            return try state.withLock { state in try body(&state) }
        } catch let error as NetworkError {
            throw error
        } catch let error as SQLiteError {
            logger.error("the orders database failed: \(error)")
            throw error.isFull
                ? NetworkError(.full, "the provider's disk is full")
                : NetworkError(.refused, "the provider's orders failed; see its log")
        } catch {
            throw NetworkError(.refused, "\(error)")
        }
    }

    func noteOpened(_ order: HeldOrder, in state: inout State) {
        state.orders[order.id] = order
        state.byOwner[order.owner, default: []].append(order.id)
        orderCount.add(1, ordering: .relaxed)
    }

    // MARK: Trees

    /// The tree of an order, loaded if it must be; others not used for long make room.
    func tree(of id: OrderID, in state: inout State) throws -> OrderTree {
        guard let order = state.orders[id] else { throw Self.unknown(id) }
        state.uses += 1
        if let loaded = state.trees[id] {
            state.trees[id]?.lastUse = state.uses
            return loaded.tree
        }
        let tree = try OrderTree(entries: try state.database.entries(of: order.number))
        guard tree.commitment == order.state.commitment else {
            logger.error("order \(id): its entries are not those of its state")
            throw NetworkError(
                .corrupt,
                "order \(id.short) is damaged at the provider; open a new generation"
            )
        }
        makeRoom(for: tree.count, in: &state)
        state.trees[id] = (tree, state.uses)
        return tree
    }

    private func makeRoom(for count: Int, in state: inout State) {
        var entries = state.trees.values.reduce(count) { $0 + $1.tree.count }
        guard entries > Self.entriesInMemoryMax else { return }
        let loaded = state.trees.sorted { $0.value.lastUse < $1.value.lastUse }
        for (id, (tree, _)) in loaded where entries > Self.entriesInMemoryMax {
            entries -= tree.count
            state.trees[id] = nil
        }
    }

    // MARK: Who may

    static func unknown(_ id: OrderID) -> NetworkError {
        NetworkError(.notFound, "order \(id.short) is not known here; open it first")
    }

    /// Checks that `peer` is the owner or has a grant with one of `rights`.
    ///
    /// - Returns: the grant, where the peer is not the owner.
    @discardableResult
    func check(
        _ peer: NodeID,
        may rights: [Grant.Rights],
        on order: HeldOrder,
        in state: State
    ) throws(NetworkError) -> Grant? {
        guard peer != order.owner else { return nil }
        for right in rights {
            let grant = state.grants.grant(
                right,
                to: peer,
                of: order.owner,
                on: order.terms.volume
            )
            if let grant { return grant }
        }
        throw NetworkError(
            .unauthorized,
            "order \(order.id.short) belongs to \(order.owner.short); present its grant to"
                + " \(peer.short) first"
        )
    }

    /// Takes the grant on an order's volume that came with a request, or that `peer` presents.
    func take(
        _ grant: Grant,
        on terms: OrderTerms,
        from peer: NodeID,
        in state: inout State
    ) throws {
        guard grant.volume == terms.volume, grant.ownerKey == terms.ownerKey else {
            throw NetworkError(
                .unauthorized,
                "the grant is on another volume than \(terms.volume.short)"
            )
        }
        guard peer == grant.grantee || peer == grant.ownerKey.nodeID else {
            throw NetworkError(.unauthorized, "a grant is presented by its grantee or its owner")
        }
        guard grant.isSignatureValid else {
            throw NetworkError(.unauthorized, "the grant's signature is not valid")
        }
        guard Clock.now() < grant.expires else {
            throw NetworkError(.unauthorized, "the grant has expired; ask its owner for a new one")
        }
        let (isNew, expired) = try state.grants.take(grant)
        for grant in expired { try state.database.remove(grant) }
        if isNew { try state.database.save(grant) }
    }

    /// Checks that `peer` may act for `owner` on shards.
    func check(_ peer: NodeID, actsFor owner: NodeID) throws(NetworkError) {
        guard peer != owner else { return }
        try withState { state in
            guard state.grants.allows(.repair, to: peer, of: owner) else {
                throw NetworkError(
                    .unauthorized,
                    "\(peer.short) has no grant of \(owner.short) to repair; present it first"
                )
            }
        }
    }
}
