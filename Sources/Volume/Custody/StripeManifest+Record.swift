import Metadata
import Network
import Primitives

extension StripeManifest {
    /// What those who audit and repair need of a stripe.
    init(_ record: StripeRecord) {
        self.init(
            id: record.id,
            code: record.code,
            shardBytes: UInt32(clamping: record.shardBytes),
            shards: record.shards.map { shard in
                ShardHolding(
                    index: UInt8(clamping: shard.index),
                    shard: shard.shard,
                    provider: shard.provider,
                    root: shard.root
                )
            }
        )
    }
}
