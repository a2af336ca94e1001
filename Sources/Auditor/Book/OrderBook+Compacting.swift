import Logging
import Network
package import Primitives
import Proofs
import Reliability
import SQLite
import Synchronization
import Transport

/// Taking tombstones out of orders, so that what was deleted does not stay for ever.
extension OrderBook {
    /// Seconds until a provider that could not be asked is asked again.
    private static let retryInterval = 300.0
    /// Seconds until one that refused is: an older program, or a busy one.
    private static let refusedInterval = 3600.0

    /// Providers whose orders have so many tombstones that they are to be compacted.
    func compactionsDue(at time: Timestamp) -> [(provider: NodeID, order: OrderID)] {
        guard identity.mayRepair(at: time) else { return [] }
        return state.withLock { state in
            state.live.filter { provider, id in
                guard let order = state.orders[id], isWorthCompacting(order) else { return false }
                return state.compactionWaits[provider].map { $0 <= time } ?? true
            }.map { ($0.key, $0.value) }
        }
    }

    private func isWorthCompacting(_ order: HeldOrder) -> Bool {
        let count = Int(clamping: order.commitment.count)
        let tombstones = count - order.shards
        guard tombstones >= configuration.tombstonesMin else { return false }
        return 2 * tombstones >= count || count >= configuration.entriesHigh
    }

    /// Takes the tombstones out of the live order with a provider, a batch in one step.
    ///
    /// Blocks. Between two steps others may amend; each step is whole at both ends or not at all.
    package func compact(_ provider: NodeID, while goesOn: () -> Bool = { true }) {
        let lane = lane(of: provider)
        do throws(NetworkError) {
            var isLeft = true
            while isLeft, goesOn() {
                isLeft = try lane.gate.withLock { (lane) throws(NetworkError) in
                    try compactOnce(provider, in: &lane)
                }
            }
            state.withLock { $0.compactionWaits[provider] = nil }
        } catch {
            logger.info("the order with provider \(provider.short) is not compacted yet: \(error)")
            let wait = error.isTransient ? Self.retryInterval : Self.refusedInterval
            let due = now().adding(seconds: wait)
            state.withLock { $0.compactionWaits[provider] = due }
        }
    }

    /// Takes out one batch; `false` if that was the last.
    private func compactOnce(
        _ provider: NodeID,
        in lane: inout Lane
    ) throws(NetworkError) -> Bool {
        var swapsLeft = Self.swapsMax
        while let order = liveOrder(with: provider) {
            let tree = try tree(of: order, in: &lane)
            let (drops, isLast) = batch(of: tree)
            guard drops > 0 else { return false }
            // There is one tree only, so that changing it copies nothing; read again if this fails.
            lane = Lane()
            do throws(NetworkError) {
                try send(dropping: drops, of: tree, to: order, in: &lane)
                return !isLast
            } catch  where error.code == .exists && swapsLeft > 0 {
                swapsLeft -= 1
                _ = try resync(order, in: &lane)
            } catch  where error.code == .notFound {
                try confirmLost(order, in: &lane, error)
            }
        }
        return false
    }

    private func batch(of tree: OrderTree) -> (drops: Int, isLast: Bool) {
        let limit = min(max(1, configuration.tombstonesPerStep), Int(CompactOrder.dropsMax))
        let drops = min(tree.tombstoneCount, limit)
        return (drops, drops == tree.tombstoneCount)
    }

    private func send(
        dropping drops: Int,
        of tree: consuming OrderTree,
        to order: HeldOrder,
        in lane: inout Lane
    ) throws(NetworkError) {
        let moves: [OrderTree.Move]
        do throws(OrderError) {
            moves = try tree.compact(dropping: drops)
        } catch {
            throw NetworkError(.refused, "order \(order.id.short): \(error)")
        }
        let state = try countersigned(tree.commitment, after: order) { proposal in
            CompactOrder(
                order: order.id,
                baseSequence: order.state.sequence,
                drops: UInt32(clamping: drops),
                proposal: proposal,
                grant: identity.grant
            )
        }
        let count = tree.count
        try write { (store) throws(SQLiteError) in
            try store.compact(moves, of: order.row, state: state, count: count)
        }
        var compacted = order
        compacted.state = state
        merge(compacted)
        lane = Lane(tree: tree, order: order.id, usedAt: now(), isConfirmed: true)
        logger.debug("order \(order.id.short) has \(count) entries, \(drops) fewer")
    }
}
