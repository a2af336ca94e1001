package import Network
package import Primitives

/// The stripes that are looked after: the mount's metadata, or what a keeper was told of them.
///
/// Called from several threads at once.
package protocol StripeSource: Sendable {
    /// Placed stripes behind `after`, ascending by id, at most `limit`; empty at the end.
    func stripes(after: StripeID?, limit: Int) throws -> [StripeManifest]

    /// One placed stripe; `nil` if it is no more, or not placed.
    func stripe(_ id: StripeID) throws -> StripeManifest?

    /// Durable: shard `index` is with `to` now, byte for byte the same.
    ///
    /// `from`'s copy is to be removed later, by the custodian. `false`, and nothing changed, if the
    /// stripe is no more or its holder is not `from`.
    func moveShard(_ stripe: StripeID, index: Int, from: NodeID, to: NodeID) throws -> Bool
}
