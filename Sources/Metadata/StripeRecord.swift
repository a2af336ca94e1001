package import Primitives

/// One shard of a stripe: what it is called, who holds it, and the root of its Merkle tree.
package struct ShardRecord: Hashable, Sendable {
    /// Its column: 0..<k are data, k..<n parity.
    package let index: Int
    package let shard: ShardID
    package let provider: NodeID
    package let root: Digest

    package init(index: Int, shard: ShardID, provider: NodeID, root: Digest) {
        self.index = index
        self.shard = shard
        self.provider = provider
        self.root = root
    }

    /// By name alone: roots follow from random keys, and the order in which sets are written must
    /// not, or a simulation would not repeat.
    package func hash(into hasher: inout Hasher) { hasher.combine(shard) }
}

/// A stripe and its shards.
package struct StripeRecord: Hashable, Sendable {
    package let id: StripeID
    package let code: ErasureCode
    /// Sealed bytes in it.
    package let payloadBytes: Int
    /// Bytes of each shard.
    package let shardBytes: Int
    package let shards: [ShardRecord]

    package init(
        id: StripeID,
        code: ErasureCode,
        payloadBytes: Int,
        shardBytes: Int,
        shards: [ShardRecord]
    ) {
        self.id = id
        self.code = code
        self.payloadBytes = payloadBytes
        self.shardBytes = shardBytes
        self.shards = shards
    }
}

/// A shard that nothing needs any more; its provider should be told.
package struct DeadShard: Hashable, Sendable {
    package let stripe: StripeID
    package let record: ShardRecord

    package init(stripe: StripeID, record: ShardRecord) {
        self.stripe = stripe
        self.record = record
    }
}

/// A shard of a placed stripe that has another holder than before, byte for byte the same.
package struct ShardMove: Hashable, Sendable {
    package let stripe: StripeID
    /// The shard's column.
    package let index: Int
    package let from: NodeID
    package let to: NodeID

    package init(stripe: StripeID, index: Int, from: NodeID, to: NodeID) {
        self.stripe = stripe
        self.index = index
        self.from = from
        self.to = to
    }
}

/// How far a stripe has come.
///
/// The numbers are part of the schema.
enum StripeState: Int64, Sendable {
    /// Its shards are being sent; nothing refers to it yet.
    case placing = 1
    case placed = 2
    /// Nothing refers to it; its shards can be deleted at their providers.
    case dead = 3
    /// The one stripe of blocks whose bytes are lost (`StripeID.lost`); it has no shards.
    case lost = 4
}
