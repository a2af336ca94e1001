import CSealing
package import Primitives

/// The upper part of a shard's Merkle tree, from the roots of its chunks, for paths to its leaves.
package struct MerkleChunks: Sendable {
    private let leafCount: Int
    /// Level after level, the chunks' roots first.
    private let levels: [UInt8]

    /// Takes the roots of all chunks of a shard of `leafCount` leaves, one after another.
    ///
    /// `nil` if there are not as many roots as chunks.
    package init?(leafCount: Int, roots: [UInt8]) {
        let chunkCount = roots.count / Digest.byteCount
        guard leafCount > 0, roots.count.isMultiple(of: Digest.byteCount),
            chunkCount == (leafCount + MerkleTree.chunkLeaves - 1) / MerkleTree.chunkLeaves
        else { return nil }
        self.leafCount = leafCount
        levels = Self.levels(above: roots)
    }

    /// The root of the shard.
    package var root: Digest {
        var start = 0
        var count = (leafCount + MerkleTree.chunkLeaves - 1) / MerkleTree.chunkLeaves
        while count > 1 {
            start += count
            count = (count + 1) / 2
        }
        return Self.digest(start, of: levels)
    }

    /// The siblings of `leaf` up to the root, lowest first, or `nil` if `chunk` has not its root.
    ///
    /// `chunk` is the one that holds the leaf; the last may be short.
    package func path(leaf: Int, chunk: UnsafeRawBufferPointer) -> [Digest]? {
        let index = leaf / MerkleTree.chunkLeaves
        let first = index * MerkleTree.chunkLeaves
        let count = min(MerkleTree.chunkLeaves, leafCount - first)
        guard (0..<leafCount).contains(leaf), chunk.count > (count - 1) * Geometry.leafBytes,
            chunk.count <= count * Geometry.leafBytes
        else { return nil }
        var leaves = [UInt8](repeating: 0, count: count * Digest.byteCount)
        let success = csealing_merkle_leaves(
            chunk.baseAddress?.assumingMemoryBound(to: UInt8.self),
            chunk.count,
            &leaves
        )
        precondition(success == 1, "libcrypto cannot compute SHA-256")
        let lower = Self.levels(above: leaves)
        var path: [Digest] = []
        let top = Self.climb(lower, from: leaf - first, of: count, path: &path)
        guard Self.digest(top, of: lower) == Self.digest(index, of: levels) else { return nil }
        let chunkCount = (leafCount + MerkleTree.chunkLeaves - 1) / MerkleTree.chunkLeaves
        _ = Self.climb(levels, from: index, of: chunkCount, path: &path)
        return path
    }

    /// Appends the siblings up from `index` to `path`; where in `levels` the root is.
    private static func climb(
        _ levels: [UInt8],
        from index: Int,
        of count: Int,
        path: inout [Digest]
    ) -> Int {
        var start = 0
        var index = index
        var count = count
        while count > 1 {
            let sibling = index ^ 1
            if sibling < count { path.append(digest(start + sibling, of: levels)) }
            start += count
            index /= 2
            count = (count + 1) / 2
        }
        return start
    }

    private static func levels(above digests: [UInt8]) -> [UInt8] {
        let count = digests.count / Digest.byteCount
        // Halves rounded up: one more a level than twice as many, and there are under 64 levels.
        var levels = digests
        levels.append(contentsOf: repeatElement(0, count: (count + 64) * Digest.byteCount))
        let success = csealing_merkle_levels(&levels, count)
        precondition(success == 1, "libcrypto cannot compute SHA-256")
        return levels
    }

    private static func digest(_ index: Int, of levels: [UInt8]) -> Digest {
        let start = index * Digest.byteCount
        guard let digest = Digest(bytes: levels[start..<start + Digest.byteCount]) else {
            preconditionFailure("a SHA-256 digest has 32 bytes")
        }
        return digest
    }
}
