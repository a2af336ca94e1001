import Disk
import Primitives
import SQLite
import Synchronization

/// Where each shard lies: a SQLite database beside the segments, which can be made again of them.
///
/// One connection writes (the store's writer thread, and rarely whoever finds damage) and one
/// reads; the lock of each is held over its I/O, which is what it is there for.
final class ShardIndex: Sendable {
    /// "MEFI", as SQLite has it in the header.
    private static let applicationID: Int64 = 0x4d45_4649
    private static let version: Int64 = 2
    /// Indexes up to this are checked at every start: about a million shards, a second at most.
    private static let checkedBytesMax: UInt64 = 64 << 20

    private static let schema = """
        BEGIN;
        CREATE TABLE owners (id INTEGER PRIMARY KEY, node BLOB NOT NULL UNIQUE);
        CREATE TABLE shards (
            shard BLOB PRIMARY KEY, owner INTEGER NOT NULL REFERENCES owners,
            segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
            format INTEGER NOT NULL DEFAULT 1, root BLOB)
            WITHOUT ROWID;
        CREATE TABLE segments (
            number INTEGER PRIMARY KEY, end INTEGER NOT NULL, live INTEGER NOT NULL);
        CREATE TABLE freed (
            segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
            format INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (segment, offset)) WITHOUT ROWID;
        CREATE TABLE totals (used INTEGER NOT NULL, shards INTEGER NOT NULL);
        INSERT INTO totals VALUES (0, 0);
        CREATE TABLE damage (
            shard BLOB PRIMARY KEY, kind INTEGER NOT NULL, found INTEGER NOT NULL) WITHOUT ROWID;
        PRAGMA application_id = \(applicationID);
        PRAGMA user_version = \(version);
        COMMIT;
        """

    /// Version 1 had no record versions, no roots and no damage.
    private static let fromVersion1 = """
        BEGIN;
        ALTER TABLE shards ADD COLUMN format INTEGER NOT NULL DEFAULT 1;
        ALTER TABLE shards ADD COLUMN root BLOB;
        ALTER TABLE freed ADD COLUMN format INTEGER NOT NULL DEFAULT 1;
        CREATE TABLE damage (
            shard BLOB PRIMARY KEY, kind INTEGER NOT NULL, found INTEGER NOT NULL) WITHOUT ROWID;
        PRAGMA user_version = 2;
        COMMIT;
        """

    /// Where a shard lies, whose it is, and what it must be.
    struct Location: Hashable, Sendable {
        let place: Place
        let owner: NodeID
        /// Merkle root; `nil` where an index of version 1 wrote the row, then the header has it.
        let root: Digest?

        var segment: UInt64 { place.segment }
        /// Of its record's header.
        var offset: UInt64 { place.offset }
        /// Bytes of the shard.
        var length: Int { place.length }

        init(place: Place, owner: NodeID, root: Digest?) {
            self.place = place
            self.owner = owner
            self.root = root
        }

        /// Where `record` was found or written.
        init(of record: SegmentRecord, segment: UInt64, offset: UInt64) {
            place = Place(
                segment: segment,
                offset: offset,
                length: record.length,
                version: record.version
            )
            owner = record.owner
            root = record.root
        }
    }

    /// The space of a record.
    struct Place: Hashable, Sendable {
        let segment: UInt64
        let offset: UInt64
        let length: Int
        let version: SegmentRecord.Version

        var footprint: Int { SegmentRecord.footprint(length: length, version: version) }
    }

    /// One row of `segments`.
    struct SegmentRow: Hashable, Sendable {
        let number: UInt64
        /// What was committed ends here.
        let end: UInt64
        /// Bytes of the records that are still wanted.
        let live: UInt64
    }

    let writer: Mutex<Database>
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
        let found = try database.integer("PRAGMA user_version")
        guard try database.integer("PRAGMA application_id") == applicationID,
            (1...version).contains(found)
        else {
            throw corrupt(database, "not a shard index of version 1 or 2")
        }
        let bytes = (try? Descriptor(opening: database.path).size()) ?? 0
        if bytes <= checkedBytesMax {
            let verdict = try database.query("PRAGMA quick_check(1)") { $0.text(0) }.first
            guard verdict == "ok" else { throw corrupt(database, verdict ?? "no answer") }
        }
        if found == 1 { try database.executeScript(fromVersion1) }
    }

    static func corrupt(_ database: Database, _ what: String) -> SQLiteError {
        SQLiteError(extendedCode: 11, message: "\(database.path): \(what)")
    }

    // MARK: Reading

    func find(_ shard: ShardID) throws(SQLiteError) -> Location? {
        let sql = """
            SELECT segment, offset, length, format, node, root
            FROM shards JOIN owners ON owners.id = owner WHERE shard = ?
            """
        return try reader.withLock { (database) throws(SQLiteError) in
            try database.query(sql, .blob(shard.bytes)) { (row) throws(SQLiteError) in
                guard let place = Self.place(row), let owner = NodeID(bytes: row.blob(4)) else {
                    throw Self.corrupt(database, "a row of shards makes no sense")
                }
                return Location(place: place, owner: owner, root: Digest(bytes: row.blob(5)))
            }.first
        }
    }

    /// At most `limit` shards whose ids come after `shard`, ascending.
    func shards(after shard: ShardID?, limit: Int) throws(SQLiteError) -> [ShardID] {
        try reader.withLock { (database) throws(SQLiteError) in
            try database.query(
                "SELECT shard FROM shards WHERE shard > ? ORDER BY shard LIMIT ?",
                .blob(shard?.bytes ?? []),
                .integer(Int64(limit))
            ) { (row) throws(SQLiteError) in try Self.shard(row, in: database) }
        }
    }

    /// At most `limit` shards of an owner whose ids come after `shard`, ascending.
    func shards(
        of owner: NodeID,
        after shard: ShardID?,
        limit: Int
    ) throws(SQLiteError) -> [ShardID] {
        let sql = """
            SELECT shard FROM shards
            WHERE owner = (SELECT id FROM owners WHERE node = ?) AND shard > ?
            ORDER BY shard LIMIT ?
            """
        return try reader.withLock { (database) throws(SQLiteError) in
            try database.query(
                sql,
                .blob(owner.bytes),
                .blob(shard?.bytes ?? []),
                .integer(Int64(limit))
            ) { (row) throws(SQLiteError) in try Self.shard(row, in: database) }
        }
    }

    private static func shard(
        _ row: Statement,
        in database: Database
    ) throws(SQLiteError) -> ShardID {
        guard let shard = ShardID(bytes: row.blob(0)) else {
            throw corrupt(database, "a row of shards makes no sense")
        }
        return shard
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
            try database.query("SELECT segment, offset, length, format FROM freed") {
                (row) throws(SQLiteError) in
                guard let place = Self.place(row) else {
                    throw Self.corrupt(database, "a row of freed makes no sense")
                }
                return place
            }
        }
    }

    /// The place in the first four columns of a row.
    private static func place(_ row: Statement) -> Place? {
        guard let segment = UInt64(exactly: row.integer(0)),
            let offset = UInt64(exactly: row.integer(1)), row.integer(2) > 0,
            row.integer(2) <= Geometry.shardBytesMax,
            let version = UInt16(exactly: row.integer(3)).flatMap(SegmentRecord.Version.init)
        else { return nil }
        return Place(
            segment: segment,
            offset: offset,
            length: Int(row.integer(2)),
            version: version
        )
    }

    // MARK: Writing

    /// Makes all changes durably, or none.
    func commit(_ changes: Changes) throws(SQLiteError) {
        try writing { (database) throws(SQLiteError) in
            try changes.apply(to: database)
        }
    }

    /// Runs `body` in one transaction, durable when this returns.
    func writing(_ body: (Database) throws(SQLiteError) -> Void) throws(SQLiteError) {
        try writer.withLock { (database) throws(SQLiteError) in
            do throws(SQLiteError) {
                try database.execute("BEGIN IMMEDIATE")
                try body(database)
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
}
