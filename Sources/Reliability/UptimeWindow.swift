import Glibc

/// Seconds up and seconds known, both fading with the same time constant: the newest weigh most.
struct UptimeWindow: Hashable, Sendable {
    /// Knowledge that every provider starts with, as a share of the window.
    private static let priorShare = 1.0 / 24
    /// The availability that a provider nobody knows is taken to have.
    static let priorAvailability = 0.9

    /// Time constant of the fading, in seconds.
    let span: Double
    /// Both in 0...span, and `up` never more than `known`.
    var up = 0.0
    var known = 0.0

    init(span: Double) { self.span = span }

    /// Lets `elapsed` seconds pass; of the first `credited` of them it is known whether it was up.
    mutating func pass(_ elapsed: Double, credited: Double, isUp: Bool) {
        let fading = exp(-elapsed / span)
        let share = span * (1 - exp(-credited / span)) * exp(-(elapsed - credited) / span)
        known = min(span, known * fading + share)
        up = min(known, up * fading + (isUp ? share : 0))
    }

    /// The share of known seconds in which it was up, drawn to the prior while little is known.
    var availability: Double {
        let prior = span * Self.priorShare
        return (up + prior * Self.priorAvailability) / (known + prior)
    }
}
