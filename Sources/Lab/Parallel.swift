import Disk
import Synchronization

/// Work split over all processors.
enum Parallel {
    private final class Results<Value: Sendable>: Sendable {
        let values = Mutex<[Result<Value, any Error>]>([])
        let next = Mutex(0)
    }

    /// The results of `body` for 0..<count, in any order.
    static func map<Value: Sendable>(
        _ count: Int,
        _ body: @escaping @Sendable (Int) throws -> Value
    ) throws -> [Value] {
        let results = Results<Value>()
        let threads = try (0..<Host.processorCount()).map { number in
            try Thread.spawn("lab-\(number)") {
                while true {
                    let index = results.next.withLock { next in
                        defer { next += 1 }
                        return next
                    }
                    guard index < count else { return }
                    let result = Result { try body(index) }
                    results.values.withLock { $0.append(result) }
                }
            }
        }
        for thread in threads { thread.join() }
        return try results.values.withLock { try $0.map { try $0.get() } }
    }
}
