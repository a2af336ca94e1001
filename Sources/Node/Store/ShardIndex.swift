import Disk
import Primitives
import SQLite
import Synchronization

/// Where each shard lies: a SQLite database beside the segments, which can be made again of them.
///
/// One connection writes (the store's writer thread) and one reads; the lock of each is held over
/// its I/O, which is what it is there for.
final class ShardIndex: Sendable {
    /// "MEFI", as SQLite has it in the header.
    private static let applicationID: Int64 = 0x4d45_4649
    private static let version: Int64 = 1
    /// Indexes up to this are checked at every start: about a million shards, a second at most.
    private static let checkedBytesMax: UInt64 = 64 << 20

    private static let schema = """
        BEGIN;
        CREATE TABLE owners (id INTEGER PRIMARY KEY, node BLOB NOT NULL UNIQUE);
        CREATE TABLE shards (
            shard BLOB PRIMARY KEY, owner INTEGER NOT NULL REFERENCES owners,
            segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL)
            WITHOUT ROWID;
        CREATE TABLE segments (
            number INTEGER PRIMARY KEY, end INTEGER NOT NULL, live INTEGER NOT NULL);
        CREATE TABLE freed (
            segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
            PRIMARY KEY (segment, offset)) WITHOUT ROWID;
        CREATE TABLE totals (used INTEGER NOT NULL, shards INTEGER NOT NULL);
        INSERT INTO totals VALUES (0, 0);
        PRAGMA application_id = \(applicationID);
        PRAGMA user_version = \(version);
        COMMIT;
        """

    /// Where a shard lies and whose it is.
    struct Location: Hashable, Sendable {
        let segment: UInt64
        /// Of its record's header.
        let offset: UInt64
        /// Bytes of the shard.
        let length: Int
        let owner: NodeID

        var place: Place { Place(segment: segment, offset: offset, length: length) }
    }

    /// The space of a record.
    struct Place: Hashable, Sendable {
        let segment: UInt64
        let offset: UInt64
        let length: Int

        var footprint: Int { SegmentRecord.footprint(length: length) }
    }

    /// What one transaction changes.
    struct Changes {
        var added: [ShardID: Location] = [:]
        var removed: [ShardID: Location] = [:]
        /// Space that was written to and is not wanted, without ever being a shard's.
        var wasted: [Place] = []
        /// New ends of segments.
        var ends: [UInt64: UInt64] = [:]
        /// Freed space that has been punched out.
        var punched: [Place] = []
        /// Segments whose files are gone.
        var gone: [UInt64] = []

        var isEmpty: Bool {
            added.isEmpty && removed.isEmpty && wasted.isEmpty && ends.isEmpty && punched.isEmpty
                && gone.isEmpty
        }
    }

    /// One row of `segments`.
    struct SegmentRow: Hashable, Sendable {
        let number: UInt64
        /// What was committed ends here.
        let end: UInt64
        /// Bytes of the records that are still wanted.
        let live: UInt64
    }

    private let writer: Mutex<Database>
    private let reader: Mutex<Database>

    /// Opens the index.
    ///
    /// - Throws: `SQLiteError` with `isCorrupt` if it must be made again.
    init(path: String, create: Bool) throws(SQLiteError) {
        let writer = try Database(path: path, access: create ? .create : .readWrite)
        if create {
            try writer.executeScript(Self.schema)
        } else {
            try Self.check(writer)
        }
        try writer.useWriteAheadLog(synchronous: .full)
        reader = Mutex(try Database(path: path, access: .readOnly))
        self.writer = Mutex(writer)
    }

    private static func check(_ database: Database) throws(SQLiteError) {
        guard try database.integer("PRAGMA application_id") == applicationID,
            try database.integer("PRAGMA user_version") == version
        else {
            throw SQLiteError(
                extendedCode: 26,
                message: "\(database.path): not a shard index of version 1"
            )
        }
        let bytes = (try? Descriptor(opening: database.path).size()) ?? 0
        guard bytes <= checkedBytesMax else { return }
        let verdict = try database.query("PRAGMA quick_check(1)") { $0.text(0) }.first
        guard verdict == "ok" else {
            throw SQLiteError(
                extendedCode: 11,
                message: "\(database.path): \(verdict ?? "no answer")"
            )
        }
    }

    // MARK: Reading

    func find(_ shard: ShardID) throws(SQLiteError) -> Location? {
        try reader.withLock { (database) throws(SQLiteError) in
            try Self.find(shard, in: database)
        }
    }

    private static func find(
        _ shard: ShardID,
        in database: Database
    ) throws(SQLiteError) -> Location? {
        let sql = """
            SELECT segment, offset, length, node FROM shards JOIN owners ON owners.id = owner
            WHERE shard = ?
            """
        return try database.query(sql, .blob(shard.bytes)) { (row) throws(SQLiteError) in
            guard let owner = NodeID(bytes: row.blob(3)),
                let segment = UInt64(exactly: row.integer(0)),
                let offset = UInt64(exactly: row.integer(1)), row.integer(2) > 0,
                row.integer(2) <= Geometry.shardBytesMax
            else {
                throw SQLiteError(
                    extendedCode: 11,
                    message: "\(database.path): a row of shards makes no sense"
                )
            }
            return Location(
                segment: segment,
                offset: offset,
                length: Int(row.integer(2)),
                owner: owner
            )
        }.first
    }

    func totals() throws(SQLiteError) -> (usedBytes: UInt64, shardCount: UInt64) {
        try writer.withLock { (database) throws(SQLiteError) in
            try database.query("SELECT used, shards FROM totals") {
                (UInt64(clamping: $0.integer(0)), UInt64(clamping: $0.integer(1)))
            }.first ?? (0, 0)
        }
    }

    func segments() throws(SQLiteError) -> [SegmentRow] {
        try writer.withLock { (database) throws(SQLiteError) in
            try database.query("SELECT number, end, live FROM segments ORDER BY number") {
                SegmentRow(
                    number: UInt64(clamping: $0.integer(0)),
                    end: UInt64(clamping: $0.integer(1)),
                    live: UInt64(clamping: $0.integer(2))
                )
            }
        }
    }

    /// Space that was given up and perhaps not yet punched out.
    func freed() throws(SQLiteError) -> [Place] {
        try writer.withLock { (database) throws(SQLiteError) in
            try database.query("SELECT segment, offset, length FROM freed") {
                Place(
                    segment: UInt64(clamping: $0.integer(0)),
                    offset: UInt64(clamping: $0.integer(1)),
                    length: min(max(1, Int($0.integer(2))), Geometry.shardBytesMax)
                )
            }
        }
    }

    // MARK: Writing

    /// Makes all changes durably, or none.
    func commit(_ changes: Changes) throws(SQLiteError) {
        try writer.withLock { (database) throws(SQLiteError) in
            do throws(SQLiteError) {
                try database.execute("BEGIN IMMEDIATE")
                try Self.apply(changes, to: database)
                try database.execute("COMMIT")
            } catch {
                database.rollback()
                throw error
            }
        }
    }

    /// Moves the log into the database, so that one file holds all.
    func checkpoint() throws(SQLiteError) {
        try writer.withLock { (database) throws(SQLiteError) in
            _ = try database.checkpoint(.truncate)
        }
    }

    private static func apply(_ changes: Changes, to database: Database) throws(SQLiteError) {
        var live: [UInt64: Int] = [:]
        // Removals first: a shard may be replaced within one batch.
        for (shard, location) in changes.removed {
            try database.execute("DELETE FROM shards WHERE shard = ?", .blob(shard.bytes))
            try free(location.place, in: database)
            live[location.segment, default: 0] -= location.place.footprint
        }
        for place in changes.wasted { try free(place, in: database) }
        for (shard, location) in changes.added {
            try add(shard, location, to: database)
            live[location.segment, default: 0] += location.place.footprint
        }
        for (number, end) in changes.ends {
            try database.execute(
                """
                INSERT INTO segments VALUES (?, ?, 0)
                ON CONFLICT DO UPDATE SET end = excluded.end
                """,
                integer(number),
                integer(end)
            )
        }
        for (number, bytes) in live where bytes != 0 {
            try database.execute(
                "UPDATE segments SET live = live + ? WHERE number = ?",
                integer(bytes),
                integer(number)
            )
        }
        for place in changes.punched {
            try database.execute(
                "DELETE FROM freed WHERE segment = ? AND offset = ?",
                integer(place.segment),
                integer(place.offset)
            )
        }
        for number in changes.gone {
            try database.execute("DELETE FROM segments WHERE number = ?", integer(number))
            try database.execute("DELETE FROM freed WHERE segment = ?", integer(number))
        }
        try database.execute(
            "UPDATE totals SET used = used + ?, shards = shards + ?",
            integer(live.values.reduce(0, +)),
            integer(changes.added.count - changes.removed.count)
        )
    }

    private static func free(_ place: Place, in database: Database) throws(SQLiteError) {
        try database.execute(
            "INSERT OR REPLACE INTO freed VALUES (?, ?, ?)",
            integer(place.segment),
            integer(place.offset),
            integer(place.length)
        )
    }

    private static func add(
        _ shard: ShardID,
        _ location: Location,
        to database: Database
    ) throws(SQLiteError) {
        try database.execute(
            "INSERT OR IGNORE INTO owners (node) VALUES (?)",
            .blob(location.owner.bytes)
        )
        try database.execute(
            """
            INSERT INTO shards VALUES (?, (SELECT id FROM owners WHERE node = ?), ?, ?, ?)
            """,
            .blob(shard.bytes),
            .blob(location.owner.bytes),
            integer(location.segment),
            integer(location.offset),
            integer(location.length)
        )
    }

    /// Our numbers are bounded by the sizes of files, far below 2^63.
    private static func integer(_ value: some BinaryInteger) -> Value {
        .integer(Int64(clamping: value))
    }
}
