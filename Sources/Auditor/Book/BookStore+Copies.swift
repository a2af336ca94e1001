import Primitives
import SQLite

/// Shards known to be lost, and copies that are not where the stripes say.
extension BookStore {
    func losses() throws(SQLiteError) -> [Copy: Loss] {
        let rows = try database.query(
            "SELECT shard, provider, since, cause FROM lost"
        ) { (row) throws(SQLiteError) in
            (
                ShardID(bytes: row.blob(0)), NodeID(bytes: row.blob(1)), row.integer(2),
                Loss.Cause(rawValue: row.integer(3))
            )
        }
        var losses: [Copy: Loss] = [:]
        for case (let shard?, let provider?, let since, let cause?) in rows {
            losses[Copy(shard: shard, provider: provider)] = Loss(
                since: Timestamp(seconds: since, nanoseconds: 0),
                cause: cause
            )
        }
        return losses
    }

    func add(_ losses: [Copy: Loss]) throws(SQLiteError) {
        try transaction { () throws(SQLiteError) in
            for (copy, loss) in losses {
                try database.execute(
                    "INSERT OR REPLACE INTO lost VALUES (?, ?, ?, ?)",
                    .blob(copy.shard.bytes),
                    .blob(copy.provider.bytes),
                    .integer(loss.since.seconds),
                    .integer(loss.cause.rawValue)
                )
            }
        }
    }

    func removeLosses(_ copies: [Copy]) throws(SQLiteError) {
        try transaction { () throws(SQLiteError) in
            for copy in copies {
                try database.execute(
                    "DELETE FROM lost WHERE shard = ? AND provider = ?",
                    .blob(copy.shard.bytes),
                    .blob(copy.provider.bytes)
                )
            }
        }
    }

    // MARK: Stray copies

    func put(_ strays: [StrayCopy]) throws(SQLiteError) {
        try transaction { () throws(SQLiteError) in
            for stray in strays {
                try database.execute(
                    "INSERT OR REPLACE INTO copies VALUES (?, ?, ?, ?, ?, ?)",
                    .blob(stray.copy.shard.bytes),
                    .blob(stray.copy.provider.bytes),
                    .blob(stray.stripe.bytes),
                    .integer(Int64(stray.index)),
                    .integer(stray.state.rawValue),
                    .integer(stray.due.seconds)
                )
            }
        }
    }

    func removeStrays(_ copies: [Copy]) throws(SQLiteError) {
        try transaction { () throws(SQLiteError) in
            for copy in copies {
                try database.execute(
                    "DELETE FROM copies WHERE shard = ? AND provider = ?",
                    .blob(copy.shard.bytes),
                    .blob(copy.provider.bytes)
                )
            }
        }
    }

    func removeAllStrays() throws(SQLiteError) { try database.execute("DELETE FROM copies") }

    func strays(of shard: ShardID) throws(SQLiteError) -> [StrayCopy] {
        try database.query(
            "SELECT shard, provider, stripe, slot, state, due FROM copies WHERE shard = ?",
            .blob(shard.bytes)
        ) { Self.stray($0) }.compactMap { $0 }
    }

    /// Copies in a state that is over by `time`, those longest over first.
    func strays(
        _ state: BookSchema.CopyState,
        dueBy time: Timestamp,
        at provider: NodeID,
        limit: Int
    ) throws(SQLiteError) -> [StrayCopy] {
        try database.query(
            """
            SELECT shard, provider, stripe, slot, state, due FROM copies
            WHERE state = ? AND due <= ? AND provider = ? ORDER BY due LIMIT ?
            """,
            .integer(state.rawValue),
            .integer(time.seconds),
            .blob(provider.bytes),
            .integer(Int64(limit))
        ) { Self.stray($0) }.compactMap { $0 }
    }

    func count(of state: BookSchema.CopyState) throws(SQLiteError) -> Int {
        let sql = "SELECT count(*) FROM copies WHERE state = ?"
        guard case .integer(let count) = try database.value(sql, .integer(state.rawValue))
        else { return 0 }
        return Int(count)
    }

    /// Providers that have copies in a state that is over by `time`.
    func providersOfStrays(
        _ state: BookSchema.CopyState,
        dueBy time: Timestamp
    ) throws(SQLiteError) -> [NodeID] {
        try database.query(
            "SELECT DISTINCT provider FROM copies WHERE state = ? AND due <= ?",
            .integer(state.rawValue),
            .integer(time.seconds)
        ) { NodeID(bytes: $0.blob(0)) }.compactMap { $0 }
    }

    /// Moves all copies of a provider from one state to another.
    func changeStrays(
        at provider: NodeID,
        from: BookSchema.CopyState,
        to state: BookSchema.CopyState,
        due: Timestamp
    ) throws(SQLiteError) -> Int {
        try database.execute(
            "UPDATE copies SET state = ?, due = ? WHERE provider = ? AND state = ?",
            .integer(state.rawValue),
            .integer(due.seconds),
            .blob(provider.bytes),
            .integer(from.rawValue)
        )
        return database.changes
    }

    private static func stray(_ row: Statement) -> StrayCopy? {
        guard let shard = ShardID(bytes: row.blob(0)), let provider = NodeID(bytes: row.blob(1)),
            let stripe = StripeID(bytes: row.blob(2)),
            let state = BookSchema.CopyState(rawValue: row.integer(4))
        else { return nil }
        return StrayCopy(
            copy: Copy(shard: shard, provider: provider),
            stripe: stripe,
            index: Int(row.integer(3)),
            state: state,
            due: Timestamp(seconds: row.integer(5), nanoseconds: 0)
        )
    }
}
