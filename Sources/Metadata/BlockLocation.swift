package import Primitives
import Wire

/// Where the network holds a block of a file.
package struct BlockLocation: Hashable, Sendable {
    package let stripe: StripeID
    /// Where the block's first sealed byte stands in the stripe's payload.
    package let offset: UInt32
    /// Bytes of the block when it was sealed: 1...`Geometry.blockBytes`.
    package let plainBytes: UInt32
    /// Bytes of it that still count, at most `plainBytes`; less after the file was cut.
    ///
    /// What lies past them reads as zero.
    package var validBytes: UInt32
    /// Sealed length of each 64 KiB segment, in order; 0 if the segment is all zero.
    package let segmentBytes: [UInt32]
    /// XXH3-64 of the bytes that count; `nil` if nobody knows it, as after the file was cut.
    package let checksum: UInt64?

    package init(
        stripe: StripeID,
        offset: UInt32,
        plainBytes: UInt32,
        validBytes: UInt32,
        segmentBytes: [UInt32],
        checksum: UInt64? = nil
    ) {
        self.stripe = stripe
        self.offset = offset
        self.plainBytes = plainBytes
        self.validBytes = validBytes
        self.segmentBytes = segmentBytes
        self.checksum = checksum
    }

    /// The same place of bytes with this checksum.
    package func holding(checksum: UInt64) -> BlockLocation {
        BlockLocation(
            stripe: stripe,
            offset: offset,
            plainBytes: plainBytes,
            validBytes: validBytes,
            segmentBytes: segmentBytes,
            checksum: checksum
        )
    }

    /// The mark of a block whose bytes are lost: reading it fails until it is overwritten or cut.
    ///
    /// `segmentBytes` as of its row before, if that is known: what was all zero stays so.
    static func lost(plainBytes: UInt32, validBytes: UInt32, segmentBytes: [UInt32]) -> Self {
        BlockLocation(
            stripe: .lost,
            offset: 0,
            plainBytes: plainBytes,
            validBytes: validBytes,
            segmentBytes: segmentBytes
        )
    }

    /// Whether its bytes are lost.
    package var isLost: Bool { stripe == .lost }

    /// Bytes the block takes of its stripe's payload.
    package var sealedBytes: UInt64 { segmentBytes.reduce(0) { $0 + UInt64($1) } }

    /// The segments' lengths as the database keeps them: `UInt32` each, little-endian.
    var encodedSegments: [UInt8] {
        var writer = ByteWriter(capacity: segmentBytes.count * 4)
        for bytes in segmentBytes { writer.integer(bytes) }
        return writer.bytes
    }

    /// Reads a block's row back, refusing what no program of ours writes.
    static func decode(
        stripe: [UInt8],
        offset: Int64,
        plainBytes: Int64,
        validBytes: Int64,
        segments: [UInt8],
        checksum: Int64?
    ) throws(DecodeError) -> BlockLocation {
        guard let stripe = StripeID(bytes: stripe) else {
            throw .invalid(field: "stripe", reason: "\(stripe.count) bytes")
        }
        guard let offset = UInt32(exactly: offset) else {
            throw .invalid(field: "offset", reason: "\(offset)")
        }
        guard
            let plain = UInt32(exactly: plainBytes), plain >= 1, plain <= Geometry.blockBytes,
            let valid = UInt32(exactly: validBytes), valid <= plain
        else {
            throw .invalid(field: "length", reason: "\(validBytes) of \(plainBytes)")
        }
        let count = (Int(plain) + Geometry.segmentBytes - 1) / Geometry.segmentBytes
        var reader = ByteReader(segments)
        var lengths: [UInt32] = []
        for _ in 0..<count { lengths.append(try reader.integer()) }
        try reader.finish()
        return BlockLocation(
            stripe: stripe,
            offset: offset,
            plainBytes: plain,
            validBytes: valid,
            segmentBytes: lengths,
            checksum: checksum.map { UInt64(bitPattern: $0) }
        )
    }
}
