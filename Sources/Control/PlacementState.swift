package import Primitives

/// Where the bytes of a file are.
package enum PlacementState: Hashable, Sendable, CustomStringConvertible {
    /// Only on the local disk, in part at least.
    case local
    /// On their way: so many of so many blocks are on providers.
    case placing(done: Int, total: Int)
    /// All on providers, as many shards as the code makes.
    case placed
    /// Placed, and every provider has proved since that it holds its shards; the first of these
    /// proofs was made then.
    case proved(Timestamp)

    /// Parses what `description` writes.
    ///
    /// "local", "placing 3/8", "placed", "proved 2026-11-22T18:05:09Z".
    package init?(_ text: String) {
        switch text {
        case "local": self = .local
        case "placed": self = .placed
        default:
            let words = text.split(separator: " ", omittingEmptySubsequences: false)
            guard words.count == 2 else { return nil }
            if words[0] == "proved", let time = Timestamp(text: String(words[1])) {
                self = .proved(time)
                return
            }
            guard words[0] == "placing" else { return nil }
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
        case .proved(let time): "proved \(time.text)"
        }
    }

    /// Whether all is on providers, proved or not.
    package var isPlaced: Bool {
        switch self {
        case .local, .placing: false
        case .placed, .proved: true
        }
    }

    /// Whether every provider has proved that it holds its part.
    package var isProved: Bool {
        if case .proved = self { true } else { false }
    }
}
