import Primitives

extension CheckScan {
    /// Stripes and shards by themselves; `StripeLayoutCheck` compares them with their blocks.
    static let stripes: [CheckScan] = [stripeValues, shardValues, deadShards]

    private static let stripeValues = CheckScan(
        """
        SELECT 'stripe ' || lower(hex(s.id)), CASE
            WHEN typeof(s.id) <> 'blob' OR length(s.id) <> \(Bound.id)
                THEN 'badStripe:' || length(s.id) || ' bytes are no id'
            WHEN s.state = 4 AND s.id <> \(Bound.lost) THEN 'badStripe:state 4'
            WHEN typeof(s.k) <> 'integer' OR typeof(s.m) <> 'integer' OR s.k NOT BETWEEN 1 AND 254
                OR s.m NOT BETWEEN 1 AND 254 OR s.k + s.m > 255
                THEN 'badStripe:code ' || quote(s.k) || '+' || quote(s.m)
            WHEN typeof(s.state) <> 'integer' OR s.state NOT BETWEEN 1 AND 4
                THEN 'badStripe:state ' || quote(s.state)
            WHEN typeof(s.shard_bytes) <> 'integer' OR s.shard_bytes % \(Geometry.leafBytes) <> 0
                OR s.shard_bytes NOT BETWEEN \(Geometry.leafBytes) AND \(Geometry.shardBytesMax)
                THEN 'badStripe:shard_bytes ' || quote(s.shard_bytes)
            WHEN typeof(s.payload_bytes) <> 'integer' OR s.payload_bytes < (s.state <> 3)
                OR (s.payload_bytes > 0 AND s.shard_bytes <> \(Geometry.leafBytes) * (
                    ((s.payload_bytes + s.k - 1) / s.k + \(Geometry.leafBytes) - 1)
                    / \(Geometry.leafBytes)
                )) THEN 'badStripe:' || quote(s.payload_bytes) || ' bytes in shards of '
                    || s.shard_bytes
            WHEN s.state = 4 THEN CASE WHEN EXISTS(SELECT 1 FROM shard h WHERE h.stripe = s.id)
                THEN 'wrongShardCount:the stripe of lost blocks has shards' END
            WHEN s.state = 3 AND NOT EXISTS(SELECT 1 FROM shard h WHERE h.stripe = s.id)
                THEN 'wrongShardCount:a dead stripe without shards'
            WHEN s.state <> 3 AND NOT EXISTS(
                SELECT 1 FROM meta
                WHERE key = '\(MetaKey.rewritePrefix)' || lower(hex(s.id)) AND value = 1
            ) THEN (
                SELECT CASE
                    WHEN COUNT(*) <> s.k + s.m OR MIN(h.idx) <> 0 OR MAX(h.idx) <> s.k + s.m - 1
                        THEN 'wrongShardCount:' || COUNT(*) || ' shards of ' || (s.k + s.m)
                            || ' are listed'
                    WHEN COUNT(DISTINCT h.provider) <> s.k + s.m
                        THEN 'sharedProvider:its ' || (s.k + s.m) || ' shards are at '
                            || COUNT(DISTINCT h.provider) || ' providers'
                    END
                FROM shard h WHERE h.stripe = s.id
            ) END AS wrong
        FROM stripe s WHERE wrong IS NOT NULL
        """
    )

    private static let shardValues = CheckScan(
        """
        SELECT 'shard ' || h.idx || ' of stripe ' || lower(hex(h.stripe)), CASE
            WHEN s.id IS NULL THEN 'shardOfNobody:the stripe does not exist'
            WHEN typeof(h.idx) <> 'integer' OR h.idx NOT BETWEEN 0 AND s.k + s.m - 1
                THEN 'badShard:a stripe of ' || s.k || '+' || s.m || ' has no such shard'
            WHEN typeof(h.shard) <> 'blob' OR length(h.shard) <> \(ShardID.byteCount)
                THEN 'badShard:' || length(h.shard) || ' bytes are no id'
            WHEN typeof(h.provider) <> 'blob' OR length(h.provider) <> \(NodeID.byteCount)
                THEN 'badShard:' || length(h.provider) || ' bytes are no provider'
            WHEN typeof(h.root) <> 'blob' OR length(h.root) <> \(Digest.byteCount)
                THEN 'badShard:' || length(h.root) || ' bytes are no root'
            END AS wrong
        FROM shard h LEFT JOIN stripe s ON s.id = h.stripe WHERE wrong IS NOT NULL
        """
    )

    /// A shard on the list of what is to be deleted that a living stripe has at the same place.
    private static let deadShards = CheckScan(
        """
        SELECT 'shard ' || h.idx || ' of stripe ' || lower(hex(h.stripe)),
            'deadShardInUse:it is to be deleted at provider ' || lower(hex(h.provider))
            || ', and is needed there'
        FROM shard h JOIN stripe s ON s.id = h.stripe AND s.state <> 3
        WHERE (h.shard, h.provider) IN (
            SELECT d.shard, d.provider FROM stripe t JOIN shard d ON d.stripe = t.id
            WHERE t.state <> 2 AND t.state = 3
        )
        """
    )
}
