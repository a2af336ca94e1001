package import Primitives

/// Why an order, or a change to one, cannot be.
package enum OrderError: Error, Hashable, Sendable, CustomStringConvertible {
    /// An entry that no order has: the shard, and what is wrong with its length or root.
    case badEntry(ShardID, reason: String)
    /// A change at a place where the order allows none.
    case badPosition(UInt64, reason: String)
    /// A live entry has that shard already.
    case duplicate(ShardID)
    /// More entries than an order may have.
    case tooManyEntries(limit: Int)
    /// A compaction of more tombstones than there are, or of none.
    case tooFewTombstones(wanted: Int)
    /// A field of a signed document is not what it must be.
    case mismatch(field: String, reason: String)
    /// A signature is not that key's.
    case badSignature(of: String)
    /// The client that signed is neither the owner nor has a grant.
    case notAllowed(NodeID)

    package var description: String {
        switch self {
        case .badEntry(let shard, let reason): "entry of shard \(shard): \(reason)"
        case .badPosition(let position, let reason): "position \(position): \(reason)"
        case .duplicate(let shard): "shard \(shard) is in the order already"
        case .tooManyEntries(let limit): "an order has at most \(limit) entries"
        case .tooFewTombstones(let wanted): "it has not got \(wanted) tombstones to take away"
        case .mismatch(let field, let reason): "\(field): \(reason)"
        case .badSignature(let what): "the signature of \(what) is not valid"
        case .notAllowed(let client): "\(client) is not the owner and has no grant for this"
        }
    }
}
