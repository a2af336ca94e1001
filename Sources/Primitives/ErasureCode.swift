/// The shape of a systematic Reed-Solomon code: `k` data shards and `m` parity shards.
package struct ErasureCode: Hashable, Sendable, CustomStringConvertible {
    /// Data shards; any `k` shards restore a stripe.
    ///
    /// 1...254.
    package let k: Int
    /// Parity shards; so many may be lost.
    ///
    /// 1...254.
    package let m: Int

    /// All shards of a stripe; at most 255, the limit of GF(2^8).
    package var n: Int { k + m }

    package init?(k: Int, m: Int) {
        guard (1...254).contains(k), (1...254).contains(m), k + m <= 255 else { return nil }
        self.k = k
        self.m = m
    }

    /// Parses "4+2".
    package init?(_ text: String) {
        let parts = text.split(separator: "+", omittingEmptySubsequences: false)
        guard parts.count == 2, let k = Int(parts[0]), let m = Int(parts[1]) else { return nil }
        self.init(k: k, m: m)
    }

    package var description: String { "\(k)+\(m)" }

    /// The most sealed bytes one stripe carries.
    package var stripeBytesMax: Int { k * Geometry.shardBytesMax }

    /// Bytes of each shard of a stripe with `payloadBytes` sealed bytes: the payload in `k` equal
    /// parts, rounded up to whole leaves.
    package func shardBytes(payloadBytes: Int) -> Int {
        let part = (payloadBytes + k - 1) / k
        return max(1, (part + Geometry.leafBytes - 1) / Geometry.leafBytes) * Geometry.leafBytes
    }
}
