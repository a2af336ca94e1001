import Disk
import SQLite

/// A database of a keeper, opened and checked; every use of it is one at a time.
///
/// Its lock is held over its I/O: that is what it is for.
final class KeeperDatabase: Sendable {
    /// What a database of ours is: the name in its header, and the scripts that make each version
    /// from the one before.
    struct Format {
        /// What it is to people.
        let name: String
        /// As SQLite has it in the header.
        let applicationID: Int64
        /// The first makes version 1 of an empty file.
        let scripts: [String]

        var version: Int { scripts.count }
    }

    /// Nobody waits for it to change; but a `Mutex` refuses bodies that make values of their
    /// caller's.
    private let database: Condition<Database>

    /// Opens the database at `path`, or makes it, readable for its owner alone if it is `secret`.
    init(path: String, format: Format, isSecret: Bool = false) throws(NodeError) {
        do {
            if isSecret, !WholeFile.exists(path) {
                // SQLite gives its log the permissions of the database.
                try WholeFile.create(path, with: [], permissions: 0o600)
            }
            let database = try Database(path: path)
            try Self.check(database, format, path)
            try database.useWriteAheadLog(synchronous: .full)
            // Keys that an owner takes back are overwritten and not only forgotten.
            try database.execute("PRAGMA secure_delete=ON")
            self.database = Condition(database)
        } catch let error as SQLiteError {
            let remedy =
                error.isFull
                ? "make room on its disk"
                : "put a copy back, or move it away to begin with an empty one"
            throw NodeError(
                NodeError.Code(error),
                "\(format.name) cannot be used: \(error); \(remedy)"
            )
        } catch let error as DiskError {
            throw NodeError(error)
        } catch {
            throw NodeError("\(path): \(error)")
        }
    }

    private static func check(
        _ database: Database,
        _ format: Format,
        _ path: String
    ) throws {
        // Also after a crash before the schema was made.
        let isEmpty = try database.integer("SELECT count(*) FROM sqlite_schema") == 0
        let version = isEmpty ? 0 : Int(try database.integer("PRAGMA user_version"))
        let id = try database.integer("PRAGMA application_id")
        guard isEmpty || id == format.applicationID, (0...format.version).contains(version) else {
            throw SQLiteError(
                extendedCode: 26,
                message: "\(path) is not \(format.name) of version 1 to \(format.version)"
            )
        }
        for (index, script) in format.scripts.enumerated().dropFirst(version) {
            try database.executeScript(
                """
                BEGIN;
                \(script)
                PRAGMA application_id = \(format.applicationID);
                PRAGMA user_version = \(index + 1);
                COMMIT;
                """
            )
        }
    }

    /// Uses the database, which `body` must not keep.
    func withLock<Result, Failure: Error>(
        _ body: (Database) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try database.withLock { (database) throws(Failure) in try body(database) }
    }

    /// Moves all of the log into the database and cuts it, so that nothing older is left in it.
    ///
    /// Tries to: whoever reads the database at this moment keeps the log until the next commit
    /// after.
    func emptyLog() {
        withLock { database in _ = try? database.checkpoint(.truncate) }
    }

    /// Runs `body` in one write transaction.
    func transaction<Result>(_ body: (Database) throws -> Result) throws -> Result {
        try withLock { database in
            try database.transaction { try body(database) }
        }
    }
}

extension KeeperDatabase.Format {
    /// `keeper.db`: providers, volumes with their heads and leases, beacons, and what is reported
    /// of orders.
    ///
    /// Version 1 had providers and volumes only, with shorter records of providers, which every
    /// provider brings again with its next heartbeat; version 2 had no heads and leases.
    static let keeper = KeeperDatabase.Format(
        name: "the keeper's database",
        // "MEFK".
        applicationID: 0x4d45_464b,
        scripts: [
            """
            CREATE TABLE providers (
                node BLOB PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
            CREATE TABLE volumes (
                id BLOB PRIMARY KEY, owner BLOB NOT NULL, registration BLOB NOT NULL) WITHOUT ROWID;
            CREATE INDEX volumes_by_owner ON volumes (owner);
            """,
            """
            DELETE FROM providers;
            CREATE TABLE histories (
                provider BLOB PRIMARY KEY, history BLOB NOT NULL) WITHOUT ROWID;
            CREATE TABLE settings (
                name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
            CREATE TABLE beacons (
                epoch INTEGER PRIMARY KEY, block BLOB NOT NULL);
            CREATE TABLE orders (
                id BLOB PRIMARY KEY, terms BLOB NOT NULL, state BLOB NOT NULL,
                reported INTEGER NOT NULL) WITHOUT ROWID;
            CREATE INDEX orders_by_report ON orders (reported);
            CREATE TABLE chains (
                "order" BLOB NOT NULL, auditor BLOB NOT NULL, number INTEGER NOT NULL,
                PRIMARY KEY ("order", auditor)) WITHOUT ROWID;
            """,
            """
            CREATE TABLE heads (
                volume BLOB PRIMARY KEY, head BLOB NOT NULL);
            CREATE TABLE leases (
                volume BLOB PRIMARY KEY, term INTEGER NOT NULL, holder BLOB NOT NULL,
                label TEXT NOT NULL, released INTEGER NOT NULL) WITHOUT ROWID;
            """,
        ]
    )

    /// `delegations.db`: grants, repair keys and stripes of delegated volumes.
    static let delegations = KeeperDatabase.Format(
        name: "the database of delegated volumes",
        // "MEFD".
        applicationID: 0x4d45_4644,
        scripts: [
            """
            CREATE TABLE delegations (
                owner BLOB NOT NULL, volume BLOB NOT NULL, "grant" BLOB NOT NULL,
                repair_key BLOB NOT NULL, k INTEGER NOT NULL, m INTEGER NOT NULL,
                stripes INTEGER NOT NULL, repairs INTEGER NOT NULL,
                PRIMARY KEY (owner, volume)) WITHOUT ROWID;
            CREATE TABLE stripes (
                owner BLOB NOT NULL, volume BLOB NOT NULL, id BLOB NOT NULL,
                manifest BLOB NOT NULL,
                PRIMARY KEY (owner, volume, id)) WITHOUT ROWID;
            CREATE TABLE digests (
                owner BLOB NOT NULL, volume BLOB NOT NULL, bucket INTEGER NOT NULL,
                digest INTEGER NOT NULL,
                PRIMARY KEY (owner, volume, bucket)) WITHOUT ROWID;
            CREATE TABLE repairs (
                owner BLOB NOT NULL, volume BLOB NOT NULL, number INTEGER NOT NULL,
                record BLOB NOT NULL,
                PRIMARY KEY (owner, volume, number)) WITHOUT ROWID;
            """
        ]
    )
}
