package import Primitives
package import Wire

/// All that an order holds, in 48 bytes: the root of its Merkle-sum tree, its bytes and its count.
package struct Commitment: Hashable, Message {
    /// Bytes of its encoding.
    package static let byteCount = 48
    /// Of an order without entries.
    package static let empty = Commitment(root: .zero, totalBytes: 0, count: 0)

    package let root: Digest
    /// Bytes of all live shards.
    package let totalBytes: UInt64
    /// Entries, tombstones among them.
    package let count: UInt64

    package init(root: Digest, totalBytes: UInt64, count: UInt64) {
        self.root = root
        self.totalBytes = totalBytes
        self.count = count
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        root = try reader.id()
        totalBytes = try reader.integer()
        count = try reader.integer()
        if let fault { throw .invalid(field: "commitment", reason: fault) }
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(root)
        writer.integer(totalBytes)
        writer.integer(count)
    }

    /// Why no order has this commitment, or `nil` if one may.
    var fault: String? {
        guard count <= OrderTree.entriesMax else {
            return "\(count) entries, more than \(OrderTree.entriesMax)"
        }
        guard totalBytes.isMultiple(of: UInt64(Geometry.leafBytes)) else {
            return "\(totalBytes) bytes are no whole number of leaves"
        }
        guard totalBytes <= count * UInt64(Geometry.shardBytesMax) else {
            return "\(totalBytes) bytes in \(count) entries"
        }
        guard count > 0 || root == .zero else { return "a root without entries" }
        return nil
    }
}
