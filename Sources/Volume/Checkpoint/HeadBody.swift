import Network
import Primitives
import Sealing
import Wire

/// The body of a volume's head: `CheckpointPlace`, sealed so that keepers learn nothing of it.
///
/// | bytes | field |
/// |---|---|
/// | 16 | an id, random |
/// | … | a sealed segment, index 0, under the checkpoint key's block key of (id, 2^32 - 1) |
/// | 4 | its plain length (u32) |
///
/// A head of a wide code (255 shards of 81 bytes) has 21 KiB.
enum HeadBody {
    /// No block of a stripe begins there.
    private static let offset = UInt32.max

    static func seal(
        _ place: CheckpointPlace,
        key: FileKey
    ) throws(FileSystemError) -> [UInt8] {
        let plain = place.encoded
        guard plain.count <= Geometry.segmentBytes - 1024 else {
            throw FileSystemError(.invalid, "a head names too many stripes")
        }
        let id = StripeBuilder.newID(StripeID.self)
        var sealed = [UInt8](
            repeating: 0,
            count: SegmentSealer.sealedBytesMax(plainBytes: plain.count)
        )
        do {
            let sealer = try SegmentSealer()
            let blockKey = key.blockKey(stripe: id, offset: offset)
            let count = try plain.withUnsafeBytes { plain in
                try sealed.withUnsafeMutableBytes { sealed in
                    try sealer.seal(plain, index: 0, key: blockKey, into: sealed)
                }
            }
            return id.bytes + sealed.prefix(count) + UInt32(plain.count).littleEndianBytes
        } catch {
            throw FileSystemError(.inputOutput, "cannot seal a head: \(error)")
        }
    }

    static func open(_ body: [UInt8], key: FileKey) throws(FileSystemError) -> CheckpointPlace {
        do {
            var reader = ByteReader(body)
            let id: StripeID = try reader.id()
            let sealed = Array(try reader.bytes(reader.remaining - 4))
            let count = try reader.integer(UInt32.self)
            guard count <= Geometry.segmentBytes else {
                throw DecodeError.tooLong(
                    field: "place",
                    value: UInt64(count),
                    limit: UInt64(Geometry.segmentBytes)
                )
            }
            var plain = [UInt8](repeating: 0, count: Int(count))
            let sealer = try SegmentSealer()
            try plain.withUnsafeMutableBytes { plain in
                try sealed.withUnsafeBytes { sealed in
                    try sealer.open(
                        sealed,
                        index: 0,
                        key: key.blockKey(stripe: id, offset: offset),
                        into: plain
                    )
                }
            }
            return try CheckpointPlace(decoding: plain)
        } catch {
            throw FileSystemError(
                .corrupt,
                "the head is not one of this volume, or was changed: \(error)"
            )
        }
    }
}

extension UInt32 {
    fileprivate var littleEndianBytes: [UInt8] { withUnsafeBytes(of: littleEndian) { Array($0) } }
}
