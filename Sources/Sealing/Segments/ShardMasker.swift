import CSealing
package import Primitives

/// Masks shards into other memory, part after part, and computes the Merkle roots of what they
/// become; each part while it is in the processor's cache.
///
/// Belongs to one thread at a time.
package final class ShardMasker {
    /// All parts of a shard but the last are of so many bytes.
    package static let partBytes = Int(CSEALING_MASKED_PART_BYTES)

    private let masking: OpaquePointer

    package init() throws(SealingError) {
        guard let masking = csealing_masking_new() else {
            throw .libraryFailed("preparing a mask")
        }
        self.masking = masking
    }

    deinit { csealing_masking_free(masking) }

    /// Begins a shard under its key.
    package func begin(_ key: MaskKey) throws(SealingError) {
        guard csealing_masking_begin(masking, key.bytes) == 1 else {
            throw .libraryFailed("masking a shard")
        }
    }

    /// Masks the next part into `target`, of the same length.
    package func add(
        _ part: UnsafeRawBufferPointer,
        into target: UnsafeMutableRawBufferPointer
    ) throws(SealingError) {
        precondition(part.count == target.count && !part.isEmpty, "a part as long as its room")
        guard
            csealing_masking_add(
                masking,
                part.baseAddress?.assumingMemoryBound(to: UInt8.self),
                target.baseAddress?.assumingMemoryBound(to: UInt8.self),
                part.count
            ) == 1
        else { throw .libraryFailed("masking a shard") }
    }

    /// The root of the shard, whose parts are all there.
    package func root() throws(SealingError) -> Digest {
        var root = [UInt8](repeating: 0, count: Digest.byteCount)
        guard csealing_masking_root(masking, &root) == 1, let digest = Digest(bytes: root) else {
            throw .libraryFailed("hashing a shard")
        }
        return digest
    }
}
