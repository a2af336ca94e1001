package import Primitives
package import Wire

/// Stands before the bytes of a shard in a put request.
package struct PutShard: Hashable, Message {
    /// Bytes before the shard's own.
    package static let byteCount = ShardID.byteCount + Digest.byteCount

    package let shard: ShardID
    /// Merkle root of the shard.
    package let root: Digest

    package init(shard: ShardID, root: Digest) {
        self.shard = shard
        self.root = root
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(shard)
        writer.id(root)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
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
    package let shard: ShardID
    /// First byte wanted, 0..<4 MiB.
    package let offset: UInt32
    /// Bytes wanted, 1...4 MiB.
    package let count: UInt32

    package init(shard: ShardID, offset: UInt32, count: UInt32) {
        self.shard = shard
        self.offset = offset
        self.count = count
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(shard)
        writer.integer(offset)
        writer.integer(count)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
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

    package let shards: [ShardID]

    package init(shards: [ShardID]) {
        self.shards = shards
    }

    package func write(to writer: inout ByteWriter) {
        writer.integer(UInt32(shards.count))
        for shard in shards { writer.id(shard) }
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        let count = try reader.count("shards", limit: Self.shardsMax)
        var shards: [ShardID] = []
        for _ in 0..<count { shards.append(try reader.id()) }
        self.shards = shards
    }
}

/// What a provider's store holds.
package struct StoreStatus: Hashable, Message {
    package let capacityBytes: UInt64
    package let usedBytes: UInt64
    package let shardCount: UInt64

    package init(capacityBytes: UInt64, usedBytes: UInt64, shardCount: UInt64) {
        self.capacityBytes = capacityBytes
        self.usedBytes = usedBytes
        self.shardCount = shardCount
    }

    package func write(to writer: inout ByteWriter) {
        writer.integer(capacityBytes)
        writer.integer(usedBytes)
        writer.integer(shardCount)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        capacityBytes = try reader.integer()
        usedBytes = try reader.integer()
        shardCount = try reader.integer()
    }
}
