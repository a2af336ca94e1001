package import Primitives
package import Wire

/// What an order says of one shard: its length and the Merkle root of its masked bytes.
package struct OrderEntry: Hashable, Message {
    /// Bytes of its encoding.
    package static let byteCount = 56

    package let shard: ShardID
    /// Whole leaves, 1 KiB...4 MiB; 0 in a tombstone.
    package let bytes: UInt64
    /// Zeros in a tombstone.
    package let root: Digest

    package init(shard: ShardID, bytes: UInt64, root: Digest) {
        self.shard = shard
        self.bytes = bytes
        self.root = root
    }

    /// What stays of an entry whose shard was deleted, until the order is compacted.
    package static func tombstone(_ shard: ShardID) -> OrderEntry {
        OrderEntry(shard: shard, bytes: 0, root: .zero)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        shard = try reader.id()
        bytes = try reader.integer()
        root = try reader.id()
        if let fault { throw .invalid(field: "order entry", reason: fault) }
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(shard)
        writer.integer(bytes)
        writer.id(root)
    }

    package var isTombstone: Bool { bytes == 0 }

    /// Leaves of the shard's Merkle tree.
    package var leafCount: Int {
        Int(truncatingIfNeeded: min(bytes, UInt64(Geometry.shardBytesMax)))
            / Geometry.leafBytes
    }

    /// Why no order has this entry, or `nil` if one may.
    var fault: String? {
        if isTombstone { return root == .zero ? nil : "no bytes, and yet a root" }
        guard bytes <= Geometry.shardBytesMax else {
            return "\(bytes) bytes, more than \(Geometry.shardBytesMax)"
        }
        guard bytes.isMultiple(of: UInt64(Geometry.leafBytes)) else {
            return "\(bytes) bytes are no whole number of leaves"
        }
        return nil
    }
}

/// One step of an order's history: an entry appended, or one replaced by its tombstone.
package struct OrderChange: Hashable, Message {
    /// Where: the order's count appends; below it stands the tombstone's shard.
    package let position: UInt64
    package let entry: OrderEntry

    package init(position: UInt64, entry: OrderEntry) {
        self.position = position
        self.entry = entry
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        position = try reader.integer()
        guard position < OrderTree.entriesMax else {
            throw .tooLong(
                field: "position",
                value: position,
                limit: UInt64(OrderTree.entriesMax - 1)
            )
        }
        entry = try OrderEntry(from: &reader)
    }

    package func write(to writer: inout ByteWriter) {
        writer.integer(position)
        entry.write(to: &writer)
    }
}
