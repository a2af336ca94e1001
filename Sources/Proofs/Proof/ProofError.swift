package import Primitives
package import Sealing

/// Why something cannot be proved or signed; never a verdict on a provider.
package enum ProofError: Error, Hashable, Sendable, CustomStringConvertible {
    /// No order can be asked this.
    case badChallenge(String)
    /// The challenge is over another state of the order.
    case otherState(asked: Commitment, held: Commitment)
    /// What was read for a shard is not an answer.
    case badAnswer(ShardID, reason: String)
    /// A beacon block that cannot be next.
    case badBeacon(String)
    case signing(SealingError)

    package var description: String {
        switch self {
        case .badChallenge(let reason): "challenge: \(reason)"
        case .otherState(let asked, let held):
            "asked for root \(asked.root.short) of \(asked.count) entries, "
                + "at hand is \(held.root.short) of \(held.count)"
        case .badAnswer(let shard, let reason): "answer for shard \(shard): \(reason)"
        case .badBeacon(let reason): "beacon: \(reason)"
        case .signing(let error): "\(error)"
        }
    }
}
