import Primitives
import Synchronization

/// Time that passes when a test says so.
final class TestClock: Sendable {
    private let time: Mutex<Timestamp>

    init(seconds: Int64 = 1_800_000_000) {
        time = Mutex(Timestamp(seconds: seconds, nanoseconds: 0))
    }

    var now: Timestamp { time.withLock { $0 } }

    func advance(_ seconds: Int64) {
        time.withLock { time in
            time = Timestamp(seconds: time.seconds + seconds, nanoseconds: time.nanoseconds)
        }
    }
}
