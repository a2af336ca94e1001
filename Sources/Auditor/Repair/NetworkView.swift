import Network
import Placement
import Primitives
import Proofs
import Reliability

/// The providers as they are just now: the directory, and what we think of each.
struct NetworkView: Sendable {
    /// One provider.
    struct Provider: Sendable {
        let record: ProviderRecord
        let score: Score
        /// Since when it is offline or answers no challenge.
        let suspectSince: Timestamp?
        /// Its last audit accused it.
        let isAccused: Bool

        /// Whether it is away for so long that its shards are missed.
        let isMissed: Bool

        /// Whether it can be asked for bytes.
        var isReachable: Bool { record.isUp }
        /// Whether it may be given shards that it never had.
        var mayTake: Bool {
            record.isUp && !record.isLeaving && suspectSince == nil && !isAccused
                && !score.isBarred
        }

        var candidate: Candidate {
            Candidate(
                id: record.id,
                domain: record.domain,
                freeBytes: record.freeBytes,
                weight: score.placementWeight
            )
        }
    }

    let providers: [NodeID: Provider]
    /// Holders that the directory does not know, and since when they are gone.
    let absent: [NodeID: Timestamp]
    let at: Timestamp

    static let empty = NetworkView(providers: [:], absent: [:], at: .epoch)

    func isReachable(_ provider: NodeID) -> Bool { providers[provider]?.isReachable ?? false }

    /// What a change of makes it worth looking at all stripes again.
    var signature: [NodeID: UInt8] {
        providers.mapValues { provider in
            (provider.isMissed ? 1 : 0) | (provider.record.isLeaving ? 2 : 0)
                | (provider.score.isBarred ? 4 : 0) | (provider.mayTake ? 8 : 0)
                | (provider.record.isUp ? 16 : 0)
        }
    }

    /// How a holding is.
    func health(_ holding: ShardHolding, loss: Loss?) -> ShardHealth {
        guard let provider = providers[holding.provider] else {
            return ShardHealth(
                loss.map { .lost(since: $0.since) }
                    ?? .suspect(since: absent[holding.provider] ?? at),
                lossProbability: Score.unknown.lossProbability
            )
        }
        if let loss {
            return ShardHealth(.lost(since: loss.since), lossProbability: 1)
        }
        if let since = provider.suspectSince, provider.isMissed {
            return ShardHealth(
                .suspect(since: since),
                lossProbability: provider.score.lossProbability
            )
        }
        return ShardHealth(.healthy, lossProbability: provider.score.lossProbability)
    }
}
