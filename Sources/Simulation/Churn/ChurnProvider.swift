import Primitives
import Reliability

/// A simulated provider: how it comes and goes, and what is known of it.
struct ChurnProvider {
    static let hour = 3_600_000.0
    static let day = 24 * hour

    let kind: ChurnClass
    let domain: Int
    /// Shards there is room for.
    let capacity: Int
    /// Milliseconds after midnight at which a nightly one is switched off.
    private let bedtime: Double

    var isUp = true
    /// Gone for good; nobody is told.
    var isDeparted = false
    /// Since when it is offline, in milliseconds; means nothing while it is up.
    var downSince: Int64 = 0
    /// Counts its comings and goings, so that events planned for an earlier state are passed over.
    var generation = 0
    var history: ProviderHistory
    var lossProbability = 0.0
    var weight = 0.0
    /// Numbers of the shards that it is to hold.
    var shards: [Int32] = []
    /// Numbers of shards rebuilt elsewhere while it was away.
    var spares: [Int32] = []

    init(
        domain: Int,
        capacity: Int,
        firstSeen: Timestamp,
        using generator: inout SeededGenerator
    ) {
        var draw = generator.uniform()
        var kind = ChurnClass.always
        for candidate in ChurnClass.allCases {
            kind = candidate
            draw -= candidate.share
            if draw < 0 { break }
        }
        self.kind = kind
        self.domain = domain
        self.capacity = capacity
        bedtime = generator.uniform(0..<Self.day)
        history = ProviderHistory(firstSeen: firstSeen)
    }

    /// How long it stays up from `now` on.
    func session(from now: Int64, using generator: inout SeededGenerator) -> Int64 {
        let length: Double
        switch kind {
        case .always:
            length = generator.heavyTailed(scale: 16 * Self.day, shape: 2)
        case .nightly:
            let time = Double(now).truncatingRemainder(dividingBy: Self.day)
            var rest = bedtime + generator.uniform(-Self.hour..<Self.hour) - time
            if rest <= Self.hour { rest += Self.day }
            // One night in ten it stays on.
            if generator.chance(0.1) { rest += Self.day }
            length = rest
        case .flaky:
            length = generator.heavyTailed(scale: 2.5 * Self.day, shape: 2)
        }
        return Int64(max(length, 60_000))
    }

    /// How long an outage lasts.
    func outage(using generator: inout SeededGenerator) -> Int64 {
        let length: Double
        switch kind {
        case .always:
            length = generator.heavyTailed(scale: 0.5 * Self.hour, shape: 1.6)
        case .nightly:
            // One night in a hundred its owner has left for some days.
            length =
                generator.chance(0.01)
                ? generator.uniform(1..<10) * Self.day : generator.uniform(6.5..<9.5) * Self.hour
        case .flaky:
            length = generator.heavyTailed(scale: 3 * Self.hour, shape: 1.4)
        }
        return Int64(min(max(length, 30_000), 90 * Self.day))
    }
}
