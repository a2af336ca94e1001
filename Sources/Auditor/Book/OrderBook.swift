import Disk
package import Logging
package import Network
package import Primitives
package import Proofs
import Reliability
import SQLite
import Sealing
import Synchronization
package import Transport

/// The orders of one volume, one live at each provider, and what their audits showed.
///
/// Its file may be lost: providers tell orders and entries again, and only histories and receipts
/// are gone. Locks, in the order in which they are taken: a provider's lane (held while the
/// provider is asked to change its order), the file, the state in memory.
package final class OrderBook: Sendable {
    /// Entries that wait for an amendment; more are found again by comparing with the stripes.
    private static let queuedMax = 1 << 16
    /// Entries of one amendment.
    static let batchMax = 1024
    /// So many entries do not wait for others.
    static let batchUsual = 256

    /// Entries that wait to be put under order.
    struct Queue {
        var entries: [ShardID: OrderEntry] = [:]
        /// When the oldest came.
        var since: Timestamp
        /// After a failure, not before this.
        var notBefore: Timestamp?
        var failures = 0
    }

    struct State {
        /// By id; retired ones too.
        var orders: [OrderID: HeldOrder] = [:]
        var live: [NodeID: OrderID] = [:]
        /// Providers that were asked for orders we do not know, and have none.
        var withoutOrder: Set<NodeID> = []
        /// Orders that their providers have, but cannot read any more.
        var abandoned: Set<OrderID> = []
        var queues: [NodeID: Queue] = [:]
        /// Providers that compacted no order, and are not asked to before.
        var compactionWaits: [NodeID: Timestamp] = [:]
        var losses: [Copy: Loss] = [:]
        var histories: [NodeID: ProviderHistory] = [:]
        var beacons: [[UInt8]: BeaconBlock] = [:]
        var grants: [Grant] = []
        /// Entries may be missing that are neither in an order nor queued.
        var mustReconcile = true
        /// Grows when an order comes, goes, or is audited.
        var version = 0
        /// Grows when a shard is known to be lost.
        var lossVersion = 0
    }

    /// What is kept of a provider's order between two amendments.
    struct Lane {
        var tree: OrderTree?
        var order: OrderID?
        var usedAt: Timestamp = .epoch
        /// Whether the book has what the provider has, if nobody else amends: `false` at the start,
        /// and while an answer may have been lost.
        var isConfirmed = false
    }

    let identity: CustodyIdentity
    let configuration: CustodyConfiguration
    let network: any StorageNetwork
    let logger: Logger
    let now: @Sendable () -> Timestamp
    let store: Mutex<BookStore>
    let state: Mutex<State>
    private let lanes = Mutex<[NodeID: ProviderLane]>([:])

    /// Opens the book at `path`, or begins one.
    package init(
        path: String,
        identity: CustodyIdentity,
        network: any StorageNetwork,
        configuration: CustodyConfiguration = CustodyConfiguration(),
        logger: Logger,
        now: @escaping @Sendable () -> Timestamp = { Clock.now() }
    ) throws(CustodyError) {
        self.identity = identity
        self.configuration = configuration
        self.network = network
        self.logger = logger
        self.now = now
        do throws(SQLiteError) {
            let store = try BookStore(path: path, logger: logger)
            state = Mutex(try Self.load(store, identity))
            self.store = Mutex(store)
        } catch {
            throw CustodyError(.storage, "the book of orders cannot be read: \(error)")
        }
    }

    private static func load(
        _ store: BookStore,
        _ identity: CustodyIdentity
    ) throws(SQLiteError) -> sending State {
        var state = State()
        for order in try store.orders() {
            state.orders[order.id] = order
            if order.isLive { state.live[order.provider] = order.id }
        }
        state.losses = try store.losses()
        state.histories = try store.histories()
        state.grants = try store.grants()
        if let grant = identity.grant { state.grants.append(grant) }
        for block in try store.newestBeacons() { state.beacons[block.keeperKey.bytes] = block }
        return state
    }

    func lane(of provider: NodeID) -> ProviderLane {
        lanes.withLock { lanes in
            if let lane = lanes[provider] { return lane }
            let lane = ProviderLane()
            lanes[provider] = lane
            return lane
        }
    }

    /// Forgets the trees that nobody amended for `age`.
    func dropIdleTrees(olderThan age: Double) {
        let time = now()
        for lane in lanes.withLock({ Array($0.values) }) {
            lane.gate.withLockIfAvailable { lane in
                if lane.tree != nil, time.seconds(since: lane.usedAt) > age { lane.tree = nil }
            }
        }
    }

    // MARK: Hosts

    /// Opens or finds the volume's order at a provider, which takes no shard before; cached.
    ///
    /// Blocks the first time.
    package func ensureOrder(with provider: NodeID) throws(NetworkError) {
        if liveOrder(with: provider) != nil { return }
        let lane = lane(of: provider)
        try lane.gate.withLock { (lane) throws(NetworkError) in
            _ = try ensureOrder(with: provider, in: &lane)
        }
    }

    /// Puts shards that a provider holds under order soon: queued, amended in batches.
    package func add(_ entries: [OrderEntry], to provider: NodeID) {
        let time = now()
        let isFull = state.withLock { state in
            var queue = state.queues[provider] ?? Queue(since: time)
            for entry in entries {
                guard queue.entries.count < Self.queuedMax || queue.entries[entry.shard] != nil
                else {
                    state.mustReconcile = true
                    break
                }
                queue.entries[entry.shard] = entry
            }
            state.queues[provider] = queue
            return state.mustReconcile
        }
        if isFull { logger.debug("provider \(provider.short) is not told of all its shards yet") }
    }

    /// Takes shards out of the order with a provider, which may be told to delete them then.
    ///
    /// Blocks. Shards that are not under order are skipped.
    package func remove(_ shards: [ShardID], from provider: NodeID) throws(NetworkError) {
        let lane = lane(of: provider)
        try lane.gate.withLock { (lane) throws(NetworkError) in
            cancel(shards, at: provider)
            guard try findOrder(with: provider, in: &lane) != nil else { return }
            try amend(provider, adding: [], removing: shards, in: &lane)
        }
        let copies = shards.map { Copy(shard: $0, provider: provider) }
        forgetLosses(copies)
    }

    private func cancel(_ shards: [ShardID], at provider: NodeID) {
        state.withLock { state in
            guard var queue = state.queues[provider] else { return }
            for shard in shards { queue.entries[shard] = nil }
            state.queues[provider] = queue.entries.isEmpty ? nil : queue
        }
    }

    /// When the provider last proved an order that had the shard; `nil` if it never did, or if the
    /// shard is known to be lost there.
    package func provedAt(_ shard: ShardID, at provider: NodeID) -> Timestamp? {
        let proved = state.withLock { state -> (row: Int64, receipt: Receipt)? in
            guard let id = state.live[provider], let order = state.orders[id],
                state.losses[Copy(shard: shard, provider: provider)] == nil,
                let receipt = order.lastProved
            else { return nil }
            return (order.row, receipt)
        }
        guard let proved else { return nil }
        let added = store.withLock { store in try? store.added(shard, in: proved.row) }
        guard let added, added <= proved.receipt.sequence else { return nil }
        return proved.receipt.answered
    }

    /// All orders, live ones first.
    package func orders() throws(CustodyError) -> [CustodyOrder] {
        state.withLock { $0.orders.values.map(\.summary) }
            .sorted { ($0.isLive ? 0 : 1, $0.id) < ($1.isLive ? 0 : 1, $1.id) }
    }

    // MARK: Orders in memory

    func liveOrder(with provider: NodeID) -> HeldOrder? {
        state.withLock { state in state.live[provider].flatMap { state.orders[$0] } }
    }

    func order(_ id: OrderID) -> HeldOrder? { state.withLock { $0.orders[id] } }

    var liveOrders: [HeldOrder] {
        state.withLock { state in state.live.values.compactMap { state.orders[$0] } }
    }

    /// Takes state and count of shards; what audits noted meanwhile stays.
    func merge(_ order: HeldOrder) {
        state.withLock { state in
            state.orders[order.id]?.state = order.state
            state.orders[order.id]?.shards = order.shards
            state.version += 1
        }
    }

    /// All orders, for what is told of them.
    var allOrders: [HeldOrder] { state.withLock { Array($0.orders.values) } }

    /// The grant that vouches for who proposed a state; `nil` for the owner's.
    func grant(for order: OrderState) -> Grant? {
        guard order.proposal.clientKey != identity.ownerKey else { return nil }
        let client = order.proposal.clientKey.nodeID
        return state.withLock { state in state.grants.first { $0.grantee == client } }
    }

    func update(_ order: HeldOrder) {
        state.withLock { state in
            state.orders[order.id] = order
            if order.isLive {
                state.live[order.provider] = order.id
                state.withoutOrder.remove(order.provider)
            } else if state.live[order.provider] == order.id {
                state.live[order.provider] = nil
            }
            state.version += 1
        }
    }
}

/// Held while a provider is asked to change its order: one amendment at a time.
final class ProviderLane: Sendable {
    let gate = Mutex(OrderBook.Lane())
}

extension NetworkError {
    /// The book itself failed: the caller tries again later, as after any other failure here.
    init(_ error: SQLiteError) {
        self.init(.closed, "the book of orders: \(error)")
    }
}
