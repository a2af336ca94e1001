/// Why shards cannot be placed.
package enum PlacementError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Only `available` of `needed` shards have a place; `reason` says what to add.
    case tooFew(needed: Int, available: Int, reason: String)

    package var description: String {
        switch self {
        case .tooFew(let needed, let available, let reason):
            "\(available) of \(needed) shards can be placed: \(reason)"
        }
    }
}
