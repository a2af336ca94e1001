import Primitives

/// Times as receipt files have them: RFC 3339 in UTC, to the nanosecond.
extension Timestamp {
    /// As `2026-01-31T23:59:59.000000000Z`; right for the years 0 to 9999.
    var iso: String {
        let fraction = "\(nanoseconds)"
        let zeros = String(repeating: "0", count: max(Self.fractionDigits - fraction.count, 0))
        return "\(text.dropLast()).\(zeros)\(fraction)Z"
    }

    /// Reads exactly what `iso` writes.
    init?(iso text: String) {
        let parts = text.dropLast().split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let time = Timestamp(text: "\(parts[0])Z"),
            parts[1].utf8.count == Self.fractionDigits, let nanoseconds = UInt32(parts[1])
        else { return nil }
        self.init(seconds: time.seconds, nanoseconds: nanoseconds)
        guard iso == text else { return nil }
    }

    private static let fractionDigits = 9
}
