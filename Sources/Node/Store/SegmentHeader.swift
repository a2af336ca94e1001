package import Primitives
import Sealing
package import Wire

/// The first block of a segment file.
package struct SegmentHeader: Hashable, Sendable {
    package static let byteCount = 64
    private static let magic = Array("MEFSSEG1".utf8)

    /// 1..., never used again.
    package let number: UInt64
    /// Whose store it is.
    package let node: NodeID
    /// Random; see `SegmentRecord.encoded`.
    package let salt: UInt64

    package init(number: UInt64, node: NodeID, salt: UInt64) {
        self.number = number
        self.node = node
        self.salt = salt
    }

    package var encoded: [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.raw(Self.magic)
        writer.integer(number)
        writer.id(node)
        writer.integer(salt)
        writer.integer(XXH3.hash64(writer.bytes))
        return writer.bytes
    }

    package init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        guard Array(try reader.bytes(Self.magic.count)) == Self.magic else {
            throw .badMagic(expected: "segment file of version 1")
        }
        number = try reader.integer()
        node = try reader.id()
        salt = try reader.integer()
        let checksum = try reader.integer(UInt64.self)
        guard XXH3.hash64(Array(bytes.prefix(Self.byteCount - 8))) == checksum else {
            throw .corrupt("segment header")
        }
        try reader.finish()
    }
}
