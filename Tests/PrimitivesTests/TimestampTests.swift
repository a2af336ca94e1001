import Primitives
import Testing

struct TimestampTests {
    @Test func orderIsSecondsThenNanoseconds() {
        let early = Timestamp(seconds: -1, nanoseconds: 999_999_999)
        #expect(early < .epoch)
        #expect(Timestamp(seconds: 0, nanoseconds: 1) > .epoch)
        #expect(!(Timestamp.epoch < .epoch))
    }

    @Test func differenceCountsNanosecondsBothWays() {
        let a = Timestamp(seconds: 10, nanoseconds: 250_000_000)
        let b = Timestamp(seconds: 12, nanoseconds: 0)
        #expect(b.seconds(since: a) == 1.75)
        #expect(a.seconds(since: b) == -1.75)
    }
}
