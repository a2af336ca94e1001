import Logging
import Network
import Primitives
import Transport

/// A shard that was brought back or moved is kept at its new holder for as long as the stripe's
/// others are at theirs: the lock of a snapshot is one of shards, wherever they are.
extension Repairer {
    /// Holders that are asked how long they keep theirs: one would do, if it were sure to answer.
    private static let askedMax = 8

    func retain(
        _ holding: ShardHolding,
        of stripe: StripeManifest,
        at target: NodeID,
        _ context: Context
    ) {
        let until = retention(of: stripe, context)
        guard until > book.now().seconds else { return }
        // Only what is under order is retained.
        book.flush(target)
        let query = RetainShards(owner: identity.owner, until: until, shards: [holding.shard])
        do throws(NetworkError) {
            let times = try network.ask(query, of: target).wait(for: RetainShards.timeout).times
            guard times == [until] || times.first.map({ $0 > until }) ?? false else {
                throw NetworkError(.refused, "it is under no order there")
            }
        } catch {
            // An open volume asks again; a keeper has no other chance.
            logger.warning(
                "shard \(holding.shard.short) is not locked at provider \(target.short): \(error)"
            )
        }
    }

    /// Until when any holder of the stripe's shards keeps its own, in seconds since 1970; 0 if none
    /// says so.
    private func retention(of stripe: StripeManifest, _ context: Context) -> Int64 {
        let holders = stripe.shards.filter { context.view.isReachable($0.provider) }
            .prefix(Self.askedMax)
        let answers = holders.map { holder in
            network.ask(
                RetainShards(owner: identity.owner, until: 0, shards: [holder.shard]),
                of: holder.provider
            )
        }
        return answers.map { answer -> Int64 in
            let times = try? answer.wait(for: RetainShards.timeout).times
            return times?.first ?? 0
        }.max() ?? 0
    }
}
