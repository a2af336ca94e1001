package import Primitives
import Sealing
package import Wire

/// What stands before a shard in a segment file; `docs/provider-store.md` draws it.
package struct SegmentRecord: Hashable, Sendable {
    /// How a record is laid out.
    package enum Version: UInt16, Sendable, CaseIterable {
        /// Header and shard.
        case plain = 1
        /// Behind them a `RecordTrailer`, so that a leaf is proved without reading the shard.
        case proving = 2

        /// What is written today.
        package static let current = Version.proving
    }

    /// Everything in a segment begins at a multiple of this, the block of the file systems below,
    /// so that punching a record out frees all of its space.
    package static let alignment = 4096
    /// Bytes of the largest shard.
    package static let lengthMax = Geometry.shardBytesMax
    /// Bytes of a shard under one checksum: what a small read must read at least.
    package static let chunkBytes = 16 << 10
    /// Bytes before the checksums.
    package static let fixedBytes = 104
    private static let magic: UInt32 = 0x4448_534d  // "MSHD"

    package let version: Version
    package let shard: ShardID
    package let owner: NodeID
    package let root: Digest
    /// Bytes of the shard, 1...4 MiB.
    package let length: Int
    /// XXH3-64 of each chunk of the shard, little-endian one after another, as on the disk: a
    /// small read looks at one or two of 256, and decoding all would cost more than the read.
    private let checksums: [UInt8]

    package init(
        version: Version = .current,
        shard: ShardID,
        owner: NodeID,
        root: Digest,
        hashing bytes: UnsafeRawBufferPointer
    ) {
        precondition(!bytes.isEmpty && bytes.count <= Geometry.shardBytesMax)
        self.version = version
        self.shard = shard
        self.owner = owner
        self.root = root
        length = bytes.count
        var sums = ByteWriter(capacity: 8 * Self.chunkCount(length: bytes.count))
        for index in 0..<Self.chunkCount(length: bytes.count) {
            let chunk = bytes[Self.chunkRange(index, length: bytes.count)]
            sums.integer(XXH3.hash64(UnsafeRawBufferPointer(rebasing: chunk)))
        }
        checksums = sums.bytes
    }

    package var chunkCount: Int { Self.chunkCount(length: length) }

    package static func chunkCount(length: Int) -> Int {
        (length + chunkBytes - 1) / chunkBytes
    }

    /// Where chunk `index` lies in a shard of `length` bytes.
    package static func chunkRange(_ index: Int, length: Int) -> Range<Int> {
        let start = index * chunkBytes
        return start..<min(start + chunkBytes, length)
    }

    /// Bytes before a shard of `length` bytes.
    package static func headerBytes(length: Int) -> Int {
        fixedBytes + 8 * chunkCount(length: length)
    }

    /// Bytes behind a shard of `length` bytes.
    package static func trailerBytes(length: Int, version: Version = .current) -> Int {
        switch version {
        case .plain: 0
        case .proving: RecordTrailer.byteCount(length: length)
        }
    }

    /// Bytes of a segment that a shard of `length` bytes takes, header, trailer and padding
    /// included.
    package static func footprint(length: Int, version: Version = .current) -> Int {
        let bytes =
            headerBytes(length: length) + length + trailerBytes(length: length, version: version)
        return (bytes + alignment - 1) / alignment * alignment
    }

    package var headerBytes: Int { Self.headerBytes(length: length) }
    package var trailerBytes: Int { Self.trailerBytes(length: length, version: version) }
    package var footprint: Int { Self.footprint(length: length, version: version) }

    /// The header's bytes.
    ///
    /// `salt` is the segment's. A stored shard may hold anything, a forged header too; no one
    /// outside knows the salt, so that its checksum never fits.
    package func encoded(salt: UInt64) -> [UInt8] {
        var writer = ByteWriter(capacity: headerBytes)
        writer.integer(Self.magic)
        writer.integer(version.rawValue)
        writer.integer(UInt16(0))
        writer.integer(UInt32(length))
        writer.integer(UInt32(chunkCount))
        writer.id(shard)
        writer.id(owner)
        writer.id(root)
        writer.integer(Self.checksum(writer.bytes[...], checksums[...], salt: salt))
        writer.raw(checksums)
        return writer.bytes
    }

    /// Version and length of the shard, told by the first `fixedBytes` of a header that is not yet
    /// checked.
    package static func unverified(
        _ bytes: [UInt8]
    ) throws(DecodeError) -> (version: Version, length: Int) {
        var reader = ByteReader(bytes)
        guard try reader.integer(UInt32.self) == magic else {
            throw .badMagic(expected: "shard record")
        }
        let number = try reader.integer(UInt16.self)
        guard let version = Version(rawValue: number) else {
            throw .unsupportedVersion(UInt64(number))
        }
        _ = try reader.integer(UInt16.self)
        let length = Int(try reader.integer(UInt32.self))
        guard length > 0, length <= Geometry.shardBytesMax else {
            throw .tooLong(
                field: "shard",
                value: UInt64(length),
                limit: UInt64(Geometry.shardBytesMax)
            )
        }
        return (version, length)
    }

    /// Reads a header and checks it; `bytes` may go on behind it.
    package init(decoding bytes: [UInt8], salt: UInt64) throws(DecodeError) {
        let (version, length) = try Self.unverified(bytes)
        var reader = ByteReader(bytes)
        let fixed = try reader.bytes(Self.fixedBytes - 8)
        let stored = try reader.integer(UInt64.self)
        let count = Self.chunkCount(length: length)
        let sums = try reader.bytes(8 * count)
        guard Self.checksum(fixed, sums, salt: salt) == stored else {
            throw .corrupt("shard record header")
        }
        var fields = ByteReader(fixed.dropFirst(12))
        guard try fields.integer(UInt32.self) == count else {
            throw .invalid(field: "checksums", reason: "not \(count)")
        }
        self.version = version
        shard = try fields.id()
        owner = try fields.id()
        root = try fields.id()
        self.length = length
        checksums = Array(sums)
    }

    /// Index of the first of `chunks` whose bytes differ from what was written; `bytes` begin
    /// with the first chunk of the range.
    package func firstCorruptChunk(
        _ chunks: Range<Int>,
        in bytes: UnsafeRawBufferPointer
    ) -> Int? {
        let base = chunks.lowerBound * Self.chunkBytes
        return chunks.first { index in
            let range = Self.chunkRange(index, length: length)
            let part = UnsafeRawBufferPointer(
                rebasing: bytes[(range.lowerBound - base)..<(range.upperBound - base)]
            )
            return XXH3.hash64(part) != checksum(index)
        }
    }

    private func checksum(_ index: Int) -> UInt64 {
        checksums.withUnsafeBytes {
            UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
        }
    }

    private static func checksum(
        _ fixed: ArraySlice<UInt8>,
        _ sums: ArraySlice<UInt8>,
        salt: UInt64
    ) -> UInt64 {
        let count = 8 + fixed.count + sums.count
        return withUnsafeTemporaryAllocation(byteCount: count, alignment: 8) { buffer in
            buffer.storeBytes(of: salt.littleEndian, as: UInt64.self)
            fixed.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: buffer[8...]).copyMemory(from: $0)
            }
            sums.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: buffer[(8 + fixed.count)...])
                    .copyMemory(from: $0)
            }
            return XXH3.hash64(UnsafeRawBufferPointer(buffer))
        }
    }
}
