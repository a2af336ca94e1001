import CSealing
package import Primitives

/// The mask of a shard: AES-256-CTR under the shard's own key.
///
/// Erasure coding is linear, so providers who collude could compute a lost shard from others; under
/// masks they cannot, and all `n` must really be kept. Masking twice unmasks.
package enum ShardMask {
    /// Masks or unmasks `bytes`, which lie `offset` bytes into the shard.
    ///
    /// `offset` is 0 or more and need not be aligned.
    package static func apply(
        to bytes: UnsafeMutableRawBufferPointer,
        key: MaskKey,
        offset: Int
    ) throws(SealingError) {
        precondition(offset >= 0, "a shard begins at 0")
        guard let base = bytes.baseAddress else { return }
        let start = base.assumingMemoryBound(to: UInt8.self)
        guard csealing_ctr_apply(key.bytes, UInt64(offset), start, bytes.count) == 1 else {
            throw .libraryFailed("masking a shard")
        }
    }

    /// Masks a whole shard and returns the Merkle root of what it has become.
    ///
    /// The same as `apply` at offset 0 and then `MerkleTree.root`, in one pass over memory.
    package static func applyAndHash(
        to shard: UnsafeMutableRawBufferPointer,
        key: MaskKey
    ) throws(SealingError) -> Digest {
        let start = shard.baseAddress?.assumingMemoryBound(to: UInt8.self)
        var root = [UInt8](repeating: 0, count: Digest.byteCount)
        guard csealing_mask_and_root(key.bytes, start, shard.count, &root) == 1,
            let digest = Digest(bytes: root)
        else { throw .libraryFailed("masking a shard") }
        return digest
    }
}
