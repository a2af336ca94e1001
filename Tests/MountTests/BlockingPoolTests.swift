import Disk
import Mount
import Synchronization
import Testing

struct BlockingPoolTests {
    @Test func everyJobRunsBeforeTheEnd() throws {
        let pool = try BlockingPool("test", threadCount: 3, queueMax: 4)
        let total = Shared()
        for number in 1...1000 { pool.run { total.add(number) } }
        pool.close()
        #expect(total.value == 500_500)
    }

    @Test func aFullQueueRefusesWithoutWaiting() throws {
        let pool = try BlockingPool("test", threadCount: 1, queueMax: 2)
        let gate = Condition(false)
        let started = Condition(false)
        pool.run {
            started.update { $0 = true }
            _ = gate.wait { $0 ? true : nil }
        }
        // The one thread is in the first job; two more wait; a fourth has no room.
        #expect(started.wait { $0 ? true : nil })
        #expect(pool.tryRun {})
        #expect(pool.tryRun {})
        #expect(!pool.tryRun {})
        gate.update { $0 = true }
        pool.close()
        #expect(!pool.tryRun {})
    }
}

/// A sum that several threads add to.
private final class Shared: Sendable {
    private let sum = Mutex(0)

    var value: Int { sum.withLock { $0 } }

    func add(_ number: Int) { sum.withLock { $0 += number } }
}
