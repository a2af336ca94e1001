/// A bounded dictionary that forgets what was not asked for lately.
///
/// Two generations: what is used moves to the hot one; when that is full it becomes the cold one,
/// and what was cold is forgotten. Costs no list and no clock per entry, and forgets at most
/// what was not used for one whole generation.
struct GenerationalCache<Key: Hashable, Value> {
    private var hot: [Key: Value] = [:]
    private var cold: [Key: Value] = [:]
    private let generationMax: Int

    /// - Parameter limit: Entries kept at most once `rotate` was called as asked for.
    init(limit: Int) {
        generationMax = max(1, limit / 2)
    }

    /// Whether `rotate` is due.
    var isFull: Bool { hot.count >= generationMax }

    mutating func value(_ key: Key) -> Value? {
        if let value = hot[key] { return value }
        guard let value = cold.removeValue(forKey: key) else { return nil }
        hot[key] = value
        return value
    }

    /// The value, without counting as use.
    func peek(_ key: Key) -> Value? { hot[key] ?? cold[key] }

    mutating func insert(_ value: Value, for key: Key) {
        hot[key] = value
    }

    mutating func remove(_ key: Key) {
        hot[key] = nil
        cold[key] = nil
    }

    /// Starts a new generation, keeping `kept` in any case, and gives what it has forgotten.
    mutating func rotate(keeping kept: some Sequence<Key>) -> [Key: Value] {
        var forgotten = cold
        cold = hot
        hot = [:]
        for key in kept {
            guard let value = forgotten.removeValue(forKey: key), cold[key] == nil else { continue }
            hot[key] = value
        }
        return forgotten
    }

    /// Calls `body` with every value kept.
    func forEach(_ body: (Value) -> Void) {
        for value in hot.values { body(value) }
        for (key, value) in cold where hot[key] == nil { body(value) }
    }
}
