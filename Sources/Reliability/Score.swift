import Glibc
package import Primitives
import Proofs
package import Wire

/// How far one may rely on a provider, and why.
package struct Score: Hashable, Message {
    /// The most reasons, and the longest one, in bytes.
    package static let reasonsMax = 16
    package static let reasonBytesMax = 200
    /// A score is about what is lost within so many seconds: 30 days.
    package static let horizonSeconds = Span.month
    /// What a provider that forged is worth at most.
    private static let forgedValueMax = 0.1
    /// The prior of losing all: one provider in 25 a year, as if 0.2 of 5 years were seen to fail.
    private static let lossesPrior = 0.2
    private static let yearsPrior = 5.0
    /// No proof makes a disk last for ever: at least 1 % a year.
    private static let yearlyLossMin = 0.01
    /// New providers take so little at first, and their whole share after `rampSeconds` of uptime.
    private static let rampStart = 0.1
    static let rampSeconds = 7 * Span.day

    /// 0...1: availability × (1 - loss), with caps.
    package let value: Double
    /// 0...1: the share of time at which it answers.
    package let availability: Double
    /// 0...1: the probability that a shard it holds is lost within 30 days.
    package let lossProbability: Double
    /// 0...1: how much of its full share a new provider may be given.
    package let ramp: Double
    /// Less than seven days of known uptime.
    package let isNew: Bool
    /// A forged proof is held against it: nothing is placed there.
    package let isBarred: Bool
    /// In plain words, with numbers, the weightiest first.
    package let reasons: [String]

    /// The score of what `history` tells, at `time`.
    ///
    /// Without reasons unless `explained`, for who needs thousands.
    package init(of history: ProviderHistory, at time: Timestamp, explained: Bool = true) {
        var now = history
        now.advance(to: time)
        let offline = history.offlineSeconds(at: time)
        availability = Self.availability(now)
        let yearly = Self.yearlyLoss(now)
        let node = 1 - exp(-yearly * Self.horizonSeconds / Span.year)
        let damage = 1 - exp(-(now.damage + now.admitted + now.forgery))
        let gone = history.outageModel.neverReturns(after: offline)
        lossProbability = (1 - (1 - node) * (1 - damage) * (1 - gone)).clampedToUnit(ifNaN: 1)
        isBarred = now.forgedAt != nil
        isNew = now.upSeconds < Self.rampSeconds
        ramp = Self.rampStart + (1 - Self.rampStart) * min(1, now.upSeconds / Self.rampSeconds)
        let worth = availability * (1 - lossProbability)
        value = isBarred ? min(worth, Self.forgedValueMax) : worth
        reasons =
            explained
            ? now.reasons(offline: offline, gone: gone, yearlyLoss: yearly, ramp: ramp) : []
    }

    /// Of a provider that nobody has seen.
    package static let unknown = Score(
        of: ProviderHistory(firstSeen: .epoch),
        at: .epoch
    )

    /// Its share of new shards, compared with others'.
    ///
    /// The eighth power of its value: a stripe is as good as its worst holders, and every outage
    /// may cost k reads. In a simulated year it halves the traffic of repairs against the square.
    /// Above 0 for all but those that forged.
    package var placementWeight: Double {
        isBarred ? 0 : max(0.001, ramp * pow(value, 8))
    }

    private static func availability(_ history: ProviderHistory) -> Double {
        let uptime =
            0.2 * history.hour.availability + 0.3 * history.day.availability
            + 0.5 * history.month.availability
        // Eight reads are taken to have gone well, so that one failure is no verdict.
        let reads =
            (history.readsGood + 8) / (history.readsGood + history.readsFailed + 8)
        return (uptime * reads).clampedToUnit(ifNaN: 0)
    }

    /// Bayes with a Gamma prior: proved time without loss lowers it, down to the floor.
    private static func yearlyLoss(_ history: ProviderHistory) -> Double {
        max(yearlyLossMin, lossesPrior / (yearsPrior + history.provenSeconds / Span.year))
    }

    package func write(to writer: inout ByteWriter) {
        for number in [value, availability, lossProbability, ramp] { writer.real(number) }
        writer.boolean(isNew)
        writer.boolean(isBarred)
        writer.integer(UInt32(reasons.count))
        for reason in reasons { writer.string(reason) }
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        value = try reader.real("score", limit: 1)
        availability = try reader.real("availability", limit: 1)
        lossProbability = try reader.real("loss probability", limit: 1)
        ramp = try reader.real("ramp", limit: 1)
        isNew = try reader.boolean("new")
        isBarred = try reader.boolean("barred")
        let count = try reader.count("reasons", limit: Self.reasonsMax)
        var reasons: [String] = []
        for _ in 0..<count {
            reasons.append(try reader.label("reason", limit: Self.reasonBytesMax))
        }
        self.reasons = reasons
    }
}
