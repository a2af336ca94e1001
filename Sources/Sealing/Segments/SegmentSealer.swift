import CSealing
import CZstd
import Primitives

/// Compresses and seals segments, and opens them.
///
/// A sealed segment is its codec (1 byte), the ciphertext, and a tag (16 bytes); a segment of
/// zeros only is no bytes at all, which the recorded length tells. The cipher is AES-256-GCM, its
/// nonce the segment's index: a block's key seals one content only. Codec, index and plain length
/// are authenticated, so no segment passes for another.
///
/// Belongs to one thread at a time: it owns cipher and compressor contexts and a buffer.
package final class SegmentSealer {
    /// How the plain bytes were packed before encryption.
    private enum Codec: UInt8 {
        case raw = 0
        case zstd = 1
    }

    /// The codec byte.
    private static let headerBytes = 1
    private static let tagBytes = Int(CSEALING_TAG_BYTES)
    private static let nonceBytes = Int(CSEALING_NONCE_BYTES)
    /// The fastest of zstd's levels for files: 3 costs twice as much for a tenth fewer bytes.
    private static let compressionLevel: Int32 = 1
    /// Compression must save a 16th of a segment, or it is not worth the reader's time.
    private static let savedShareMin = 16

    private let cipher: OpaquePointer
    private let compressor: OpaquePointer
    private let decompressor: OpaquePointer
    /// Decrypted but still compressed bytes of the segment being opened.
    private let packed: UnsafeMutableRawBufferPointer

    package init() throws(SealingError) {
        guard let cipher = csealing_gcm_new() else { throw .libraryFailed("preparing AES-256-GCM") }
        guard let compressor = ZSTD_createCCtx() else {
            csealing_gcm_free(cipher)
            throw .libraryFailed("preparing zstd")
        }
        guard let decompressor = ZSTD_createDCtx() else {
            csealing_gcm_free(cipher)
            ZSTD_freeCCtx(compressor)
            throw .libraryFailed("preparing zstd")
        }
        self.cipher = cipher
        self.compressor = compressor
        self.decompressor = decompressor
        packed = .allocate(byteCount: Geometry.segmentBytes, alignment: 64)
    }

    deinit {
        csealing_gcm_free(cipher)
        ZSTD_freeCCtx(compressor)
        ZSTD_freeDCtx(decompressor)
        packed.deallocate()
    }

    /// The most bytes that sealing `plainBytes` bytes gives.
    package static func sealedBytesMax(plainBytes: Int) -> Int {
        plainBytes == 0 ? 0 : headerBytes + plainBytes + tagBytes
    }

    /// Seals `plain` (up to 64 KiB) as segment `index` of the block that `key` is for.
    ///
    /// `sealed` has room for `sealedBytesMax` bytes and does not overlap `plain`; returns how many
    /// were written: 0 for zeros only.
    package func seal(
        _ plain: UnsafeRawBufferPointer,
        index: Int,
        key: BlockKey,
        into sealed: UnsafeMutableRawBufferPointer
    ) throws(SealingError) -> Int {
        precondition(plain.count <= Geometry.segmentBytes, "a segment has up to 64 KiB")
        precondition((0..<Geometry.segmentsPerBlock).contains(index), "no such segment")
        precondition(sealed.count >= Self.sealedBytesMax(plainBytes: plain.count), "no room")
        guard let source = plain.baseAddress, let target = sealed.baseAddress,
            csealing_is_zero(source, plain.count) == 0
        else { return 0 }
        let body = target + Self.headerBytes
        let compressed = compress(plain, to: body)
        let codec: Codec = compressed == nil ? .raw : .zstd
        let count = compressed ?? plain.count
        let input = compressed == nil ? source : UnsafeRawPointer(body)
        target.storeBytes(of: codec.rawValue, as: UInt8.self)
        let associated = Self.associatedBytes(codec, index: index, plainBytes: plain.count)
        let success = csealing_gcm_seal(
            cipher,
            key.bytes,
            Self.nonce(of: index),
            associated,
            associated.count,
            input.assumingMemoryBound(to: UInt8.self),
            count,
            body.assumingMemoryBound(to: UInt8.self),
            (body + count).assumingMemoryBound(to: UInt8.self)
        )
        guard success == 1 else { throw .libraryFailed("sealing a segment") }
        return Self.headerBytes + count + Self.tagBytes
    }

    /// Opens segment `index` into `plain`, which has exactly its plain length.
    ///
    /// - Throws: `corrupt` or `unknownFormat` if a byte of it was changed, or if it is another
    ///   segment's; `plain` then holds nothing that was not authenticated.
    package func open(
        _ sealed: UnsafeRawBufferPointer,
        index: Int,
        key: BlockKey,
        into plain: UnsafeMutableRawBufferPointer
    ) throws(SealingError) {
        precondition(plain.count <= Geometry.segmentBytes, "a segment has up to 64 KiB")
        precondition((0..<Geometry.segmentsPerBlock).contains(index), "no such segment")
        guard let source = sealed.baseAddress, let target = plain.baseAddress, sealed.count > 0
        else {
            guard sealed.isEmpty else { throw .corrupt("segment \(index)") }
            plain.initializeMemory(as: UInt8.self, repeating: 0)
            return
        }
        let count = sealed.count - Self.headerBytes - Self.tagBytes
        guard count > 0, count <= plain.count else { throw .corrupt("segment \(index)") }
        guard let codec = Codec(rawValue: sealed[0]) else {
            throw .unknownFormat(of: "segment \(index)", value: sealed[0])
        }
        let body = source + Self.headerBytes
        let associated = Self.associatedBytes(codec, index: index, plainBytes: plain.count)
        guard
            let output = codec == .raw ? target : packed.baseAddress,
            codec == .zstd || count == plain.count,
            csealing_gcm_open(
                cipher,
                key.bytes,
                Self.nonce(of: index),
                associated,
                associated.count,
                body.assumingMemoryBound(to: UInt8.self),
                count,
                (body + count).assumingMemoryBound(to: UInt8.self),
                output.assumingMemoryBound(to: UInt8.self)
            ) == 1
        else { throw .corrupt("segment \(index)") }
        guard codec == .zstd else { return }
        // Writes no more than `plain.count` bytes, whatever the frame announces.
        guard ZSTD_decompressDCtx(decompressor, target, plain.count, output, count) == plain.count
        else { throw .corrupt("segment \(index)") }
    }

    /// Compresses into `body`; `nil` if that saves less than a 16th.
    private func compress(
        _ plain: UnsafeRawBufferPointer,
        to body: UnsafeMutableRawPointer
    ) -> Int? {
        // Most of what fills disks is compressed already, and zstd would take as long to find
        // that out as the cipher takes for its work.
        let start = plain.baseAddress?.assumingMemoryBound(to: UInt8.self)
        guard csealing_looks_like_noise(start, plain.count) == 0 else { return nil }
        // Without more room than is worth using, zstd gives up by itself.
        let room = plain.count - (plain.count + Self.savedShareMin - 1) / Self.savedShareMin
        let count = ZSTD_compressCCtx(
            compressor,
            body,
            room,
            plain.baseAddress,
            plain.count,
            Self.compressionLevel
        )
        return ZSTD_isError(count) == 0 ? count : nil
    }

    private static func nonce(of index: Int) -> [UInt8] {
        UInt32(index).littleEndianBytes + [UInt8](repeating: 0, count: nonceBytes - 4)
    }

    private static func associatedBytes(
        _ codec: Codec,
        index: Int,
        plainBytes: Int
    ) -> [UInt8] {
        [codec.rawValue] + UInt32(index).littleEndianBytes + UInt32(plainBytes).littleEndianBytes
    }
}
