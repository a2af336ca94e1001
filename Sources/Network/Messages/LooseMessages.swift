package import Primitives
package import Proofs
package import Wire

/// Asks a provider for the shards that it keeps for who asks and that are in no order.
///
/// They were put, and the order was never told. Only the owner is answered, not a grantee.
package struct ListLoose: Hashable, ProviderQuery {
    /// Some of them.
    package typealias Answer = LooseShards
    package static let operation = Operation.listLoose

    /// Only shards whose ids come after this one; `nil` for all.
    package let after: ShardID?

    package init(after: ShardID? = nil) { self.after = after }

    package func write(to writer: inout ByteWriter) {
        writer.boolean(after != nil)
        if let after { writer.id(after) }
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        after = try reader.boolean("after") ? try reader.id() : nil
    }
}

/// Shards of an owner in no order, ascending by id.
package struct LooseShards: Hashable, Message {
    /// The most shards that a provider looks at for one answer, and so the most it can name.
    package static let shardsMax = 4096

    package let shards: [OrderEntry]
    /// Where to go on: the last shard that was looked at; `nil` at the end.
    package let next: ShardID?

    package init(shards: [OrderEntry], next: ShardID?) {
        self.shards = shards
        self.next = next
    }

    package func write(to writer: inout ByteWriter) {
        writer.list(shards)
        writer.boolean(next != nil)
        if let next { writer.id(next) }
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        shards = try reader.list("shards", limit: Self.shardsMax)
        next = try reader.boolean("next") ? try reader.id() : nil
    }
}
