import Primitives
import SQLite

extension StripeRow {
    static let columns =
        "id, k, m, payload_bytes, shard_bytes, state, live_blocks, live_bytes, born, died"

    /// As the columns hold it.
    var values: [Value] {
        [
            .blob(id.bytes), .integer(Int64(code.k)), .integer(Int64(code.m)),
            .integer(Int64(payloadBytes)), .integer(Int64(shardBytes)), .integer(state.rawValue),
            .integer(liveBlocks), .integer(liveBytes), .integer(Int64(clamping: born)),
            died.map { .integer(Int64(clamping: $0)) } ?? .null,
        ]
    }
}

extension InodeRow {
    /// As the columns hold it.
    var values: [Value] {
        let times = [attributes.accessed, attributes.modified, attributes.changed]
        return [
            .integer(Int64(attributes.ino.rawValue)), .integer(Int64(attributes.kind.rawValue)),
            .integer(Int64(attributes.mode)), .integer(Int64(attributes.uid)),
            .integer(Int64(attributes.gid)), .integer(Int64(attributes.linkCount)),
            .integer(Int64(attributes.size)), .integer(Int64(bitPattern: attributes.rdev)),
        ] + times.flatMap { [Value.integer($0.seconds), .integer(Int64($0.nanoseconds))] } + [
            .integer(Int64(parent.rawValue)), .integer(Int64(nextCookie)),
            .integer(Int64(entryCount)), .integer(Int64(xattrBytes)), .integer(Int64(blockCount)),
        ]
    }
}
