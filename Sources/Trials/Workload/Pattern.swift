import Primitives

/// Bytes to write: told apart by who wrote them, some that compress and some that do not.
enum Pattern {
    /// `count` bytes of the write `tag`.
    static func bytes(_ tag: Int, count: Int, _ random: inout SeededGenerator) -> [UInt8] {
        switch Int.random(in: 0..<20, using: &random) {
        case 0: [UInt8](repeating: 0, count: count)
        case ..<8: text(tag, count)
        default: noise(count, &random)
        }
    }

    private static func text(_ tag: Int, _ count: Int) -> [UInt8] {
        let word = Array("write \(tag); ".utf8)
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            for index in 0..<count { buffer[index] = word[index % word.count] }
            filled = count
        }
    }

    private static func noise(_ count: Int, _ random: inout SeededGenerator) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            var word: UInt64 = 0
            for index in 0..<count {
                if index % 8 == 0 { word = random.next() }
                buffer[index] = UInt8(truncatingIfNeeded: word >> UInt64(index % 8 * 8))
            }
            filled = count
        }
    }
}
