import Disk
package import Logging
package import Primitives
import SQLite

/// What providers have promised to keep until when, and keepers; a database of this host's own.
///
/// Nothing is lost with it: who asks again is told again. So a damaged one is begun anew. Times are
/// seconds since 1970.
package final class RetentionBook: Sendable {
    /// "MEFL", as SQLite has it in the header.
    private static let applicationID: Int64 = 0x4d45_464c
    private static let version: Int64 = 1

    private static let tables = """
        BEGIN;
        CREATE TABLE providers (row INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE);
        CREATE TABLE shards (
            shard BLOB NOT NULL, provider INTEGER NOT NULL REFERENCES providers,
            until INTEGER NOT NULL, PRIMARY KEY (shard, provider)) WITHOUT ROWID;
        CREATE TABLE held (
            shard BLOB NOT NULL, provider INTEGER NOT NULL REFERENCES providers,
            until INTEGER NOT NULL, PRIMARY KEY (shard, provider)) WITHOUT ROWID;
        CREATE TABLE heads (version INTEGER PRIMARY KEY, head BLOB NOT NULL);
        CREATE TABLE kept (
            version INTEGER NOT NULL, keeper BLOB NOT NULL, until INTEGER NOT NULL,
            PRIMARY KEY (version, keeper)) WITHOUT ROWID;
        PRAGMA application_id = \(applicationID);
        PRAGMA user_version = \(version);
        COMMIT;
        """

    /// Shards that are dead here and kept by their providers.
    package struct Held: Hashable, Sendable {
        package let count: Int
        /// Until when the first and the last of them are kept; `nil` if there are none.
        package let times: ClosedRange<Int64>?
    }

    /// Held over the database's I/O, which is what it is there for.
    private let database: Condition<Database>

    /// Opens the book at `path`, or begins it.
    package init(path: String, logger: Logger) throws(CustodyError) {
        do throws(SQLiteError) {
            database = Condition(try Self.open(path, logger: logger))
        } catch {
            throw CustodyError(.storage, "\(path): \(error)")
        }
    }

    private static func open(_ path: String, logger: Logger) throws(SQLiteError) -> Database {
        do throws(SQLiteError) {
            let database = try Database(path: path)
            if try database.integer("SELECT count(*) FROM sqlite_schema") == 0 {
                try database.executeScript(tables)
            }
            guard try database.integer("PRAGMA application_id") == applicationID,
                try database.integer("PRAGMA user_version") == version
            else { throw SQLiteError(extendedCode: 26, message: "\(path) is no book of locks") }
            // A promise that a power cut has us forget is asked for again.
            try database.useWriteAheadLog(synchronous: .normal)
            return database
        } catch {
            guard error.isCorrupt else { throw error }
            logger.warning("\(error); providers are asked again what they keep until when")
            for suffix in ["", "-wal", "-shm"] { try? WholeFile.remove(path + suffix) }
            let database = try Database(path: path)
            try database.executeScript(tables)
            try database.useWriteAheadLog(synchronous: .normal)
            return database
        }
    }

    /// Runs `body` in one transaction.
    private func change(
        _ body: (Database) throws(SQLiteError) -> Void
    ) throws(CustodyError) {
        do throws(SQLiteError) {
            try database.withLock { (database) throws(SQLiteError) in
                do throws(SQLiteError) {
                    try database.execute("BEGIN IMMEDIATE")
                    try body(database)
                    try database.execute("COMMIT")
                } catch {
                    database.rollback()
                    throw error
                }
            }
        } catch {
            throw CustodyError(.storage, "the book of locks: \(error)")
        }
    }

    private func read<T>(
        _ body: (Database) throws(SQLiteError) -> T
    ) throws(CustodyError) -> T {
        do throws(SQLiteError) {
            return try database.withLock { (database) throws(SQLiteError) in try body(database) }
        } catch {
            throw CustodyError(.storage, "the book of locks: \(error)")
        }
    }

    // MARK: Shards

    /// Until when a provider is known to keep each of `copies`; 0 if that is not known.
    package func retention(of copies: [Copy]) throws(CustodyError) -> [Int64] {
        try read { (database) throws(SQLiteError) in
            try times(of: copies, in: "shards", database)
        }
    }

    /// Notes until when a provider keeps shards; what is known already never becomes less.
    package func note(
        _ times: [(shard: ShardID, until: Int64)],
        at provider: NodeID
    ) throws(CustodyError) {
        try change { (database) throws(SQLiteError) in
            let row = try Self.row(of: provider, in: database)
            for (shard, until) in times where until > 0 {
                try database.execute(
                    """
                    INSERT INTO shards VALUES (?, ?, ?) ON CONFLICT DO UPDATE
                    SET until = excluded.until WHERE excluded.until > until
                    """,
                    .blob(shard.bytes),
                    .integer(row),
                    .integer(until)
                )
            }
        }
    }

    /// Forgets what was to be kept until `time`.
    package func forget(before time: Int64) throws(CustodyError) {
        try change { (database) throws(SQLiteError) in
            try database.execute("DELETE FROM shards WHERE until <= ?", .integer(time))
            try database.execute("DELETE FROM held WHERE until <= ?", .integer(time))
            try database.execute("DELETE FROM kept WHERE until <= ?", .integer(time))
            try database.execute(
                "DELETE FROM heads WHERE version NOT IN (SELECT version FROM kept)"
            )
        }
    }

    // MARK: Shards that could not be deleted

    /// Until when providers do not delete `copies`, each of which they refused to; 0 of others.
    package func held(_ copies: [Copy]) throws(CustodyError) -> [Int64] {
        try read { (database) throws(SQLiteError) in try times(of: copies, in: "held", database) }
    }

    /// Notes until when a provider does not delete shards that nobody needs here.
    package func hold(
        _ times: [(shard: ShardID, until: Int64)],
        at provider: NodeID
    ) throws(CustodyError) {
        try change { (database) throws(SQLiteError) in
            let row = try Self.row(of: provider, in: database)
            for (shard, until) in times {
                try database.execute(
                    "INSERT OR REPLACE INTO held VALUES (?, ?, ?)",
                    .blob(shard.bytes),
                    .integer(row),
                    .integer(until)
                )
            }
        }
    }

    /// How many shards wait to be deleted until providers let go of them after `time`.
    package func held(after time: Int64) throws(CustodyError) -> Held {
        try read { (database) throws(SQLiteError) in
            let rows = try database.query(
                "SELECT count(*), min(until), max(until) FROM held WHERE until > ?",
                .integer(time)
            ) { ($0.integer(0), $0.integer(1), $0.integer(2)) }
            guard let (count, first, last) = rows.first, count > 0, first <= last else {
                return Held(count: 0, times: nil)
            }
            return Held(count: Int(clamping: count), times: first...last)
        }
    }

    // MARK: Heads

    /// The head that keepers are asked to keep for a snapshot, encoded; `nil` if none was made.
    package func head(_ version: UInt64) throws(CustodyError) -> [UInt8]? {
        try read { (database) throws(SQLiteError) in
            try database.query(
                "SELECT head FROM heads WHERE version = ?",
                .integer(Int64(clamping: version))
            ) { $0.blob(0) }.first
        }
    }

    /// Keeps the head that keepers are asked to keep for a snapshot.
    package func put(head: [UInt8], of version: UInt64) throws(CustodyError) {
        try change { (database) throws(SQLiteError) in
            try database.execute(
                "INSERT OR REPLACE INTO heads VALUES (?, ?)",
                .integer(Int64(clamping: version)),
                .blob(head)
            )
        }
    }

    /// Keepers that have promised to keep a snapshot's head until `time` at least.
    package func keepers(of version: UInt64, until time: Int64) throws(CustodyError) -> [NodeID] {
        try read { (database) throws(SQLiteError) in
            try database.query(
                "SELECT keeper FROM kept WHERE version = ? AND until >= ?",
                .integer(Int64(clamping: version)),
                .integer(time)
            ) { NodeID(bytes: $0.blob(0)) }.compactMap { $0 }
        }
    }

    package func note(
        _ keeper: NodeID,
        keeps version: UInt64,
        until time: Int64
    ) throws(CustodyError) {
        try change { (database) throws(SQLiteError) in
            try database.execute(
                "INSERT OR REPLACE INTO kept VALUES (?, ?, ?)",
                .integer(Int64(clamping: version)),
                .blob(keeper.bytes),
                .integer(time)
            )
        }
    }

    // MARK: Rows

    private func times(
        of copies: [Copy],
        in table: String,
        _ database: Database
    ) throws(SQLiteError) -> [Int64] {
        var rows: [NodeID: Int64] = [:]
        var times: [Int64] = []
        for copy in copies {
            let row: Int64
            if let known = rows[copy.provider] {
                row = known
            } else {
                row = try Self.row(of: copy.provider, in: database, adding: false)
                rows[copy.provider] = row
            }
            times.append(
                try database.integer(
                    "SELECT until FROM \(table) WHERE shard = ? AND provider = ?",
                    .blob(copy.shard.bytes),
                    .integer(row)
                )
            )
        }
        return times
    }

    /// A small number for a provider; 0 if it has none and is not to get one.
    private static func row(
        of provider: NodeID,
        in database: Database,
        adding: Bool = true
    ) throws(SQLiteError) -> Int64 {
        let row = try database.integer(
            "SELECT row FROM providers WHERE id = ?",
            .blob(provider.bytes)
        )
        guard row == 0, adding else { return row }
        try database.execute("INSERT INTO providers (id) VALUES (?)", .blob(provider.bytes))
        return database.lastInsertedRow
    }
}
