import Primitives
import Sealing
import Testing

/// The tree level by level, as `docs/formats.md` has it.
private func slowRoot(_ bytes: [UInt8]) -> Digest {
    var level = stride(from: 0, to: max(bytes.count, 1), by: Geometry.leafBytes).map {
        SHA256.digest([0] + bytes[$0..<min($0 + Geometry.leafBytes, bytes.count)])
    }
    while level.count > 1 {
        level = stride(from: 0, to: level.count, by: 2).map { left in
            guard left + 1 < level.count else { return level[left] }
            return SHA256.digest([1] + level[left].bytes + level[left + 1].bytes)
        }
    }
    return level[0]
}

private func root(_ bytes: [UInt8]) -> Digest {
    bytes.withUnsafeBytes { MerkleTree.root(of: $0) }
}

struct MerkleTreeTests {
    @Test(arguments: [0, 1, 1024, 1025, 3072, 65_537, 201_728, 4_194_304])
    func rootIsAsWrittenDown(count: Int) throws {
        let bytes = (0..<count).map {
            UInt8(truncatingIfNeeded: $0 * 7 + ($0 >> 8) * 13 + ($0 >> 16) * 29)
        }
        #expect(root(bytes).bytes == (try GoldenFile.bytes("merkle-root-\(count)")))
    }

    @Test func everyNumberOfLeavesGivesTheSlowTreesRoot() {
        var generator = SeededGenerator(seed: 11)
        let bytes = generator.bytes(300 * Geometry.leafBytes)
        for leaves in Array(1...70) + [127, 128, 129, 191, 192, 193, 255, 256, 257, 299, 300] {
            let part = Array(bytes[..<(leaves * Geometry.leafBytes)])
            #expect(root(part) == slowRoot(part), "\(leaves) leaves")
        }
    }

    @Test func shortLastLeafIsHashedAsItIs() {
        var generator = SeededGenerator(seed: 12)
        let bytes = generator.bytes(130 * Geometry.leafBytes)
        for count in [2, 63, 64, 65, 1023, 1026, 2047, 2049, 65_535, 65_600, 131_071, 131_080] {
            let part = Array(bytes[..<count])
            #expect(root(part) == slowRoot(part), "\(count) bytes")
        }
    }

    @Test func addressNeedsNoAlignment() {
        var generator = SeededGenerator(seed: 13)
        let bytes = generator.bytes(9 * Geometry.leafBytes)
        for start in 1..<17 {
            let part = Array(bytes[start..<start + 8 * Geometry.leafBytes])
            let unaligned = bytes.withUnsafeBytes {
                MerkleTree.root(
                    of: UnsafeRawBufferPointer(rebasing: $0[start..<start + part.count])
                )
            }
            #expect(unaligned == root(part))
        }
    }

    /// Without the tags, two leaves' digests would be a leaf of the same root.
    @Test func leafNeverPassesForANode() {
        let leaf = [UInt8](repeating: 1, count: Geometry.leafBytes)
        let digest = SHA256.digest([0] + leaf)
        #expect(root(leaf + leaf) != root(digest.bytes + digest.bytes))
    }
}
