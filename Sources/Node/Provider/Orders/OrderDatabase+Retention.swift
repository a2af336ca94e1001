import Primitives
import SQLite

extension OrderDatabase {
    /// Until when a shard is retained, in seconds since 1970; 0 if it is not.
    func retention(of shard: ShardID) throws(SQLiteError) -> Int64 {
        try database.query("SELECT until FROM retained WHERE shard = ?", .blob(shard.bytes)) {
            $0.integer(0)
        }.first ?? 0
    }

    /// Retains shards until a time at least; durable when this returns.
    func retain(_ shards: some Collection<ShardID>, until: Int64) throws {
        guard !shards.isEmpty else { return }
        try database.transaction {
            for shard in shards {
                try database.execute(
                    """
                    INSERT INTO retained VALUES (?, ?)
                    ON CONFLICT DO UPDATE SET until = excluded.until WHERE excluded.until > until
                    """,
                    .blob(shard.bytes),
                    .integer(until)
                )
            }
        }
    }

    /// Forgets the retention of shards whose time is over.
    func forgetRetention(
        of shards: some Collection<ShardID>,
        before time: Int64
    ) throws {
        try database.transaction {
            for shard in shards {
                try database.execute(
                    "DELETE FROM retained WHERE shard = ? AND until <= ?",
                    .blob(shard.bytes),
                    .integer(time)
                )
            }
        }
    }
}
