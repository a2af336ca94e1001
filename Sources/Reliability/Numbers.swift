package import Primitives

/// Arithmetic that has an answer for whatever clocks and files come up with.
extension Timestamp {
    /// Differences of times within this many seconds of 1970 never overflow; the bound of the wire.
    private static let secondsMax: Int64 = (1 << 43) - 1

    /// The nearest time that arithmetic is safe with.
    var bounded: Timestamp {
        Timestamp(
            seconds: min(max(seconds, -Self.secondsMax), Self.secondsMax),
            nanoseconds: min(nanoseconds, 999_999_999)
        )
    }

    /// The time `seconds` later, within the bounds; as it is if `seconds` is no number.
    package func adding(seconds delta: Double) -> Timestamp {
        let start = bounded
        guard delta.isFinite else { return start }
        let limit = Double(Self.secondsMax) * 2
        let clamped = min(max(delta, -limit), limit)
        var whole = clamped.rounded(.down)
        var nanoseconds = Int64(start.nanoseconds) + Int64((clamped - whole) * 1e9)
        if nanoseconds >= 1_000_000_000 {
            nanoseconds -= 1_000_000_000
            whole += 1
        }
        return Timestamp(seconds: start.seconds + Int64(whole), nanoseconds: UInt32(nanoseconds))
            .bounded
    }

    /// Seconds from `earlier` to `self`, 0 if that is later; never overflows.
    package func secondsElapsed(since earlier: Timestamp) -> Double {
        max(0, bounded.seconds(since: earlier.bounded))
    }
}

extension Duration {
    /// Seconds, 0 for negative durations.
    var secondsNotNegative: Double {
        max(0, Double(components.seconds) + Double(components.attoseconds) / 1e18)
    }
}

extension Double {
    /// In 0...1; what is no number is `fallback`.
    func clampedToUnit(ifNaN fallback: Double) -> Double {
        isNaN ? fallback : min(max(self, 0), 1)
    }
}

/// Lengths of time in seconds.
enum Span {
    static let hour = 3600.0
    static let day = 24 * hour
    static let month = 30 * day
    static let year = 365 * day
}
