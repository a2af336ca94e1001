import Disk
import Testing

struct ReadWriteLockTests {
    @Test func readersAreInsideTogether() throws {
        let lock = ReadWriteLock(5)
        let inside = Condition(0)
        let threads = try (0..<2).map { number in
            try Thread.spawn("reader-\(number)") {
                lock.read { value in
                    inside.update { $0 += value }
                    // Ends only if the other is inside too.
                    inside.wait { $0 == 10 ? () : nil }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(inside.withLock { $0 } == 10)
    }

    @Test func noChangeOfAWriterIsLost() throws {
        let lock = ReadWriteLock(0)
        let threads = try (0..<4).map { number in
            try Thread.spawn("writer-\(number)") {
                for _ in 0..<10_000 { lock.write { $0 += 1 } }
            }
        }
        for thread in threads { thread.join() }
        #expect(lock.read { $0 } == 40_000)
    }

    @Test func errorsComeThroughAndLetTheLockGo() {
        let lock = ReadWriteLock(0)
        #expect(throws: DiskError.self) {
            try lock.write { (_: inout Int) throws(DiskError) in
                throw DiskError("test", "nothing", errno: 5)
            }
        }
        lock.write { $0 = 1 }
        #expect(lock.read { $0 } == 1)
    }
}
