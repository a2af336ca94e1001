package import Primitives
package import Wire

/// Asks a provider to keep shards until a time at least, whoever asks for their deletion before.
package struct RetainShards: Hashable, ProviderQuery {
    /// Until when each is kept then.
    package typealias Answer = RetainedShards
    package static let operation = Operation.retainShards
    /// It ends with a disk sync.
    package static let timeout = RemoteNetwork.putTimeout
    /// The most ids in one request: 64 KiB of them.
    package static let shardsMax = 4096
    /// The longest from now on, in seconds: 3,653 days, the longest lock of a snapshot, and a day
    /// for clocks that differ.
    package static let secondsMax: Int64 = 3654 * 86_400

    /// Whose shards: the peer itself, or who granted the peer to repair.
    package let owner: NodeID
    /// Seconds since 1970; 0 changes nothing, and asks how the shards stand.
    package let until: Int64
    package let shards: [ShardID]

    package init(owner: NodeID, until: Int64, shards: [ShardID]) {
        self.owner = owner
        self.until = until
        self.shards = shards
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(owner)
        writer.integer(until)
        writer.integer(UInt32(shards.count))
        for shard in shards { writer.id(shard) }
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        owner = try reader.id()
        until = try reader.integer()
        guard until >= 0 else { throw .invalid(field: "until", reason: "\(until)") }
        shards = try reader.ids("shards", limit: Self.shardsMax)
    }
}

/// Until when a provider keeps the shards that it was asked about, in their order.
package struct RetainedShards: Hashable, Message {
    /// Seconds since 1970; 0 of a shard that is in no order of the owner's here, or not retained.
    package let times: [Int64]

    package init(times: [Int64]) { self.times = times }

    package func write(to writer: inout ByteWriter) {
        writer.integer(UInt32(times.count))
        for time in times { writer.integer(time) }
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        let count = try reader.count("times", limit: RetainShards.shardsMax)
        var times: [Int64] = []
        for _ in 0..<count { times.append(try reader.integer()) }
        self.times = times
    }
}
