import Network
import Primitives

/// What a provider is made of, for those who answer and report.
struct ProviderParts: Sendable {
    let id: NodeID
    let store: ShardStore
    let orders: ProviderOrders
    let prover: ProviderProver
    let scrubber: Scrubber
    let leaving: LeavingMark

    /// What the provider holds and how it is; never waits.
    var status: StoreStatus {
        let status = store.status
        return StoreStatus(
            capacityBytes: status.capacityBytes,
            usedBytes: status.usedBytes,
            shardCount: status.shardCount,
            orderCount: UInt64(orders.count),
            damagedShards: status.damagedShards,
            scrubbedBytes: scrubber.scrubbedBytes,
            isLeaving: leaving.isLeaving
        )
    }
}
