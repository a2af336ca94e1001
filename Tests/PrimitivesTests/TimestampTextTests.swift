import Primitives
import Testing

@Suite struct TimestampTextTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00Z"), (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"), (1_795_370_709, "2026-11-22T18:05:09Z"),
        (-1, "1969-12-31T23:59:59Z"), (4_107_542_400, "2100-03-01T00:00:00Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"), (-62_167_219_200, "0000-01-01T00:00:00Z"),
    ])
    func knownTimesAreWrittenAndRead(seconds: Int64, text: String) {
        let time = Timestamp(seconds: seconds, nanoseconds: 0)
        #expect(time.text == text)
        #expect(Timestamp(text: text) == time)
    }

    @Test func everyDayOfFourCenturiesComesBack() {
        for day in -100_000..<50_000 {
            let time = Timestamp(seconds: Int64(day) * 86_400 + 3661, nanoseconds: 0)
            guard Timestamp(text: time.text) == time else {
                Issue.record("\(time.text) is read as another day")
                return
            }
        }
    }

    @Test func timesFarAwayAreHeldAtTheEnds() {
        #expect(Timestamp(seconds: .max, nanoseconds: 0).text == "9999-12-31T23:59:59Z")
        #expect(Timestamp(seconds: .min, nanoseconds: 0).text == "0000-01-01T00:00:00Z")
    }

    @Test(arguments: [
        "", "2026-11-22", "2026-11-22 18:05:09Z", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z",
        "2026-11-22T24:00:00Z", "2026-11-22T18:05:09+", "2026-1a-22T18:05:09Z",
    ])
    func otherTextsAreRefused(text: String) {
        #expect(Timestamp(text: text) == nil)
    }
}
