import Disk
import Primitives
import Proofs
import SQLite
import Wire
import Sealing

/// `DIR/orders.db`: the orders of a provider, their entries, grants and receipts.
///
/// What was answered is durable. It cannot be made again of anything: a provider that lost it has
/// lost its word. Belongs to the lock of `ProviderOrders`.
final class OrderDatabase {
    /// "MEFO", as SQLite has it in the header.
    private static let applicationID: Int64 = 0x4d45_464f
    private static let version: Int64 = 2
    /// Databases up to this are checked at every start: half a million entries, a second at most.
    private static let checkedBytesMax: UInt64 = 64 << 20
    /// States kept of an order: enough to show what was agreed when two sides disagree.
    static let statesMax = 64

    /// Shards that are let go of to nobody before a time, in seconds since 1970.
    private static let retained = """
        CREATE TABLE retained (
            shard BLOB PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
        """

    /// Version 1 retained nothing.
    private static let fromVersion1 = """
        BEGIN;
        \(retained)
        PRAGMA user_version = 2;
        COMMIT;
        """

    private static let schema = """
        BEGIN;
        CREATE TABLE orders (
            number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, terms BLOB NOT NULL);
        CREATE TABLE states (
            number INTEGER NOT NULL REFERENCES orders, sequence INTEGER NOT NULL,
            state BLOB NOT NULL, grant BLOB, PRIMARY KEY (number, sequence)) WITHOUT ROWID;
        CREATE TABLE entries (
            number INTEGER NOT NULL REFERENCES orders, position INTEGER NOT NULL,
            shard BLOB NOT NULL, bytes INTEGER NOT NULL, root BLOB NOT NULL,
            added INTEGER NOT NULL, removed INTEGER, PRIMARY KEY (number, position))
            WITHOUT ROWID;
        CREATE TABLE grants (
            volume BLOB NOT NULL, owner BLOB NOT NULL, grantee BLOB NOT NULL,
            signed BLOB NOT NULL, PRIMARY KEY (volume, owner, grantee)) WITHOUT ROWID;
        CREATE TABLE receipts (
            row INTEGER PRIMARY KEY, number INTEGER NOT NULL REFERENCES orders,
            auditor BLOB NOT NULL, link INTEGER NOT NULL, receipt BLOB NOT NULL,
            UNIQUE (number, auditor, link));
        \(retained)
        PRAGMA application_id = \(applicationID);
        PRAGMA user_version = \(version);
        COMMIT;
        """

    /// An order without its entries.
    struct Head {
        let number: Int64
        let terms: OrderTerms
        let state: OrderState
        let grant: Grant?
    }

    let database: Database

    init(path: String) throws(SQLiteError) {
        let isNew = !WholeFile.exists(path)
        database = try Database(path: path)
        if isNew {
            try database.executeScript(Self.schema)
        } else {
            try check()
        }
        try database.useWriteAheadLog(synchronous: .full)
    }

    private func check() throws(SQLiteError) {
        let found = try database.integer("PRAGMA user_version")
        guard try database.integer("PRAGMA application_id") == Self.applicationID,
            (1...Self.version).contains(found)
        else { throw damaged("not an orders database of version 1 or 2") }
        let bytes = (try? Descriptor(opening: database.path).size()) ?? 0
        if bytes <= Self.checkedBytesMax {
            let verdict = try database.query("PRAGMA quick_check(1)") { $0.text(0) }.first
            guard verdict == "ok" else { throw damaged(verdict ?? "no answer") }
        }
        if found == 1 { try database.executeScript(Self.fromVersion1) }
    }

    private func damaged(_ what: String) -> SQLiteError {
        SQLiteError(extendedCode: 11, message: "\(database.path): \(what)")
    }

    func decode<M: Message>(_ type: M.Type, _ bytes: [UInt8]) throws(SQLiteError) -> M {
        do throws(DecodeError) {
            return try M(decoding: bytes)
        } catch {
            throw damaged("\(M.self): \(error)")
        }
    }

    /// Moves the log into the database, so that one file holds all.
    func checkpoint() throws(SQLiteError) { try database.checkpoint(.truncate) }

    // MARK: Orders

    /// All orders with their newest states.
    ///
    /// SQLite takes the other columns from the row that has the maximum.
    func heads() throws(SQLiteError) -> [Head] {
        let sql = """
            SELECT number, terms, state, grant, max(sequence)
            FROM orders JOIN states USING (number) GROUP BY number
            """
        return try database.query(sql) { (row) throws(SQLiteError) in
            Head(
                number: row.integer(0),
                terms: try decode(OrderTerms.self, row.blob(1)),
                state: try decode(OrderState.self, row.blob(2)),
                grant: row.isNull(3) ? nil : try decode(Grant.self, row.blob(3))
            )
        }
    }

    /// Adds an order with its first state; durable when this returns.
    func open(_ terms: OrderTerms, _ state: OrderState, _ grant: Grant?) throws -> Head {
        try database.transaction {
            try database.execute(
                "INSERT INTO orders (id, terms) VALUES (?, ?)",
                .blob(terms.id.bytes),
                .blob(terms.encoded)
            )
            let number = database.lastInsertedRow
            try save(state, grant, of: number)
            return Head(number: number, terms: terms, state: state, grant: grant)
        }
    }

    /// What leads from one state of an order to the next.
    enum Step {
        case changes([OrderChange])
        /// Live entries moved to where tombstones were, and `count` entries are left.
        case compaction([OrderTree.Move], count: Int)
    }

    /// Writes a step and the state it leads to; durable when this returns.
    func amend(
        _ number: Int64,
        _ step: Step,
        _ state: OrderState,
        _ grant: Grant?
    ) throws {
        try database.transaction {
            switch step {
            case .changes(let changes):
                for change in changes {
                    try write(change, of: number, sequence: state.sequence)
                }
            case .compaction(let moves, let count):
                try compact(number, moves, count: count, sequence: state.sequence)
            }
            try save(state, grant, of: number)
        }
    }

    /// A removed entry keeps its length and root, so that a client that knows nothing of it can be
    /// told both steps.
    private func write(
        _ change: OrderChange,
        of number: Int64,
        sequence: UInt64
    ) throws(SQLiteError) {
        guard !change.entry.isTombstone else {
            try database.execute(
                "UPDATE entries SET removed = ? WHERE number = ? AND position = ?",
                .integer(Int64(clamping: sequence)),
                .integer(number),
                .integer(Int64(clamping: change.position))
            )
            return
        }
        try database.execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, NULL)",
            .integer(number),
            .integer(Int64(clamping: change.position)),
            .blob(change.entry.shard.bytes),
            .integer(Int64(clamping: change.entry.bytes)),
            .blob(change.entry.root.bytes),
            .integer(Int64(clamping: sequence))
        )
    }

    /// A moved entry counts as added where it is now, so that a client that has an older state is
    /// told what stands at each place that changed.
    private func compact(
        _ number: Int64,
        _ moves: [OrderTree.Move],
        count: Int,
        sequence: UInt64
    ) throws(SQLiteError) {
        for move in moves {
            try database.execute(
                "DELETE FROM entries WHERE number = ? AND position = ?",
                .integer(number),
                .integer(Int64(move.to))
            )
            try database.execute(
                "UPDATE entries SET position = ?, added = ? WHERE number = ? AND position = ?",
                .integer(Int64(move.to)),
                .integer(Int64(clamping: sequence)),
                .integer(number),
                .integer(Int64(move.from))
            )
        }
        try database.execute(
            "DELETE FROM entries WHERE number = ? AND position >= ?",
            .integer(number),
            .integer(Int64(count))
        )
    }

    private func save(
        _ state: OrderState,
        _ grant: Grant?,
        of number: Int64
    ) throws(SQLiteError) {
        try database.execute(
            "INSERT INTO states VALUES (?, ?, ?, ?)",
            .integer(number),
            .integer(Int64(clamping: state.sequence)),
            .blob(state.encoded),
            grant.map { .blob($0.encoded) } ?? .null
        )
        try database.execute(
            "DELETE FROM states WHERE number = ? AND sequence <= ?",
            .integer(number),
            .integer(Int64(clamping: state.sequence) - Int64(Self.statesMax))
        )
    }

    // MARK: Entries

    /// All entries of an order, by position.
    func entries(of number: Int64) throws(SQLiteError) -> [OrderEntry] {
        var next: Int64 = 0
        return try database.query(
            """
            SELECT position, shard, bytes, root, removed FROM entries
            WHERE number = ? ORDER BY position
            """,
            .integer(number)
        ) { (row) throws(SQLiteError) in
            guard row.integer(0) == next else { throw damaged("entry \(next) is missing") }
            next += 1
            let entry = try entry(row)
            return row.isNull(4) ? entry : .tombstone(entry.shard)
        }
    }

    /// What changed after `sequence` at positions from `position` on, at most `limit` rows of it.
    ///
    /// An entry that came and went is told as both, so that the changes apply one after another.
    ///
    /// - Returns: The changes, and the position of the first row that is not among them.
    func changes(
        of number: Int64,
        since sequence: UInt64,
        from position: UInt64,
        limit: Int
    ) throws(SQLiteError) -> (changes: [OrderChange], next: UInt64?) {
        let rows = try database.query(
            """
            SELECT position, shard, bytes, root, added, removed FROM entries
            WHERE number = ?1 AND position >= ?2 AND (added > ?3 OR removed > ?3)
            ORDER BY position LIMIT ?4
            """,
            .integer(number),
            .integer(Int64(clamping: position)),
            .integer(Int64(clamping: sequence)),
            .integer(Int64(limit) + 1)
        ) { (row) throws(SQLiteError) in
            (
                position: UInt64(clamping: row.integer(0)), entry: try entry(row),
                isAdded: row.integer(4) > Int64(clamping: sequence), isRemoved: !row.isNull(5)
            )
        }
        var changes: [OrderChange] = []
        for row in rows.prefix(limit) {
            if row.isAdded { changes.append(OrderChange(position: row.position, entry: row.entry)) }
            if row.isRemoved {
                changes.append(
                    OrderChange(position: row.position, entry: .tombstone(row.entry.shard))
                )
            }
        }
        return (changes, rows.count > limit ? rows[limit].position : nil)
    }

    /// The entry in columns 1 to 3.
    private func entry(_ row: Statement) throws(SQLiteError) -> OrderEntry {
        guard let shard = ShardID(bytes: row.blob(1)), let root = Digest(bytes: row.blob(3)),
            let bytes = UInt64(exactly: row.integer(2))
        else { throw damaged("a row of entries makes no sense") }
        return OrderEntry(shard: shard, bytes: bytes, root: root)
    }
}
