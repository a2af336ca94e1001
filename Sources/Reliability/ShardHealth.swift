package import Primitives

/// One shard of a stripe, as the one who looks after the stripe sees it.
package struct ShardHealth: Hashable, Sendable {
    /// What is known of it.
    package enum State: Hashable, Sendable {
        /// Its holder answers, and the last audit found nothing wrong.
        case healthy
        /// Its holder is offline since then; it may come back with the shard.
        case suspect(since: Timestamp)
        /// Known since then to be gone: missing, corrupt, or its holder left.
        case lost(since: Timestamp)
    }

    package let state: State
    /// The probability that it is lost within 30 days, from its holder's score.
    package let lossProbability: Double

    package init(_ state: State, lossProbability: Double) {
        self.state = state
        self.lossProbability = lossProbability
    }

    package var isHealthy: Bool { state == .healthy }
}
