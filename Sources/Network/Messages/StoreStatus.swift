package import Wire

/// What a provider's store holds.
package struct StoreStatus: Hashable, Message {
    package let capacityBytes: UInt64
    package let usedBytes: UInt64
    package let shardCount: UInt64
    /// Orders that are open.
    package let orderCount: UInt64
    /// Shards under an order that the provider knows to be rotten or gone.
    package let damagedShards: UInt64
    /// Bytes that the scrub has reread since the provider started.
    package let scrubbedBytes: UInt64
    /// Takes nothing new, and waits for what it has to be moved away.
    package let isLeaving: Bool

    package init(
        capacityBytes: UInt64,
        usedBytes: UInt64,
        shardCount: UInt64,
        orderCount: UInt64 = 0,
        damagedShards: UInt64 = 0,
        scrubbedBytes: UInt64 = 0,
        isLeaving: Bool = false
    ) {
        self.capacityBytes = capacityBytes
        self.usedBytes = usedBytes
        self.shardCount = shardCount
        self.orderCount = orderCount
        self.damagedShards = damagedShards
        self.scrubbedBytes = scrubbedBytes
        self.isLeaving = isLeaving
    }

    package func write(to writer: inout ByteWriter) {
        writer.integer(capacityBytes)
        writer.integer(usedBytes)
        writer.integer(shardCount)
        writer.integer(orderCount)
        writer.integer(damagedShards)
        writer.integer(scrubbedBytes)
        writer.boolean(isLeaving)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        capacityBytes = try reader.integer()
        usedBytes = try reader.integer()
        shardCount = try reader.integer()
        orderCount = try reader.integer()
        damagedShards = try reader.integer()
        scrubbedBytes = try reader.integer()
        isLeaving = try reader.boolean("leaving")
    }
}

/// Tells a provider to leave the network, or to stay after all; only its own key may.
package struct SetLeaving: Hashable, ProviderQuery {
    /// The store as it is then.
    package typealias Answer = StoreStatus
    package static let operation = Operation.setLeaving

    package let isLeaving: Bool

    package init(isLeaving: Bool) { self.isLeaving = isLeaving }

    package func write(to writer: inout ByteWriter) { writer.boolean(isLeaving) }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        isLeaving = try reader.boolean("leaving")
    }
}
