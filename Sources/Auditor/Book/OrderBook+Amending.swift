import Logging
import Network
import Primitives
import Proofs
import Reliability
import SQLite
import Synchronization
import Transport

/// Changing orders by compare-and-swap.
extension OrderBook {
    /// Times that another client may be faster.
    static let swapsMax = 6
    /// Waits after failures: 2 s, doubled up to 5 minutes.
    private static let retryFirst = 2.0
    private static let retryMax = 300.0

    // MARK: The queue

    /// Amends all orders for which something is queued.
    ///
    /// Blocks.
    package func flush() {
        for provider in state.withLock({ Array($0.queues.keys) }) { flush(provider) }
    }

    /// Providers whose queue is due.
    func queuesDue(at time: Timestamp) -> [NodeID] {
        let interval = configuration.amendInterval.inSeconds
        return state.withLock { state in
            state.queues.filter { _, queue in
                if let notBefore = queue.notBefore, notBefore > time { return false }
                return queue.entries.count >= Self.batchUsual
                    || time.seconds(since: queue.since) >= interval
            }.map(\.key)
        }
    }

    var hasQueued: Bool { state.withLock { !$0.queues.isEmpty } }

    /// Amends one order until nothing is queued for it, or a failure.
    func flush(_ provider: NodeID) {
        let lane = lane(of: provider)
        while true {
            let goesOn = lane.gate.withLock { lane in flushBatch(provider, in: &lane) }
            guard goesOn else { return }
        }
    }

    /// `false` if nothing is queued, or the provider does not take it now.
    private func flushBatch(_ provider: NodeID, in lane: inout Lane) -> Bool {
        let batch = state.withLock { state in
            Array((state.queues[provider]?.entries ?? [:]).values.prefix(Self.batchMax))
        }
        guard !batch.isEmpty else { return false }
        do throws(NetworkError) {
            _ = try ensureOrder(with: provider, in: &lane)
            try add(batch, to: provider, in: &lane)
            let time = now()
            state.withLock { state in
                state.queues[provider]?.failures = 0
                state.queues[provider]?.notBefore = nil
                state.queues[provider]?.since = time
            }
            return true
        } catch {
            putOff(provider, error)
            return false
        }
    }

    private func putOff(_ provider: NodeID, _ error: NetworkError) {
        let time = now()
        let failures = state.withLock { state -> Int in
            guard var queue = state.queues[provider] else { return 0 }
            let wait = min(Self.retryFirst * Double(1 << min(queue.failures, 20)), Self.retryMax)
            queue.failures += 1
            queue.notBefore = time.adding(seconds: wait)
            state.queues[provider] = queue
            return queue.failures
        }
        if failures == 1 {
            logger.warning("provider \(provider.short) takes no amendment yet: \(error)")
        }
    }

    /// Adds entries, and finds those that the provider refuses by halving.
    private func add(
        _ batch: [OrderEntry],
        to provider: NodeID,
        in lane: inout Lane
    ) throws(NetworkError) {
        do throws(NetworkError) {
            try amend(provider, adding: batch, removing: [], in: &lane)
            dequeue(batch, provider)
        } catch {
            guard error.code == .notFound || error.code == .malformed,
                liveOrder(with: provider) != nil
            else { throw error }
            guard batch.count > 1 else {
                noteRefused(batch[0], by: provider, error)
                return
            }
            try add(Array(batch[..<(batch.count / 2)]), to: provider, in: &lane)
            try add(Array(batch[(batch.count / 2)...]), to: provider, in: &lane)
        }
    }

    private func dequeue(_ batch: [OrderEntry], _ provider: NodeID) {
        state.withLock { state in
            guard var queue = state.queues[provider] else { return }
            for entry in batch where queue.entries[entry.shard] == entry {
                queue.entries[entry.shard] = nil
            }
            state.queues[provider] = queue.entries.isEmpty ? nil : queue
        }
    }

    /// The provider has not got what it acknowledged.
    private func noteRefused(_ entry: OrderEntry, by provider: NodeID, _ error: NetworkError) {
        logger.error("provider \(provider.short) signs for no shard \(entry.shard.short): \(error)")
        dequeue([entry], provider)
        noteLost(
            [entry.shard],
            at: provider,
            error.code == .notFound ? .missing : .corrupt
        )
    }

    // MARK: Amending

    /// Changes the live order with a provider, as often as it takes.
    ///
    /// - Throws: `notFound` after the order was retired, if the provider does not know it any more.
    func amend(
        _ provider: NodeID,
        adding: [OrderEntry],
        removing: [ShardID],
        in lane: inout Lane
    ) throws(NetworkError) {
        var swapsLeft = Self.swapsMax
        while let order = liveOrder(with: provider) {
            let tree = try tree(of: order, in: &lane)
            let changes = tree.changes(adding: adding, removing: removing)
            // What we know nothing of may be under order all the same.
            let isDone = changes.isEmpty && (removing.isEmpty || lane.isConfirmed)
            guard !isDone else { return }
            do throws(NetworkError) {
                if changes.isEmpty {
                    _ = try resync(order, in: &lane)
                } else {
                    let batch = Array(changes.prefix(AmendOrder.changesMax))
                    try send(batch, to: order, tree, in: &lane)
                }
            } catch  where error.code == .exists && swapsLeft > 0 {
                swapsLeft -= 1
                _ = try resync(order, in: &lane)
            } catch  where error.code == .notFound {
                try confirmLost(order, in: &lane, error)
            }
        }
        if !adding.isEmpty {
            throw NetworkError(.notFound, "no order with provider \(provider.short)")
        }
    }

    private func send(
        _ changes: [OrderChange],
        to order: HeldOrder,
        _ tree: OrderTree,
        in lane: inout Lane
    ) throws(NetworkError) {
        var tree = tree
        do throws(OrderError) {
            try tree.apply(changes)
        } catch {
            throw NetworkError(.refused, "order \(order.id.short): \(error)")
        }
        lane.isConfirmed = false
        let state = try countersigned(tree.commitment, after: order) { proposal in
            AmendOrder(
                order: order.id,
                baseSequence: order.state.sequence,
                changes: changes,
                proposal: proposal,
                grant: identity.grant
            )
        }
        let tombstones = changes.count { $0.entry.isTombstone }
        var amended = order
        amended.state = state
        amended.shards += changes.count - 2 * tombstones
        try write { [amended] (store) throws(SQLiteError) in
            try store.store(changes, of: amended.row, state: state, shards: amended.shards)
        }
        merge(amended)
        lane = Lane(tree: tree, order: order.id, usedAt: now(), isConfirmed: true)
    }

    /// Proposes what an order is next, and has its provider sign that.
    func countersigned<Q: ProviderQuery>(
        _ commitment: Commitment,
        after order: HeldOrder,
        _ query: (OrderProposal) -> Q
    ) throws(NetworkError) -> OrderState where Q.Answer == OrderState {
        let proposal = try proposal(
            order.id,
            sequence: order.state.sequence + 1,
            commitment
        )
        let state = try ask(query(proposal), of: order.provider)
        guard state.proposal == proposal else {
            throw NetworkError(
                .refused,
                "provider \(order.provider.short) signed something else than was proposed"
            )
        }
        try verify(state, order.terms, grants: [])
        return state
    }

    func tree(of order: HeldOrder, in lane: inout Lane) throws(NetworkError) -> OrderTree {
        if let tree = lane.tree, lane.order == order.id,
            tree.commitment == order.commitment
        {
            return tree
        }
        let entries = try read { (store) throws(SQLiteError) in try store.entries(of: order.row) }
        if let tree = try? OrderTree(entries: entries), tree.commitment == order.commitment {
            (lane.tree, lane.order, lane.usedAt) = (tree, order.id, now())
            return tree
        }
        // The book is damaged; the provider has what it signed.
        try write { (store) throws(SQLiteError) in
            try store.store([], of: order.row, state: order.state, shards: 0, count: 0)
        }
        try refetch(order, in: &lane)
        guard let tree = lane.tree else {
            throw NetworkError(.corrupt, "order \(order.id.short) cannot be read again")
        }
        return tree
    }

    // MARK: Orders that are gone

    /// Makes sure that the provider does not know an order, and retires it then.
    ///
    /// - Throws: `error` if the provider knows it, so that something else was not found.
    func confirmLost(
        _ order: HeldOrder,
        in lane: inout Lane,
        _ error: NetworkError
    ) throws(NetworkError) {
        let heads = try ask(
            OrderHead(volume: identity.volume, owner: identity.owner),
            of: order.provider
        ).orders
        guard !heads.contains(where: { $0.terms.id == order.id }) else { throw error }
        try retire(order, in: &lane)
    }

    /// Finds out what a provider has of an order that it does not prove: nothing, then the order
    /// is retired; an older state, then that is what we go on from.
    func review(_ order: HeldOrder, isDamaged: Bool) throws(NetworkError) {
        let lane = lane(of: order.provider)
        try lane.gate.withLock { (lane) throws(NetworkError) in
            guard !isDamaged else { return try retire(order, losing: false, in: &lane) }
            do throws(NetworkError) {
                try confirmLost(order, in: &lane, NetworkError(.exists, "the order is known"))
            } catch  where error.code == .exists {
                _ = try resync(order, in: &lane)
            }
        }
    }

    /// The provider does not know an order that it signed: all its shards are lost.
    ///
    /// If not `losing`, only the order is, and they are put under the next one.
    func retire(
        _ order: HeldOrder,
        losing: Bool = true,
        in lane: inout Lane
    ) throws(NetworkError) {
        let entries = try read { (store) throws(SQLiteError) in
            try store.entries(of: order.row)
        }
        let shards = entries.filter { !$0.isTombstone }.map(\.shard)
        logger.error(
            """
            provider \(order.provider.short) lost order \(order.id.short) of \(shards.count) \
            shards
            """
        )
        try write { (store) throws(SQLiteError) in try store.setLive(order.row, false) }
        var retired = self.order(order.id) ?? order
        retired.isLive = false
        update(retired)
        lane = Lane()
        // Nobody knows whether it has another one.
        forgetAbsence(of: order.provider)
        guard losing else {
            return state.withLock { state in
                state.abandoned.insert(order.id)
                state.mustReconcile = true
            }
        }
        // A keeper may have brought some back already, under the next order.
        let next = try? findOrder(with: order.provider, in: &lane)
        let kept = try read { (store) throws(SQLiteError) in
            guard let next else { return Set<ShardID>() }
            return Set(try store.entries(of: next.row).filter { !$0.isTombstone }.map(\.shard))
        }
        noteLost(shards.filter { !kept.contains($0) }, at: order.provider, .orderLost)
    }
}
