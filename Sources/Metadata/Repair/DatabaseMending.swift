import Disk
import Primitives
import SQLite

/// Makes the structure of a damaged database whole again, so that its rows can be repaired.
///
/// A wrong index is made anew of its table. Of a table that is damaged itself, all rows that SQLite
/// can still find are carried into a new database (`DatabaseSalvage`).
enum DatabaseMending {
    /// Lines of damage looked at: as soon as one is not about an index, all rows are carried over.
    private static let linesMax = 100
    /// What SQLite's check says of an index and not of a table.
    private static let aboutIndex = [
        "missing from index", "wrong # of entries in index", "non-unique entry in index",
        "row missing from index",
    ]

    /// Opens the database and begins a transaction in which its structure is whole.
    ///
    /// - Throws: `corrupt` if nothing can be read of it.
    static func open(
        _ path: String,
        _ report: inout RepairReport
    ) throws(FileSystemError) -> Database {
        var isDamaged = false
        if let database = try begin(path, isDamaged: &isDamaged) {
            do throws(SQLiteError) {
                return try mended(database, &report)
            } catch {
                database.rollback()
                guard error.isCorrupt else { throw FileSystemError(error) }
            }
        }
        try DatabaseSalvage.run(path, &report)
        guard let database = try begin(path, isDamaged: &isDamaged) else {
            throw hopeless(path)
        }
        return database
    }

    private static func hopeless(_ path: String) -> FileSystemError {
        FileSystemError(
            .corrupt,
            "nothing can be read of \(path): restore it from a backup, or from the network with"
                + " 'mefs volume recover'"
        )
    }

    /// `nil` if it cannot even be opened.
    private static func begin(
        _ path: String,
        isDamaged: inout Bool
    ) throws(FileSystemError) -> Database? {
        do throws(SQLiteError) {
            let database = try Database(path: path, access: .readWrite)
            try database.useWriteAheadLog(synchronous: .full)
            try database.execute("PRAGMA cache_size=-65536")
            try database.execute("BEGIN IMMEDIATE")
            return database
        } catch {
            guard error.isCorrupt else { throw FileSystemError(error) }
            isDamaged = true
            return nil
        }
    }

    /// The database, its header, version and indices right; throws what SQLite calls damage.
    private static func mended(
        _ database: Database,
        _ report: inout RepairReport
    ) throws(SQLiteError) -> Database {
        var lines = try damage(of: database)
        if !lines.isEmpty, lines.allSatisfy({ line in aboutIndex.contains { line.contains($0) } }) {
            try database.execute("REINDEX")
            report.add(RepairAction(database.path, "its indices are made anew"))
            lines = try damage(of: database)
        }
        if let first = lines.first {
            throw SQLiteError(extendedCode: SQLiteError.corruptCode, message: first)
        }
        try restoreHeader(of: database, &report)
        return database
    }

    private static func damage(of database: Database) throws(SQLiteError) -> [String] {
        let lines = try database.query("PRAGMA integrity_check(\(linesMax))") { $0.text(0) }
        return lines == ["ok"] ? [] : lines
    }

    /// Gives a database back what says that it is ours, if it has our tables; brings an older one
    /// to this version.
    private static func restoreHeader(
        of database: Database,
        _ report: inout RepairReport
    ) throws(SQLiteError) {
        let application = try database.integer("PRAGMA application_id")
        let version = try database.integer("PRAGMA user_version")
        if application == 0, version == 0 {
            let tables = try database.integer(
                "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' "
                    + "AND name IN ('meta', 'inode', 'dentry', 'block', 'stripe', 'shard')"
            )
            guard tables == 6 else {
                throw SQLiteError(
                    extendedCode: SQLiteError.corruptCode,
                    message: "\(database.path): the file holds no volume"
                )
            }
            try database.execute("PRAGMA application_id=\(Schema.applicationID)")
            try database.execute("PRAGMA user_version=\(Schema.version)")
            report.add(RepairAction(database.path, "is marked as a volume's database again"))
        } else if version > 0, version < Schema.version {
            for older in version..<Schema.version {
                if let script = Schema.upgrades[older] { try database.executeScript(script) }
            }
            try database.execute("PRAGMA user_version=\(Schema.version)")
            report.add(RepairAction(database.path, "is brought to format \(Schema.version)"))
        }
    }
}
