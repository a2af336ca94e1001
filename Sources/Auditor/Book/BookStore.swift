import Logging
import Primitives
import Proofs
import Reliability
import SQLite
import Wire

/// The book's file: orders and their entries.
///
/// Belongs to whoever holds its lock, over its I/O, which is what the lock is there for. All
/// commits reach the disk before they return.
final class BookStore {
    let database: Database

    init(path: String, logger: Logger) throws(SQLiteError) {
        database = try BookSchema.open(path, logger: logger)
    }

    /// Runs `body` in one transaction: all of it happens, or, if it throws, nothing.
    func transaction<T>(_ body: () throws(SQLiteError) -> T) throws(SQLiteError) -> T {
        try database.execute("BEGIN IMMEDIATE")
        do throws(SQLiteError) {
            let result = try body()
            try database.execute("COMMIT")
            return result
        } catch {
            database.rollback()
            throw error
        }
    }

    func decode<M: Message>(_ type: M.Type = M.self, _ bytes: [UInt8]) throws(SQLiteError) -> M {
        do throws(DecodeError) {
            return try M(decoding: bytes)
        } catch {
            throw SQLiteError(
                extendedCode: 11,
                message: "\(database.path): a row that is no \(M.self): \(error)"
            )
        }
    }

    // MARK: Orders

    func orders() throws(SQLiteError) -> [HeldOrder] {
        let rows = try database.query(
            """
            SELECT row, terms, state, live, shards, proved_epochs, doubtful FROM orders ORDER BY row
            """
        ) { (row) throws(SQLiteError) in
            HeldOrder(
                row: row.integer(0),
                terms: try self.decode(OrderTerms.self, row.blob(1)),
                state: try self.decode(OrderState.self, row.blob(2)),
                isLive: row.integer(3) != 0,
                shards: Int(row.integer(4)),
                provedEpochs: Int(row.integer(5)),
                isDoubtful: row.integer(6) != 0
            )
        }
        var orders: [HeldOrder] = []
        for var order in rows {
            order.last = try receipts(of: order.row, limit: 1).first
            order.lastProved = try lastProved(of: order.row)
            orders.append(order)
        }
        return orders
    }

    /// Adds an order without entries.
    func insert(_ terms: OrderTerms, _ state: OrderState) throws(SQLiteError) -> HeldOrder {
        try database.execute(
            """
            INSERT INTO orders (id, provider, generation, live, terms, state)
            VALUES (?, ?, ?, 1, ?, ?)
            """,
            .blob(state.order.bytes),
            .blob(terms.provider.bytes),
            .integer(Int64(terms.generation)),
            .blob(terms.encoded),
            .blob(state.encoded)
        )
        return HeldOrder(
            row: database.lastInsertedRow,
            terms: terms,
            state: state,
            isLive: true,
            shards: 0,
            provedEpochs: 0,
            isDoubtful: false
        )
    }

    func setLive(_ row: Int64, _ isLive: Bool) throws(SQLiteError) {
        try database.execute(
            "UPDATE orders SET live = ? WHERE row = ?",
            .integer(isLive ? 1 : 0),
            .integer(row)
        )
    }

    // MARK: Entries

    /// All entries, in order.
    func entries(of row: Int64) throws(SQLiteError) -> [OrderEntry] {
        try database.query(
            "SELECT shard, bytes, root FROM entries WHERE holder = ? ORDER BY position",
            .integer(row)
        ) { (row) throws(SQLiteError) in try self.entry(row) }
    }

    /// Live entries behind a position, with their positions.
    func liveEntries(
        of row: Int64,
        from position: Int,
        limit: Int
    ) throws(SQLiteError) -> [(position: Int, entry: OrderEntry)] {
        try database.query(
            """
            SELECT shard, bytes, root, position FROM entries
            WHERE holder = ? AND position >= ? AND bytes > 0 ORDER BY position LIMIT ?
            """,
            .integer(row),
            .integer(Int64(position)),
            .integer(Int64(limit))
        ) { (row) throws(SQLiteError) in
            (position: Int(row.integer(3)), entry: try self.entry(row))
        }
    }

    private func entry(_ row: Statement) throws(SQLiteError) -> OrderEntry {
        guard let shard = ShardID(bytes: row.blob(0)), let root = Digest(bytes: row.blob(2)),
            let bytes = UInt64(exactly: row.integer(1))
        else {
            throw SQLiteError(extendedCode: 11, message: "\(database.path): a row of no entry")
        }
        return OrderEntry(shard: shard, bytes: bytes, root: root)
    }

    /// The sequence at which the live entry of a shard was added, as far as we know.
    func added(_ shard: ShardID, in row: Int64) throws(SQLiteError) -> UInt64? {
        let sequence = try database.value(
            "SELECT added FROM entries WHERE shard = ? AND bytes > 0 AND holder = ?",
            .blob(shard.bytes),
            .integer(row)
        )
        guard case .integer(let number) = sequence else { return nil }
        return UInt64(bitPattern: number)
    }

    /// Stores entries at their positions and the state that they make.
    ///
    /// An entry that is in the order already, there or elsewhere, keeps the sequence at which it
    /// was added. With `count`, all from that position on go.
    func store(
        _ changes: [OrderChange],
        of row: Int64,
        state: OrderState,
        shards: Int,
        count: Int? = nil
    ) throws(SQLiteError) {
        try transaction { () throws(SQLiteError) in
            let insert = """
                INSERT INTO entries (holder, position, shard, bytes, root, added)
                VALUES (?1, ?2, ?3, ?4, ?5, coalesce(
                    (SELECT added FROM entries WHERE shard = ?3 AND bytes > 0 AND holder = ?1
                    AND bytes = ?4 AND root = ?5), ?6))
                ON CONFLICT (holder, position) DO UPDATE SET
                shard = excluded.shard, bytes = excluded.bytes, root = excluded.root,
                added = excluded.added WHERE shard <> excluded.shard
                OR bytes <> excluded.bytes OR root <> excluded.root
                """
            for change in changes {
                try database.execute(
                    insert,
                    .integer(row),
                    .integer(Int64(change.position)),
                    .blob(change.entry.shard.bytes),
                    .integer(Int64(change.entry.bytes)),
                    .blob(change.entry.root.bytes),
                    .integer(Int64(bitPattern: state.sequence))
                )
            }
            if let count {
                try database.execute(
                    "DELETE FROM entries WHERE holder = ? AND position >= ?",
                    .integer(row),
                    .integer(Int64(count))
                )
            }
            try database.execute(
                "UPDATE orders SET state = ?, shards = ? WHERE row = ?",
                .blob(state.encoded),
                .integer(Int64(shards)),
                .integer(row)
            )
        }
    }
    /// Moves live entries to where tombstones were, and keeps `count`.
    ///
    /// What moves keeps the sequence at which it was added.
    func compact(
        _ moves: [OrderTree.Move],
        of row: Int64,
        state: OrderState,
        count: Int
    ) throws(SQLiteError) {
        try transaction { () throws(SQLiteError) in
            for move in moves {
                try database.execute(
                    "DELETE FROM entries WHERE holder = ? AND position = ?",
                    .integer(row),
                    .integer(Int64(move.to))
                )
                try database.execute(
                    "UPDATE entries SET position = ? WHERE holder = ? AND position = ?",
                    .integer(Int64(move.to)),
                    .integer(row),
                    .integer(Int64(move.from))
                )
            }
            try database.execute(
                "DELETE FROM entries WHERE holder = ? AND position >= ?",
                .integer(row),
                .integer(Int64(count))
            )
            try database.execute(
                "UPDATE orders SET state = ? WHERE row = ?",
                .blob(state.encoded),
                .integer(row)
            )
        }
    }
}
