import Primitives
import Sealing
package import Wire

/// What stands behind a shard in a segment file: the Merkle roots of its chunks.
///
/// With them a leaf is proved by reading its chunk alone; `docs/provider-store.md` draws it.
package struct RecordTrailer: Hashable, Sendable {
    /// SHA-256 Merkle root of each chunk of the shard, one after another.
    package let chunkRoots: [UInt8]

    package init(chunkRoots: [UInt8]) { self.chunkRoots = chunkRoots }

    /// Bytes of the trailer of a shard of `length` bytes.
    package static func byteCount(length: Int) -> Int {
        Digest.byteCount * SegmentRecord.chunkCount(length: length) + 8
    }

    /// The trailer's bytes; `salt` is the segment's, as in `SegmentRecord.encoded`.
    package func encoded(of record: SegmentRecord, salt: UInt64) -> [UInt8] {
        var writer = ByteWriter(capacity: chunkRoots.count + 8)
        writer.raw(chunkRoots)
        writer.integer(Self.checksum(chunkRoots[...], of: record, salt: salt))
        return writer.bytes
    }

    /// Reads the trailer of `record` and checks it.
    package init(
        decoding bytes: [UInt8],
        of record: SegmentRecord,
        salt: UInt64
    ) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let roots = try reader.bytes(Digest.byteCount * record.chunkCount)
        let stored = try reader.integer(UInt64.self)
        try reader.finish()
        guard Self.checksum(roots, of: record, salt: salt) == stored else {
            throw .corrupt("shard record trailer")
        }
        chunkRoots = Array(roots)
    }

    /// Covers the shard's id and root too, so that no other record's trailer passes for this one.
    private static func checksum(
        _ roots: ArraySlice<UInt8>,
        of record: SegmentRecord,
        salt: UInt64
    ) -> UInt64 {
        var writer = ByteWriter(
            capacity: 8 + ShardID.byteCount + Digest.byteCount + roots.count
        )
        writer.integer(salt)
        writer.id(record.shard)
        writer.id(record.root)
        writer.raw(roots)
        return XXH3.hash64(writer.bytes)
    }
}
