package import Primitives
import SQLite

/// Holders that a checkpoint could not know of.
extension RestoredDatabase {
    /// Rows looked at in one turn.
    private static let holdersPage = 4096

    /// Has shards be at other providers than the pieces say.
    ///
    /// `moved` is asked about a page of shards and who is said to hold them, and names other
    /// holders. Called after the last piece and before the database is finished.
    package func moveShards(
        _ moved: ([(shard: ShardID, provider: NodeID)]) throws(FileSystemError)
            -> [ShardID: NodeID]
    ) throws(FileSystemError) {
        var after: (stripe: [UInt8], index: Int64) = ([], -1)
        while true {
            let rows = try page(after: after)
            guard let last = rows.last else { return }
            after = (last.stripe, last.index)
            let found = try moved(rows.map { ($0.shard, $0.provider) })
            guard !found.isEmpty else { continue }
            try converting { () throws(SQLiteError) in
                for row in rows {
                    guard let provider = found[row.shard] else { continue }
                    try database.execute(
                        "UPDATE shard SET provider=? WHERE stripe=? AND idx=?",
                        .blob(provider.bytes),
                        .blob(row.stripe),
                        .integer(row.index)
                    )
                }
            }
        }
    }

    private struct Row {
        let stripe: [UInt8]
        let index: Int64
        let shard: ShardID
        let provider: NodeID
    }

    private func page(
        after place: (stripe: [UInt8], index: Int64)
    ) throws(FileSystemError) -> [Row] {
        let rows = try converting { () throws(SQLiteError) in
            try database.query(
                """
                SELECT stripe, idx, shard, provider FROM shard WHERE (stripe, idx) > (?, ?) \
                ORDER BY stripe, idx LIMIT ?
                """,
                .blob(place.stripe),
                .integer(place.index),
                .integer(Int64(Self.holdersPage))
            ) { row -> Row? in
                guard let shard = ShardID(bytes: row.blob(2)),
                    let provider = NodeID(bytes: row.blob(3))
                else { return nil }
                return Row(
                    stripe: row.blob(0),
                    index: row.integer(1),
                    shard: shard,
                    provider: provider
                )
            }
        }
        return try rows.map { row throws(FileSystemError) in
            guard let row else { throw Self.corrupt("a row of shards makes no sense") }
            return row
        }
    }
}
