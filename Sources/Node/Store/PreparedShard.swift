package import Primitives
import Sealing

/// A shard ready to be stored: what stands before and behind its bytes, computed of them.
package struct PreparedShard: Sendable {
    package let record: SegmentRecord
    package let trailer: RecordTrailer

    /// Hashes `bytes`, 1 byte...4 MiB: the Merkle root and those of the chunks in one pass, and the
    /// checksums in another while the bytes are in the processor's cache.
    package init(shard: ShardID, owner: NodeID, hashing bytes: UnsafeRawBufferPointer) {
        let tree = MerkleTree.chunkRoots(of: bytes)
        record = SegmentRecord(shard: shard, owner: owner, root: tree.root, hashing: bytes)
        trailer = RecordTrailer(chunkRoots: tree.chunks)
    }

    /// The Merkle root that the bytes really have.
    package var root: Digest { record.root }
}
