import Primitives
import Sealing
import Testing

private func masked(_ bytes: [UInt8], key: MaskKey, offset: Int) throws -> [UInt8] {
    var bytes = bytes
    try bytes.withUnsafeMutableBytes { try ShardMask.apply(to: $0, key: key, offset: offset) }
    return bytes
}

struct ShardMaskTests {
    private let key: MaskKey

    init() throws {
        let volumeKey = try #require(VolumeKey(bytes: sequence(from: 0x20, count: 32)))
        let shard = try #require(ShardID(bytes: sequence(from: 0x70, count: 16)))
        key = volumeKey.maskKey(for: shard)
    }

    @Test func maskIsAsWrittenDown() throws {
        let zeros = [UInt8](repeating: 0, count: 64)
        #expect(try masked(zeros, key: key, offset: 0) == (try GoldenFile.bytes("mask-start")))
        #expect(
            try masked(zeros, key: key, offset: Geometry.shardBytesMax - 64)
                == (try GoldenFile.bytes("mask-end"))
        )
    }

    @Test func maskingTwiceUnmasks() throws {
        var generator = SeededGenerator(seed: 21)
        let bytes = generator.bytes(5000)
        let once = try masked(bytes, key: key, offset: 0)
        #expect(once != bytes)
        #expect(try masked(once, key: key, offset: 0) == bytes)
    }

    @Test(arguments: [0, 1, 1024, 65_536, 65_537, 200_000, 4_194_304])
    func maskingAndHashingTogetherIsOneAfterTheOther(count: Int) throws {
        var bytes = SecureRandom.bytes(count)
        let expected = try masked(bytes, key: key, offset: 0)
        let root = try bytes.withUnsafeMutableBytes {
            try ShardMask.applyAndHash(to: $0, key: key)
        }
        #expect(bytes == expected)
        #expect(root == expected.withUnsafeBytes { MerkleTree.root(of: $0) })
    }

    @Test(arguments: [1, 1024, 131_072, 132_096, 500_000])
    func maskingByPartsIsMaskingTheWhole(count: Int) throws {
        var generator = SeededGenerator(seed: 22)
        let bytes = generator.bytes(count)
        let expected = try masked(bytes, key: key, offset: 0)
        let masker = try ShardMasker()
        // The second time shows that nothing of the first is left.
        for _ in 0..<2 {
            var result: [UInt8] = []
            try masker.begin(key)
            for start in stride(from: 0, to: count, by: ShardMasker.partBytes) {
                let part = Array(bytes[start..<min(count, start + ShardMasker.partBytes)])
                var target = [UInt8](repeating: 0, count: part.count)
                try part.withUnsafeBytes { part in
                    try target.withUnsafeMutableBytes { try masker.add(part, into: $0) }
                }
                result += target
            }
            #expect(result == expected)
            #expect(try masker.root() == expected.withUnsafeBytes { MerkleTree.root(of: $0) })
        }
    }

    @Test func anyRangeIsThatRangeOfTheWhole() throws {
        let whole = try masked([UInt8](repeating: 0, count: 8192), key: key, offset: 0)
        for start in Array(0...48) + [1000, 4095, 4096, 8191] {
            for count in [0, 1, 15, 16, 17, 100] where start + count <= whole.count {
                let part = try masked(
                    [UInt8](repeating: 0, count: count),
                    key: key,
                    offset: start
                )
                #expect(part == Array(whole[start..<start + count]), "\(start), \(count)")
            }
        }
    }

    @Test func everyShardHasAMaskOfItsOwn() throws {
        let repairKey = RepairKey.random()
        let zeros = [UInt8](repeating: 0, count: 32)
        let other = try #require(ShardID(bytes: sequence(from: 0x71, count: 16)))
        let shard = try #require(ShardID(bytes: sequence(from: 0x70, count: 16)))
        #expect(
            try masked(zeros, key: repairKey.maskKey(for: shard), offset: 0)
                != masked(zeros, key: repairKey.maskKey(for: other), offset: 0)
        )
    }
}
