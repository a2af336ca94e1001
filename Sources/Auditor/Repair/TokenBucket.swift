import Primitives

/// A rate of bytes that is kept on average: whoever spends more than is there waits the longer.
///
/// Pure; times come as arguments.
struct TokenBucket {
    /// Bytes a second.
    let rate: Double
    /// What is there; negative while a large repair is paid for.
    private var level: Double
    private var at: Timestamp?

    /// What gathers while nothing is spent: a second's worth.
    private var levelMax: Double { rate }

    init(bytesPerSecond: Int) {
        rate = Double(max(1, bytesPerSecond))
        level = rate
    }

    /// Whether something may be spent now.
    mutating func isOpen(at time: Timestamp) -> Bool {
        if let last = at {
            level = min(levelMax, level + max(0, time.seconds(since: last)) * rate)
        }
        at = time
        return level > 0
    }

    mutating func spend(_ bytes: Int) { level -= Double(bytes) }
}
