import Network
import Primitives
import Proofs
import Reliability
import SQLite
import Synchronization

/// What people see.
extension Custodian {
    /// Seconds after which the status is made again although no audit was.
    private static let statusInterval = 5.0

    /// What is known, as of the last tick; cheap.
    package var status: CustodyStatus { state.withLock { $0.status } }

    func refreshStatus(at time: Timestamp) {
        let isDue = state.withLock { Self.isOver($0.statusAt, Self.statusInterval, time) }
        guard isDue else { return }
        let block = beacons.newest
        let (orders, losses) = book.state.withLock { (Array($0.orders.values), $0.losses) }
        let byProvider = Dictionary(grouping: orders, by: \.provider)
        var lost: [NodeID: Int] = [:]
        for copy in losses.keys { lost[copy.provider, default: 0] += 1 }
        let view = state.withLock { $0.view }
        var status = CustodyStatus()
        status.epoch = block?.epoch
        status.epochSeconds = block?.epochSeconds
        for id in Set(view.providers.keys).union(byProvider.keys).sorted() {
            status.providers.append(
                provider(id, view.providers[id], byProvider[id] ?? [], lost: lost[id] ?? 0)
            )
        }
        // What a lost provider should still hold matters no more once it was rebuilt elsewhere.
        let holders = state.withLock { $0.holders }
        let live = orders.filter {
            $0.isLive && !$0.isEmpty && holders.contains($0.provider)
        }
        let proved = live.compactMap { $0.lastProved?.answered }
        status.lastProofOfAll = proved.count == live.count ? proved.min() : nil
        status.spares =
            book.attempt("copies") { (store) throws(SQLiteError) in try store.count(of: .here) }
            ?? 0
        state.withLock { [status] state in
            var status = status
            status.worstStripes = state.worst
            status.shardsMissing = state.shardsMissing
            status.repairsPending = state.concerns.count
            status.repairsDone = state.repairsDone
            status.repairedBytes = state.repairedBytes
            status.remarks = state.remarks.sorted { $0.key < $1.key }.map(\.value)
            state.status = status
            state.statusAt = time
        }
    }

    private func provider(
        _ id: NodeID,
        _ provider: NetworkView.Provider?,
        _ orders: [HeldOrder],
        lost: Int
    ) -> CustodyProvider {
        let live = orders.first(where: \.isLive)
        // A provider that lost its order has no live one, and is to be seen with that.
        let told = live?.last ?? orders.compactMap(\.last).max { $0.answered < $1.answered }
        return CustodyProvider(
            id: id,
            score: provider?.score ?? .unknown,
            isUp: provider?.record.isUp ?? false,
            isLeaving: provider?.record.isLeaving ?? false,
            lastVerdict: told?.verdict,
            lastReason: told?.reason ?? "",
            lastProved: live?.lastProved?.answered,
            orders: orders.count,
            shards: live?.shards ?? 0,
            bytes: live?.commitment.totalBytes ?? 0,
            lostShards: lost
        )
    }
}
