package import Primitives
package import Wire

/// Stands before the bytes of a shard in a put request.
package struct PutShard: Hashable, Message {
    /// Bytes before the shard's own.
    package static let byteCount = NodeID.byteCount + ShardID.byteCount + Digest.byteCount

    /// On whose behalf: the peer itself, or who granted the peer to repair.
    package let owner: NodeID
    package let shard: ShardID
    /// Merkle root of the shard.
    package let root: Digest

    package init(owner: NodeID, shard: ShardID, root: Digest) {
        self.owner = owner
        self.shard = shard
        self.root = root
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(owner)
        writer.id(shard)
        writer.id(root)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        owner = try reader.id()
        shard = try reader.id()
        root = try reader.id()
    }

    /// Reads what stands before the shard and checks the length of the shard, which is the rest
    /// of `body` from `byteCount` on: whole leaves, 1 KiB...4 MiB.
    package init(headOf body: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(body)
        try self.init(from: &reader)
        let count = reader.remaining
        guard count > 0, count.isMultiple(of: Geometry.leafBytes) else {
            throw .invalid(field: "shard", reason: "\(count) bytes are not whole leaves")
        }
        guard count <= Geometry.shardBytesMax else {
            throw .tooLong(
                field: "shard",
                value: UInt64(count),
                limit: UInt64(Geometry.shardBytesMax)
            )
        }
    }
}

/// Asks for a range of a shard.
package struct GetShard: Hashable, Message {
    /// Whose shard: the peer itself, or who granted the peer to repair.
    package let owner: NodeID
    package let shard: ShardID
    /// First byte wanted, 0..<4 MiB.
    package let offset: UInt32
    /// Bytes wanted, 1...4 MiB.
    package let count: UInt32

    package init(owner: NodeID, shard: ShardID, offset: UInt32, count: UInt32) {
        self.owner = owner
        self.shard = shard
        self.offset = offset
        self.count = count
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(owner)
        writer.id(shard)
        writer.integer(offset)
        writer.integer(count)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        owner = try reader.id()
        shard = try reader.id()
        offset = try reader.integer()
        count = try reader.integer()
        let end = UInt64(offset) + UInt64(count)
        guard count > 0, end <= Geometry.shardBytesMax else {
            throw .invalid(field: "range", reason: "\(offset)..<\(end)")
        }
    }
}

/// Asks to remove shards.
package struct DeleteShards: Hashable, Message {
    /// The most ids in one request: 64 KiB of them.
    package static let shardsMax = 4096

    /// Whose shards: the peer itself, or who granted the peer to repair.
    package let owner: NodeID
    package let shards: [ShardID]

    package init(owner: NodeID, shards: [ShardID]) {
        self.owner = owner
        self.shards = shards
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(owner)
        writer.integer(UInt32(shards.count))
        for shard in shards { writer.id(shard) }
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        owner = try reader.id()
        shards = try reader.ids("shards", limit: Self.shardsMax)
    }
}
