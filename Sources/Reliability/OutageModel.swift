import Glibc

/// How likely a provider that is offline never comes back.
///
/// Outages are of two kinds: the final one, and the others, whose lengths are heavy-tailed: a Lomax
/// survival function, S(t) = (1 + t/scale)^-1.5. By Bayes' rule the one in question is final with
/// probability p / (p + (1 - p) S(t)), which grows smoothly with t from p.
package struct OutageModel: Hashable, Sendable {
    /// The exponent of S: means exist, and one outage in nine outlasts 3 1/3 scales.
    private static let shape = 1.5
    /// The scale of a provider without known outages, in seconds.
    private static let scaleUsual = 4 * Span.hour
    /// Bounds of the scale: a router's restart, a long weekend.
    private static let scaleBounds = 1 * Span.hour...2 * Span.day
    /// Known outages weigh against so many usual ones.
    private static let outagesPrior = 2.0
    /// The chance that the first outage of a provider is its last.
    private static let finalFirst = 0.02

    /// p, the probability that an outage is final, as it begins.
    let finalPrior: Double
    /// The scale of S in seconds.
    let scale: Double

    /// For a provider that came back from `outages` outages of `seconds` together.
    package init(outages: Double, seconds: Double) {
        let count = outages.isFinite ? max(0, outages) : 0
        let sum = seconds.isFinite ? max(0, seconds) : 0
        finalPrior = Self.finalFirst * Self.outagesPrior / (Self.outagesPrior + count)
        let mean = (Self.outagesPrior * Self.scaleUsual + sum) / (Self.outagesPrior + count)
        scale = min(max(mean, Self.scaleBounds.lowerBound), Self.scaleBounds.upperBound)
    }

    /// The calmest provider of all: often away, for long, and always back.
    ///
    /// A lower bound for any other.
    static let calmest = OutageModel(
        outages: ProviderHistory.outagesMax,
        seconds: ProviderHistory.outagesMax * scaleBounds.upperBound
    )

    /// The probability that it never returns, after `seconds` offline.
    package func neverReturns(after seconds: Double) -> Double {
        guard seconds > 0 else { return 0 }
        let others = (1 - finalPrior) * pow(1 + seconds / scale, -Self.shape)
        return (finalPrior / (finalPrior + others)).clampedToUnit(ifNaN: 1)
    }
}
