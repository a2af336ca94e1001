import CSealing
package import Primitives

/// The Merkle tree of a shard: SHA-256 over leaves of 1 KiB.
///
/// A leaf is SHA-256(0x00 | bytes), a node SHA-256(0x01 | left | right); an odd last node moves up
/// unchanged. So the tree has RFC 6962's shape, and no leaf passes for a node.
package enum MerkleTree {
    /// Leaves in a chunk: 16 KiB, what a provider reads to answer for one leaf.
    package static let chunkLeaves = 16
    /// Bytes of a whole chunk.
    package static let chunkBytes = chunkLeaves * Geometry.leafBytes

    /// The root over all of `shard`; its last leaf may be short, and no bytes are one empty leaf.
    package static func root(of shard: UnsafeRawBufferPointer) -> Digest {
        Digest(hashing: shard) { bytes, count, digest in
            csealing_merkle_root(bytes?.assumingMemoryBound(to: UInt8.self), count, digest)
        }
    }

    /// The root over all of `shard`, and those of its chunks one after another, in one pass.
    package static func chunkRoots(
        of shard: UnsafeRawBufferPointer
    ) -> (root: Digest, chunks: [UInt8]) {
        let chunkCount = max((shard.count + chunkBytes - 1) / chunkBytes, 1)
        var chunks = [UInt8](repeating: 0, count: chunkCount * Digest.byteCount)
        let root = Digest(hashing: shard) { bytes, count, digest in
            csealing_merkle_chunks(
                bytes?.assumingMemoryBound(to: UInt8.self),
                count,
                &chunks,
                digest
            )
        }
        return (root, chunks)
    }

    /// The root of a shard whose chunks have these roots, one or more.
    package static func root(ofChunks chunks: [UInt8]) -> Digest {
        precondition(
            !chunks.isEmpty && chunks.count.isMultiple(of: Digest.byteCount),
            "whole roots, and at least one"
        )
        var level = chunks
        let success = csealing_merkle_fold(&level, level.count / Digest.byteCount)
        precondition(success == 1, "libcrypto cannot compute SHA-256")
        guard let root = Digest(bytes: level.prefix(Digest.byteCount)) else {
            preconditionFailure("a SHA-256 digest has 32 bytes")
        }
        return root
    }

    /// The siblings of `leaf` up to the root, lowest first, or `nil` if `chunk` has not its root.
    ///
    /// `chunk` is the one that holds the leaf; the last may be short. For several leaves of a shard
    /// a `MerkleChunks` is faster.
    package static func path(
        leaf: Int,
        leafCount: Int,
        chunk: UnsafeRawBufferPointer,
        chunkRoots: [UInt8]
    ) -> [Digest]? {
        MerkleChunks(leafCount: leafCount, roots: chunkRoots)?.path(leaf: leaf, chunk: chunk)
    }

    /// The root of a tree of `leafCount` leaves that has `leaf` at `index` and `path` above it, or
    /// `nil` if no path there has so many siblings.
    package static func root(
        leaf: UnsafeRawBufferPointer,
        at index: Int,
        of leafCount: Int,
        path: [Digest]
    ) -> Digest? {
        let siblings = path.flatMap(\.bytes)
        var root = [UInt8](repeating: 0, count: Digest.byteCount)
        let isPath = siblings.withUnsafeBytes { siblings in
            root.withUnsafeMutableBytes { root in
                climb(from: leaf, at: index, of: leafCount, path: siblings, into: root)
            }
        }
        return isPath ? Digest(bytes: root) : nil
    }

    /// Writes the root above `leaf` to `root`, without allocating.
    ///
    /// `path` is digests one after another. False if no path there is so long.
    package static func climb(
        from leaf: UnsafeRawBufferPointer,
        at index: Int,
        of leafCount: Int,
        path: UnsafeRawBufferPointer,
        into root: UnsafeMutableRawBufferPointer
    ) -> Bool {
        guard (0..<leafCount).contains(index), path.count.isMultiple(of: Digest.byteCount),
            root.count >= Digest.byteCount
        else { return false }
        return csealing_merkle_climb(
            leaf.baseAddress?.assumingMemoryBound(to: UInt8.self),
            leaf.count,
            index,
            leafCount,
            path.baseAddress?.assumingMemoryBound(to: UInt8.self),
            path.count / Digest.byteCount,
            root.baseAddress?.assumingMemoryBound(to: UInt8.self)
        ) == 1
    }

    /// Siblings on the path up from leaf `index` of `leafCount`.
    package static func pathCount(of index: Int, in leafCount: Int) -> Int {
        var index = index
        var level = leafCount
        var count = 0
        while level > 1 {
            if index % 2 == 1 || index + 1 < level { count += 1 }
            index /= 2
            level = (level + 1) / 2
        }
        return count
    }
}
