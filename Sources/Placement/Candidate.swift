package import Primitives

/// A provider that may be given a shard.
package struct Candidate: Hashable, Sendable {
    package let id: NodeID
    /// Providers of one failure domain may be lost together: an owner, a site, a network.
    package let domain: String
    package let freeBytes: UInt64
    /// Its share of shards compared with others'; nothing is placed at 0, below, or NaN.
    package let weight: Double

    package init(id: NodeID, domain: String, freeBytes: UInt64, weight: Double) {
        self.id = id
        self.domain = domain
        self.freeBytes = freeBytes
        self.weight = weight
    }
}
