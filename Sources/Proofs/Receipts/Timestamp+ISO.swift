package import Primitives

/// Times as ISO 8601 has them, in UTC and with nine digits after the point.
extension Timestamp {
    /// As `2026-01-31T23:59:59.000000000Z`; years after 9999 have more digits, those before 0 a
    /// minus sign.
    package var iso: String {
        let days = seconds.dividedDown(by: Self.daySeconds)
        let second = seconds - days * Self.daySeconds
        let (year, month, day) = Self.date(of: days)
        let date = "\(Self.digits(year, 4))-\(Self.digits(month, 2))-\(Self.digits(day, 2))"
        let hour = Self.digits(second / 3600, 2)
        let minute = Self.digits(second / 60 % 60, 2)
        let rest = "\(Self.digits(second % 60, 2)).\(Self.digits(Int64(nanoseconds), 9))"
        return "\(date)T\(hour):\(minute):\(rest)Z"
    }

    /// Reads exactly what `iso` writes.
    init?(iso text: String) {
        // Below 2^43 seconds every year has at most six digits.
        guard text.utf8.count <= 33, text.hasSuffix("Z") else { return nil }
        let isNegative = text.hasPrefix("-")
        let parts = text.dropLast().dropFirst(isNegative ? 1 : 0)
            .split(omittingEmptySubsequences: false) { "-T:.".contains($0) }
        let numbers = parts.compactMap { Int64($0) }
        guard parts.count == 7, numbers.count == 7, let first = numbers.first,
            (1...12).contains(numbers[1]), (1...31).contains(numbers[2]),
            numbers[3...].allSatisfy({ (0..<1_000_000_000).contains($0) }),
            first.magnitude < 1_000_000
        else { return nil }
        let days = Self.days(year: isNegative ? -first : first, numbers[1], numbers[2])
        let second = numbers[3] * 3600 + numbers[4] * 60 + numbers[5]
        self.init(seconds: days * Self.daySeconds + second, nanoseconds: UInt32(numbers[6]))
        // Hour 24, the 30th of February, a second way to write a year.
        guard iso == text else { return nil }
    }

    private static let daySeconds: Int64 = 86_400

    /// The Gregorian date so many days after 1970-01-01 (Hinnant, "chrono-compatible low-level date
    /// algorithms"): years begin in March there, so that the leap day comes last.
    private static func date(of days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = shifted.dividedDown(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let year = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * year + year / 4 - year / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let isNextYear = month >= 10
        return (
            year + era * 400 + (isNextYear ? 1 : 0), isNextYear ? month - 9 : month + 3, day
        )
    }

    /// The inverse of `date(of:)`.
    private static func days(year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted.dividedDown(by: 400)
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// `number` with at least `count` digits.
    private static func digits(_ number: Int64, _ count: Int) -> String {
        let text = "\(number.magnitude)"
        let zeros = String(repeating: "0", count: max(count - text.count, 0))
        return (number < 0 ? "-" : "") + zeros + text
    }
}

extension Int64 {
    /// The quotient rounded down, for dates before 1970 too.
    fileprivate func dividedDown(by divisor: Int64) -> Int64 {
        self / divisor - (self % divisor < 0 ? 1 : 0)
    }
}
