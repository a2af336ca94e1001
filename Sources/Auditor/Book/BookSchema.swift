import Disk
import Logging
import SQLite

/// The tables of the book, and how its file is opened.
enum BookSchema {
    /// "MEFB", as SQLite has it in the header.
    private static let applicationID: Int64 = 0x4d45_4642
    private static let version: Int64 = 1

    /// `copies.state`.
    enum CopyState: Int64, Sendable {
        /// A put whose move is not recorded yet.
        case intent = 0
        /// To be taken out of the order and deleted.
        case garbage = 1
        /// A spare whose holder is not back.
        case away = 2
        /// A spare that is back.
        case here = 3
    }

    private static let tables = """
        BEGIN;
        CREATE TABLE orders (
            row INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, provider BLOB NOT NULL,
            generation INTEGER NOT NULL, live INTEGER NOT NULL, terms BLOB NOT NULL,
            state BLOB NOT NULL, shards INTEGER NOT NULL DEFAULT 0,
            proved_epochs INTEGER NOT NULL DEFAULT 0, doubtful INTEGER NOT NULL DEFAULT 0,
            proof BLOB);
        CREATE TABLE entries (
            holder INTEGER NOT NULL REFERENCES orders, position INTEGER NOT NULL,
            shard BLOB NOT NULL, bytes INTEGER NOT NULL, root BLOB NOT NULL,
            added INTEGER NOT NULL, PRIMARY KEY (holder, position)) WITHOUT ROWID;
        CREATE INDEX live_entries ON entries (shard) WHERE bytes > 0;
        CREATE TABLE receipts (
            holder INTEGER NOT NULL REFERENCES orders, number INTEGER NOT NULL,
            proves INTEGER NOT NULL, receipt BLOB NOT NULL, delivered INTEGER NOT NULL DEFAULT 0,
            reported INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (holder, number)) WITHOUT ROWID;
        CREATE TABLE states (
            holder INTEGER NOT NULL REFERENCES orders, sequence INTEGER NOT NULL,
            state BLOB NOT NULL, PRIMARY KEY (holder, sequence)) WITHOUT ROWID;
        CREATE TABLE grants (bytes BLOB PRIMARY KEY) WITHOUT ROWID;
        CREATE TABLE beacons (
            keeper BLOB NOT NULL, epoch INTEGER NOT NULL, block BLOB NOT NULL,
            PRIMARY KEY (keeper, epoch)) WITHOUT ROWID;
        CREATE TABLE histories (provider BLOB PRIMARY KEY, history BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE lost (
            shard BLOB NOT NULL, provider BLOB NOT NULL, since INTEGER NOT NULL,
            cause INTEGER NOT NULL, PRIMARY KEY (shard, provider)) WITHOUT ROWID;
        CREATE TABLE copies (
            shard BLOB NOT NULL, provider BLOB NOT NULL, stripe BLOB NOT NULL,
            slot INTEGER NOT NULL, state INTEGER NOT NULL, due INTEGER NOT NULL,
            PRIMARY KEY (shard, provider)) WITHOUT ROWID;
        CREATE INDEX copies_due ON copies (provider, state, due);
        PRAGMA application_id = \(applicationID);
        PRAGMA user_version = \(version);
        COMMIT;
        """

    /// Books up to this are checked at every start: half a second at most.
    private static let checkedBytesMax: UInt64 = 64 << 20

    /// Opens the book; one that is damaged is put aside and begun anew, because providers can tell
    /// all of it again but histories and receipts.
    static func open(_ path: String, logger: Logger) throws(SQLiteError) -> Database {
        if WholeFile.exists(path) {
            do throws(SQLiteError) {
                return try existing(path)
            } catch  where error.isCorrupt {
                logger.error("the book of orders is begun anew: \(error)")
                for suffix in ["", "-wal", "-shm"] {
                    // What is not there need not be moved; what cannot be moved fails below.
                    try? Directory.replace(path + ".damaged" + suffix, with: path + suffix)
                }
            }
        }
        let database = try Database(path: path, access: .create)
        try database.executeScript(tables)
        try database.useWriteAheadLog(synchronous: .full)
        return database
    }

    private static func existing(_ path: String) throws(SQLiteError) -> Database {
        let database = try Database(path: path, access: .readWrite)
        guard try database.integer("PRAGMA application_id") == applicationID,
            try database.integer("PRAGMA user_version") == version
        else {
            throw SQLiteError(extendedCode: 26, message: "\(path): not a book of version 1")
        }
        let bytes = (try? Descriptor(opening: path).size()) ?? 0
        if bytes <= checkedBytesMax {
            let verdict = try database.query("PRAGMA quick_check(1)") { $0.text(0) }.first
            guard verdict == "ok" else {
                throw SQLiteError(extendedCode: 11, message: "\(path): \(verdict ?? "no answer")")
            }
        }
        try database.useWriteAheadLog(synchronous: .full)
        return database
    }
}
