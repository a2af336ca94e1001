import Logging
import Network
import Primitives
import Proofs
import SQLite
import Transport

/// Shards that are kept until a time, whatever is asked before: no request takes one out of its
/// order or deletes it, not even its owner's.
///
/// A time only ever grows. Only shards under order are retained, so that they stay audited, and
/// nobody locks room that was not agreed on.
extension ProviderOrders {
    /// Keeps shards until a time at least, or tells how they stand; durable when this returns.
    func retain(_ query: RetainShards, from peer: NodeID) throws(NetworkError) -> RetainedShards {
        try check(peer, actsFor: query.owner)
        let latest = now().seconds + RetainShards.secondsMax
        guard query.until <= latest else {
            throw NetworkError(
                .malformed,
                "shards are retained until \(Self.text(latest)) at most, not until"
                    + " \(Self.text(query.until))"
            )
        }
        return try withState { state in
            var held: Set<ShardID> = []
            for id in state.byOwner[query.owner, default: []] {
                guard let tree = try bindingTree(of: id, in: &state) else { continue }
                held.formUnion(query.shards.filter { tree.position(of: $0) != nil })
            }
            // One that is about to be deleted is in no order any more.
            if query.until > 0 { try state.database.retain(held, until: query.until) }
            return RetainedShards(
                times: try query.shards.map { shard in
                    held.contains(shard) ? try state.database.retention(of: shard) : 0
                }
            )
        }
    }

    /// Refuses to let go of shards that are retained still.
    ///
    /// One that is known to be damaged or gone may be let go of: there is nothing to protect, and
    /// its owner has to put it elsewhere. So may all of a provider that leaves, which only its own
    /// key has it do: what they hold is brought to others, and locked there, before it is gone.
    func checkLetGo(
        _ shards: some Sequence<ShardID>,
        in state: State
    ) throws {
        guard !leaving.isLeaving else { return }
        let time = now().seconds
        for shard in shards {
            let until = try state.database.retention(of: shard)
            guard until > time, try store.stored(shard) != nil else { continue }
            throw NetworkError(
                .retained,
                "shard \(shard.short) is retained until \(Self.text(until)); ask again after that"
            )
        }
    }

    private static func text(_ seconds: Int64) -> String {
        Timestamp(seconds: seconds, nanoseconds: 0).text
    }
}
