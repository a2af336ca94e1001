import Disk
import Synchronization
import Testing

struct BoundedQueueTests {
    @Test func keepsOrderAndRefusesAboveTheLimit() {
        let queue = BoundedQueue<Int>(limit: 2)
        #expect(queue.tryPut(1))
        #expect(queue.put(2))
        #expect(!queue.tryPut(3))
        #expect(queue.count == 2)
        #expect(queue.take() == 1)
        #expect(queue.tryPut(3))
        #expect(queue.takeBatch(10) == [2, 3])
    }

    @Test func closedQueueGivesWhatWaitsAndThenEnds() {
        let queue = BoundedQueue<Int>(limit: 4)
        #expect(queue.put(1))
        queue.close()
        #expect(!queue.put(2))
        #expect(!queue.tryPut(2))
        #expect(queue.take() == 1)
        #expect(queue.take() == nil)
        #expect(queue.takeBatch(4).isEmpty)
    }

    @Test func everyElementIsTakenOnceWithManyThreads() throws {
        let queue = BoundedQueue<Int>(limit: 3)
        let seen = Mutex<[Int]>([])
        let takers = try (0..<3).map { index in
            try Thread.spawn("take-\(index)") {
                while let element = queue.take() { seen.withLock { $0.append(element) } }
            }
        }
        let putters = try (0..<3).map { index in
            try Thread.spawn("put-\(index)") {
                for element in 0..<1000 { _ = queue.put(index * 1000 + element) }
            }
        }
        for putter in putters { putter.join() }
        queue.close()
        for taker in takers { taker.join() }
        #expect(seen.withLock { $0.sorted() } == Array(0..<3000))
    }

    @Test func closingWakesWhoWaits() throws {
        let full = BoundedQueue<Int>(limit: 1)
        #expect(full.put(1))
        let empty = BoundedQueue<Int>(limit: 1)
        let putter = try Thread.spawn("put") { #expect(!full.put(2)) }
        let taker = try Thread.spawn("take") { #expect(empty.take() == nil) }
        full.close()
        empty.close()
        putter.join()
        taker.join()
    }

    @Test func conditionTimesOutAndAnswers() throws {
        let condition = Condition(0)
        #expect(condition.wait(for: .milliseconds(5)) { $0 == 1 ? "one" : nil } == nil)
        let thread = try Thread.spawn("set") { condition.update { $0 = 1 } }
        #expect(condition.wait(for: .seconds(30)) { $0 == 1 ? "one" : nil } == "one")
        thread.join()
        thread.join()
    }
}
