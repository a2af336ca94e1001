package import Primitives
package import Wire

/// Asks a keeper for what it has repaired of a volume after a number, oldest first.
package struct FetchRepairs: Hashable, KeeperQuery {
    /// The repairs, ascending by number.
    package typealias Answer = RepairList
    package static let operation = Operation.fetchRepairs

    package let volume: VolumeID
    package let after: UInt64

    package init(volume: VolumeID, after: UInt64) {
        self.volume = volume
        self.after = after
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(volume)
        writer.integer(after)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        volume = try reader.id()
        after = try reader.integer()
    }
}

/// One shard that a keeper brought from one provider to another, byte for byte the same.
package struct RepairRecord: Hashable, Message {
    /// Grows from record to record of a volume.
    package let number: UInt64
    package let stripe: StripeID
    package let index: UInt8
    package let shard: ShardID
    package let from: NodeID
    package let to: NodeID
    package let at: Timestamp

    package init(
        number: UInt64,
        stripe: StripeID,
        index: UInt8,
        shard: ShardID,
        from: NodeID,
        to: NodeID,
        at: Timestamp
    ) {
        self.number = number
        self.stripe = stripe
        self.index = index
        self.shard = shard
        self.from = from
        self.to = to
        self.at = at
    }

    package func write(to writer: inout ByteWriter) {
        writer.integer(number)
        writer.id(stripe)
        writer.integer(index)
        writer.id(shard)
        writer.id(from)
        writer.id(to)
        writer.timestamp(at)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        number = try reader.integer()
        stripe = try reader.id()
        index = try reader.integer()
        shard = try reader.id()
        from = try reader.id()
        to = try reader.id()
        at = try reader.timestamp()
    }
}

/// Repairs of one volume, ascending by number; ask again after the last until none comes.
package struct RepairList: Hashable, Message {
    /// The most records of one list: less than 512 KiB.
    package static let repairsMax = 4096

    package let repairs: [RepairRecord]

    package init(repairs: [RepairRecord]) { self.repairs = repairs }

    package func write(to writer: inout ByteWriter) { writer.list(repairs) }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        repairs = try reader.list("repairs", limit: Self.repairsMax)
    }
}
