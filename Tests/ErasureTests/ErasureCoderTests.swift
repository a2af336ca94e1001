import Erasure
import Primitives
import Testing

private let field = TableField()

/// Runs the coder over arrays.
private struct ArrayCoder {
    let coder: ErasureCoder
    let code: ErasureCode

    init(k: Int, m: Int) throws {
        code = try #require(ErasureCode(k: k, m: m))
        coder = ErasureCoder(code)
    }

    func encode(_ data: [[UInt8]]) -> [[UInt8]] {
        let length = data[0].count
        let empty = [[UInt8]](repeating: [UInt8](repeating: 0xa5, count: length), count: code.m)
        let buffers = (data + empty).map(copied)
        defer { buffers.forEach { $0.deallocate() } }
        coder.encode(buffers)
        return buffers.map { Array($0) }
    }

    func reconstruct(
        _ wanted: [Int],
        from present: [(index: Int, bytes: [UInt8])]
    ) throws -> [[UInt8]] {
        let length = present.first?.bytes.count ?? 0
        let sources = present.map { (index: $0.index, bytes: copied($0.bytes)) }
        let targets = wanted.map { _ in copied([UInt8](repeating: 0xa5, count: length)) }
        defer {
            sources.forEach { $0.bytes.deallocate() }
            targets.forEach { $0.deallocate() }
        }
        try coder.reconstruct(
            wanted,
            from: sources.map { ($0.index, UnsafeRawBufferPointer($0.bytes)) },
            into: targets
        )
        return targets.map { Array($0) }
    }

    private func copied(_ bytes: [UInt8]) -> UnsafeMutableRawBufferPointer {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        buffer.copyBytes(from: bytes)
        return buffer
    }
}

private func randomData(k: Int, length: Int, seed: UInt64) -> [[UInt8]] {
    var generator = SeededGenerator(seed: seed)
    return (0..<k).map { _ in generator.bytes(length) }
}

/// All subsets of `size` of 0..<count.
private func subsets(of count: Int, size: Int) -> [[Int]] {
    (0..<1 << count).filter { $0.nonzeroBitCount == size }
        .map { mask in (0..<count).filter { mask >> $0 & 1 == 1 } }
}

struct ErasureCoderTests {
    @Test(arguments: [(1, 1), (1, 5), (2, 1), (4, 2), (3, 3), (10, 4), (20, 20), (29, 51)])
    func parityIsThatOfTheTables(k: Int, m: Int) throws {
        let coder = try ArrayCoder(k: k, m: m)
        for length in [1, 31, 64, 1000] {
            let data = randomData(k: k, length: length, seed: UInt64(length))
            #expect(coder.encode(data) == field.encode(data, m: m))
        }
    }

    /// Golden bytes: the parity of 4+2 over "mefs", one byte a shard, and the rows behind it.
    @Test func parityOfFourByteStripeIsAsWrittenDown() throws {
        let shards = try ArrayCoder(k: 4, m: 2).encode("mefs".utf8.map { [$0] })
        #expect(field.row(4, k: 4) == [0x47, 0xa7, 0x7a, 0xba])
        #expect(field.row(5, k: 4) == [0xa7, 0x47, 0xba, 0x7a])
        #expect(shards[4...] == [[0x64], [0x4c]])
    }

    @Test(arguments: [(4, 2), (3, 3)])
    func everySubsetRestoresEveryShard(k: Int, m: Int) throws {
        let coder = try ArrayCoder(k: k, m: m)
        let shards = field.encode(randomData(k: k, length: 1024, seed: 1), m: m)
        let all = Array(0..<k + m)
        for subset in subsets(of: k + m, size: k) {
            let present = subset.map { (index: $0, bytes: shards[$0]) }
            #expect(try coder.reconstruct(all, from: present) == shards)
            #expect(try coder.reconstruct(all, from: present.reversed()) == shards)
            #expect(field.decode(present) == Array(shards[..<k]))
        }
    }

    @Test(arguments: 0..<50)
    func randomSubsetOfTenPlusFourRestoresTheRest(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let coder = try ArrayCoder(k: 10, m: 4)
        let data = randomData(k: 10, length: 257, seed: UInt64(seed) + 1000)
        let shards = coder.encode(data)
        #expect(shards == field.encode(data, m: 4))
        let order = Array(0..<14).shuffled(using: &generator)
        let present = order.prefix(10).map { (index: $0, bytes: shards[$0]) }
        let lost = Array(order.suffix(4))
        #expect(try coder.reconstruct(lost, from: present) == lost.map { shards[$0] })
        #expect(field.decode(present) == data)
    }

    @Test(arguments: [(20, 20), (29, 51)])
    func wideCodeIsRebuiltStripByStrip(k: Int, m: Int) throws {
        let coder = try ArrayCoder(k: k, m: m)
        // More than two strips of 16 KiB, and not a whole number of them.
        let data = randomData(k: k, length: 40_001, seed: 5)
        let shards = coder.encode(data)
        let present = (m..<k + m).map { (index: $0, bytes: shards[$0]) }
        let lost = Array(0..<min(k, m))
        #expect(try coder.reconstruct(lost, from: present) == lost.map { shards[$0] })
    }

    @Test func rangeOfShardsGivesThatRangeOfTheOthers() throws {
        let coder = try ArrayCoder(k: 4, m: 2)
        let shards = coder.encode(randomData(k: 4, length: 4096, seed: 3))
        let range = 1001..<1501
        let present = [1, 3, 4, 5].map { (index: $0, bytes: Array(shards[$0][range])) }
        #expect(
            try coder.reconstruct([0, 2], from: present) == [
                Array(shards[0][range]), Array(shards[2][range]),
            ]
        )
    }

    @Test func shardsBeyondTheFirstKAreNotNeeded() throws {
        let coder = try ArrayCoder(k: 2, m: 2)
        let shards = coder.encode(randomData(k: 2, length: 10, seed: 4))
        let present = [3, 1, 2].map { (index: $0, bytes: shards[$0]) }
        #expect(try coder.reconstruct([0], from: present) == [shards[0]])
    }

    @Test func emptyShardsAndEmptyWishesAreNothingToDo() throws {
        let coder = try ArrayCoder(k: 2, m: 1)
        #expect(coder.encode([[], []]) == [[], [], []])
        let present = [(index: 0, bytes: [UInt8](repeating: 1, count: 4)), (1, [2, 2, 2, 2])]
        #expect(try coder.reconstruct([], from: present) == [])
    }

    @Test func tooFewShardsAreRefused() throws {
        let coder = try ArrayCoder(k: 4, m: 2)
        let present = [0, 1, 5].map { (index: $0, bytes: [UInt8](repeating: 0, count: 8)) }
        #expect(throws: ErasureError.tooFewShards(needed: 4, present: 3)) {
            try coder.reconstruct([2], from: present)
        }
    }

    @Test(arguments: [-1, 6, Int.max])
    func indexOutsideTheCodeIsRefused(index: Int) throws {
        let coder = try ArrayCoder(k: 4, m: 2)
        let shard = [UInt8](repeating: 0, count: 8)
        let good = (0..<4).map { (index: $0, bytes: shard) }
        #expect(throws: ErasureError.badIndex(index)) {
            try coder.reconstruct([index], from: good)
        }
        #expect(throws: ErasureError.badIndex(index)) {
            try coder.reconstruct([5], from: good + [(index, shard)])
        }
    }

    @Test func shardGivenTwiceIsRefused() throws {
        let coder = try ArrayCoder(k: 4, m: 2)
        let present = [0, 1, 2, 2].map { (index: $0, bytes: [UInt8](repeating: 0, count: 8)) }
        #expect(throws: ErasureError.badIndex(2)) { try coder.reconstruct([3], from: present) }
    }

    @Test func shardsOfDifferentLengthAreRefused() throws {
        let coder = try ArrayCoder(k: 2, m: 1)
        let present = [(index: 0, bytes: [UInt8](repeating: 0, count: 8)), (1, [1, 2])]
        #expect(throws: ErasureError.unequalBuffers) {
            try coder.reconstruct([2], from: present)
        }
    }
}
