import Metadata
import Network
import Primitives
import Transport

/// Finds who keeps the shards of a retained head by now.
///
/// The head names the holders of its day. Who has moved or repaired a shard since had its new
/// holder retain it too, and each provider tells what it retains.
struct RetainedHolders: Sendable {
    let owner: NodeID
    let network: any StorageNetwork

    /// Those of `shards` that another provider than the one named retains, and not the one named.
    ///
    /// A provider that does not answer counts as one that has none.
    ///
    /// - Throws: `unavailable` if nobody tells of providers.
    func moved(
        _ shards: [(shard: ShardID, provider: NodeID)]
    ) throws(FileSystemError)
        -> [ShardID: NodeID]
    {
        let providers: [NodeID]
        do throws(NetworkError) {
            providers = try network.providers().filter(\.isUp).map(\.id).sorted()
        } catch {
            throw FileSystemError(.unavailable, "no list of providers: \(error.message)")
        }
        var holders: [ShardID: [NodeID]] = [:]
        var rest = shards.map(\.shard)[...]
        while !rest.isEmpty {
            let page = Array(rest.prefix(RetainShards.shardsMax))
            rest = rest.dropFirst(page.count)
            let query = RetainShards(owner: owner, until: 0, shards: page)
            for (provider, answer) in providers.map({ ($0, network.ask(query, of: $0)) }) {
                guard let times = try? answer.wait(for: RetainShards.timeout).times else {
                    continue
                }
                for (shard, time) in zip(page, times) where time > 0 {
                    holders[shard, default: []].append(provider)
                }
            }
        }
        var moved: [ShardID: NodeID] = [:]
        for (shard, provider) in shards {
            guard let found = holders[shard], !found.contains(provider) else { continue }
            moved[shard] = found.first
        }
        return moved
    }

    /// The stripes with the holders that their shards have by now.
    func settled(_ stripes: [StripeRecord]) throws(FileSystemError) -> [StripeRecord] {
        let moved = try moved(stripes.flatMap { $0.shards.map { ($0.shard, $0.provider) } })
        return stripes.map { stripe in
            StripeRecord(
                id: stripe.id,
                code: stripe.code,
                payloadBytes: stripe.payloadBytes,
                shardBytes: stripe.shardBytes,
                shards: stripe.shards.map { shard in
                    ShardRecord(
                        index: shard.index,
                        shard: shard.shard,
                        provider: moved[shard.shard] ?? shard.provider,
                        root: shard.root
                    )
                }
            )
        }
    }
}
