/// Where the bytes of a file are.
package enum PlacementState: Hashable, Sendable, CustomStringConvertible {
    /// Only on the local disk, in part at least.
    case local
    /// On their way: so many of so many blocks are on providers.
    case placing(done: Int, total: Int)
    /// All on providers, as many shards as the code makes.
    case placed

    /// Parses what `description` writes: "local", "placing 3/8", "placed".
    package init?(_ text: String) {
        switch text {
        case "local": self = .local
        case "placed": self = .placed
        default:
            let words = text.split(separator: " ", omittingEmptySubsequences: false)
            guard words.count == 2, words[0] == "placing" else { return nil }
            let counts = words[1].split(separator: "/", omittingEmptySubsequences: false)
            guard counts.count == 2, let done = Int(counts[0]), let total = Int(counts[1]),
                done >= 0, done <= total
            else { return nil }
            self = .placing(done: done, total: total)
        }
    }

    package var description: String {
        switch self {
        case .local: "local"
        case .placing(let done, let total): "placing \(done)/\(total)"
        case .placed: "placed"
        }
    }
}
