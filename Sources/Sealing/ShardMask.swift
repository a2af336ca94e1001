import CSealing

/// The mask of a shard: AES-256-CTR under the shard's own key.
///
/// Erasure coding is linear, so providers who collude could compute a lost shard from others; under
/// masks they cannot, and all `n` must really be kept. Masking twice unmasks.
package enum ShardMask {
    /// Masks or unmasks `bytes`, which lie `offset` bytes into the shard (0 or more, any alignment).
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
}
