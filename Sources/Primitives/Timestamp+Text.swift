/// Times as people and programs read them: RFC 3339 in UTC, "2026-11-22T18:05:09Z".
extension Timestamp {
    /// Whole seconds, as RFC 3339 has them; years outside 0...9999 are held at the nearest end.
    package var text: String {
        let bounds: ClosedRange<Int64> = -62_167_219_200...253_402_300_799
        let time = min(max(seconds, bounds.lowerBound), bounds.upperBound)
        let days = time.floorDivided(by: 86_400)
        let second = time - days * 86_400
        let (year, month, day) = Self.civil(days: days)
        let date = "\(Self.digits(year, 4))-\(Self.digits(month, 2))-\(Self.digits(day, 2))"
        let hour = Self.digits(second / 3600, 2)
        let minute = Self.digits(second / 60 % 60, 2)
        return "\(date)T\(hour):\(minute):\(Self.digits(second % 60, 2))Z"
    }

    /// Reads exactly what `text` writes.
    package init?(text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 20 else { return nil }
        func number(_ range: Range<Int>) -> Int64? {
            var value: Int64 = 0
            for byte in bytes[range] {
                guard (48...57).contains(byte) else { return nil }
                value = value * 10 + Int64(byte - 48)
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        let days = Self.days(year: year, month: month, day: day)
        let time = Timestamp(
            seconds: days * 86_400 + hour * 3600 + minute * 60 + second,
            nanoseconds: 0
        )
        // Refuses other separators and days that the month does not have.
        guard time.text == text else { return nil }
        self = time
    }

    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": eras of 400 years, years that
    // begin in March.

    private static func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = shifted.floorDivided(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear.floorDivided(by: 400)
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
    }

    private static func digits(_ value: Int64, _ count: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
    }
}

extension Int64 {
    fileprivate func floorDivided(by divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}
