package import Primitives

/// What the stripes of a volume are kept for; bytes are those of payloads.
package struct StripeUse: Hashable, Sendable {
    /// Of blocks that files or the newest checkpoint need.
    package var liveBytes: UInt64 = 0
    /// Of stripes that hold some of those.
    package var neededBytes: UInt64 = 0
    /// Stripes that only kept heads need.
    package var snapshotStripes: UInt64 = 0
    package var snapshotBytes: UInt64 = 0
    /// Stripes that nothing needs once a newer head is registered.
    package var waitingStripes: UInt64 = 0
    package var waitingBytes: UInt64 = 0
    /// Shards that are to be deleted at their providers.
    package var deadShards: UInt64 = 0
    /// Stripes that are worth writing anew.
    package var sparseStripes: UInt64 = 0
    package var sparseBytes: UInt64 = 0

    /// Nothing.
    package init() {}
}

extension MetadataReader {
    /// Adds up what stripes are kept for; `sparseBelow` is the share of a stripe below which it is
    /// worth writing anew.
    func stripeUse(sparseBelow: Double) throws(FileSystemError) -> StripeUse {
        var use = StripeUse()
        let needed = "FROM stripe WHERE state = 2 AND died IS NULL"
        // What clones share is there once.
        use.liveBytes = try number("SELECT TOTAL(MIN(live_bytes, payload_bytes)) \(needed)")
        use.neededBytes = try number("SELECT TOTAL(payload_bytes) \(needed)")
        let isKept =
            "EXISTS(SELECT 1 FROM snapshot WHERE version >= born AND version < died)"
        let released = "FROM stripe WHERE state = 2 AND died IS NOT NULL"
        use.snapshotStripes = try number("SELECT COUNT(*) \(released) AND \(isKept)")
        use.snapshotBytes = try number("SELECT TOTAL(payload_bytes) \(released) AND \(isKept)")
        use.waitingStripes = try number("SELECT COUNT(*) \(released) AND NOT \(isKept)")
        use.waitingBytes = try number("SELECT TOTAL(payload_bytes) \(released) AND NOT \(isKept)")
        use.deadShards = try number(
            "SELECT COUNT(*) FROM stripe JOIN shard ON shard.stripe = id "
                + "WHERE state <> 2 AND state = 3"
        )
        let sparse =
            "\(needed) AND live_bytes < payload_bytes * \(sparseBelow) "
            + "AND EXISTS(SELECT 1 FROM block WHERE block.stripe = stripe.id) "
            + "AND NOT EXISTS(SELECT 1 FROM snapshot WHERE version >= stripe.born)"
        use.sparseStripes = try number("SELECT COUNT(*) \(sparse)")
        use.sparseBytes = try number("SELECT TOTAL(payload_bytes) \(sparse)")
        return use
    }
}

extension MetadataStore {
    /// The ids of all shards, those that are to be deleted too; 40 bytes each.
    package func shardIDs() throws(FileSystemError) -> Set<ShardID> {
        try scan { reader throws(FileSystemError) in try reader.shardIDs() }
    }

    /// What the volume's stripes are kept for.
    ///
    /// `sparseBelow`: the share of a stripe below which it is worth writing anew.
    package func stripeUse(sparseBelow: Double) throws(FileSystemError) -> StripeUse {
        try scan { reader throws(FileSystemError) in
            try reader.stripeUse(sparseBelow: sparseBelow)
        }
    }
}
