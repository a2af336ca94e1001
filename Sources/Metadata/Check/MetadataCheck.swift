import Disk
package import Primitives
import SQLite

/// A look at the metadata database of a volume that nobody has open, row against row.
///
/// It reads and never writes: its one connection is opened so. SQLite brings a log that a crash
/// has left into view as at any opening, and leaves it as it is. Every query streams; what it keeps
/// is sums over directories and names, in SQLite's temporary database, which goes to a file when it
/// is large. Not thread-safe.
package final class MetadataCheck {
    /// Boot id of the host at the last opening; empty if the database does not tell.
    package private(set) var bootID = ""
    private let path: String
    private let lock: FileLock?
    let database: Database
    private var keptReader: MetadataReader?

    /// Pages of 1 KiB that the connection keeps in memory: the upper levels of every tree of
    /// some millions of rows.
    private var cacheKiB = 65536

    /// Damage to SQLite's own structure that is told of; the first lines say where it is.
    private static let damageLinesMax = 20

    /// Locks the database at `path` and opens it.
    ///
    /// - Throws: `notFound` if there is none, `invalid` if somebody has it open, `inputOutput`.
    package init(opening path: String) throws(FileSystemError) {
        guard WholeFile.exists(path) else {
            throw FileSystemError(.notFound, "there is no metadata database at \(path)")
        }
        self.path = path
        lock = try Self.lock(path)
        database = try converting { () throws(SQLiteError) in
            try Database(path: path, access: .readOnly)
        }
    }

    /// Looks at the database at `path` while a store of this process has it open: at what is
    /// committed when `run` begins.
    ///
    /// `cacheKiB`: memory for pages of the database. `mustStop`: ends `run` early with
    /// `inputOutput` once it says so.
    package init(
        besideStoreAt path: String,
        cacheKiB: Int,
        mustStop: @escaping () -> Bool
    ) throws(FileSystemError) {
        self.path = path
        self.cacheKiB = cacheKiB
        lock = nil
        database = try converting { () throws(SQLiteError) in
            let database = try Database(path: path, access: .readOnly)
            database.interrupt(when: mustStop)
            return database
        }
    }

    /// Looks at `database` through a connection of somebody who sees to it that nobody else
    /// changes it, in a transaction of theirs if one is open.
    init(_ database: Database) {
        path = database.path
        lock = nil
        self.database = database
    }

    static func lock(_ path: String) throws(FileSystemError) -> FileLock {
        do throws(FileLock.Failure) {
            return try FileLock(path + ".lock", note: "check of a volume")
        } catch {
            switch error {
            case .held(_, let holder):
                throw FileSystemError(
                    .invalid,
                    "metadata database \(path) is in use by \(holder); unmount the volume first"
                )
            case .disk(let error): throw FileSystemError(error)
            }
        }
    }

    /// Reads single rows, as an open store does.
    func reader() throws(FileSystemError) -> MetadataReader {
        if let keptReader { return keptReader }
        let reader = try converting { () throws(SQLiteError) in try MetadataReader(database) }
        keptReader = reader
        return reader
    }

    /// Lets go of the database.
    package func close() { lock?.release() }

    /// Checks everything that the database alone can tell.
    ///
    /// - Returns: Whether its structure is whole, so that rows can be read on.
    /// - Throws: `invalid` if it is of another program or version, `inputOutput` if it cannot be
    ///   read.
    package func run(
        into report: inout CheckReport,
        progress: (CheckProgress) -> Void = { _ in }
    ) throws(FileSystemError) -> Bool {
        let isOpen = try guarding(&report) { _ throws(SQLiteError) in
            guard !database.isInTransaction else { return }
            try database.execute("PRAGMA cache_size=-\(cacheKiB)")
            try database.execute("PRAGMA temp.journal_mode=OFF")
            // One view for all queries, and one look at the log.
            try database.execute("BEGIN")
        }
        guard isOpen, try checkStructure(&report, progress) else { return false }
        return try checkRows(&report, progress)
    }

    // MARK: Parts

    private func checkStructure(
        _ report: inout CheckReport,
        _ progress: (CheckProgress) -> Void
    ) throws(FileSystemError) -> Bool {
        progress(CheckProgress(.database))
        var application: Int64 = 0
        var version: Int64 = 0
        let isReadable = try guarding(&report) { _ throws(SQLiteError) in
            application = try database.integer("PRAGMA application_id")
            version = try database.integer("PRAGMA user_version")
        }
        guard isReadable else { return false }
        if application == 0, version == 0 {
            report.add(CheckFinding(.databaseDamaged, path, "the file holds no database"))
            return false
        }
        try MetadataCore.check(path, application: application, version: version)
        var isWhole = false
        let isChecked = try guarding(&report) { report throws(SQLiteError) in
            let lines = try database.query("PRAGMA integrity_check(\(Self.damageLinesMax))") {
                $0.text(0)
            }
            isWhole = lines == ["ok"]
            for line in lines where !isWhole {
                report.add(CheckFinding(.databaseDamaged, path, line))
            }
        }
        guard isChecked, isWhole else { return false }
        let isCompared = try guarding(&report) { report throws(SQLiteError) in
            isWhole = try checkSchema(&report)
        }
        return isCompared && isWhole
    }

    /// Tables, columns and indices, against those of a new database.
    private func checkSchema(_ report: inout CheckReport) throws(SQLiteError) -> Bool {
        let listing = """
            SELECT m.type, m.name, m.tbl_name, c.name, c.type, c.pk FROM main.sqlite_schema m
            LEFT JOIN pragma_table_info(m.name) c
            WHERE m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY m.type, m.name, c.cid
            """
        func columns(_ database: Database) throws(SQLiteError) -> Set<[String]> {
            Set(
                try database.query(listing) { row in (0..<6).map { row.text($0) } }
            )
        }
        let model = try Database(path: ":memory:")
        try model.executeScript(Schema.text)
        let (ours, wanted) = (try columns(database), try columns(model))
        for column in wanted.subtracting(ours).sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            let name = column[3].isEmpty ? column[1] : "\(column[1]).\(column[3])"
            report.add(
                CheckFinding(.wrongSchema, "\(column[0]) \(name)", "it is missing or altered")
            )
        }
        for column in ours.subtracting(wanted).sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            let name = column[3].isEmpty ? column[1] : "\(column[1]).\(column[3])"
            report.add(
                CheckFinding(.wrongSchema, "\(column[0]) \(name)", "no such thing belongs here")
            )
        }
        return wanted.isSubset(of: ours)
    }

    private func checkRows(
        _ report: inout CheckReport,
        _ progress: (CheckProgress) -> Void
    ) throws(FileSystemError) -> Bool {
        try guarding(&report) { report throws(SQLiteError) in
            try count(&report)
            progress(CheckProgress(.names))
            try database.executeScript(CheckScan.dropNamesTables)
            try database.executeScript(CheckScan.namesTables)
            try scan(CheckScan.names, .names, &report, progress)
            try database.executeScript(CheckScan.dropNamesTables)
            try scan(CheckScan.content, .content, &report, progress)
            try scan(CheckScan.stripes, .stripes, &report, progress)
            try scan(CheckScan.checkpoints, .stripes, &report, progress)
            try StripeLayoutCheck(database).run(into: &report, progress: progress)
        }
    }

    private func scan(
        _ scans: [CheckScan],
        _ phase: CheckProgress.Phase,
        _ report: inout CheckReport,
        _ progress: (CheckProgress) -> Void
    ) throws(SQLiteError) {
        for (index, scan) in scans.enumerated() {
            let statement = try database.prepare(scan.sql)
            while try statement.step() {
                let (kind, message) = Self.split(statement.text(1))
                report.add(CheckFinding(kind, statement.text(0), message))
            }
            progress(CheckProgress(phase, done: UInt64(index + 1), total: UInt64(scans.count)))
        }
    }

    /// Takes "kind:message" apart.
    ///
    /// A message that holds NULL is NULL as a whole: no scan makes one, and if one did it would
    /// still be found.
    private static func split(_ text: String) -> (CheckFinding.Kind, String) {
        let parts = text.split(separator: ":", maxSplits: 1)
        guard let kind = CheckFinding.Kind(rawValue: String(parts.first ?? "")) else {
            return (.databaseDamaged, "something is wrong with it")
        }
        return (kind, parts.count > 1 ? String(parts[1]) : "")
    }

    private func count(_ report: inout CheckReport) throws(SQLiteError) {
        func rows(_ sql: String) throws(SQLiteError) -> UInt64 {
            UInt64(clamping: try database.integer("SELECT COUNT(*) FROM \(sql)"))
        }
        report.inodes = try rows("inode")
        report.entries = try rows("dentry")
        report.blocks = try rows("block")
        report.dirtyBlocks = try rows("residency WHERE dirty_since IS NOT NULL")
        report.stripes = try rows("stripe")
        report.shards = try rows("shard")
        report.wasCleanlyClosed =
            try database.value("SELECT value FROM meta WHERE key='clean'") == 1
        if case .text(let id)? = try database.value("SELECT value FROM meta WHERE key='boot_id'") {
            bootID = id
        }
        if !report.wasCleanlyClosed { report.note(.uncleanStop) }
        report.note(.orphan, count: try rows("orphan"))
        report.note(.lostBlock, count: try rows("block WHERE stripe = \(CheckScan.Bound.lost)"))
        report.note(
            .rewrittenStripe,
            count: try rows(
                "stripe WHERE state = 2 AND '\(MetaKey.rewritePrefix)' || lower(hex(id)) IN "
                    + "(SELECT key FROM meta WHERE value = 1)"
            )
        )
        report.note(.doubtfulShard, count: UInt64(try doubts().count))
        report.note(.placingStripe, count: try rows("stripe WHERE state <> 2 AND state = 1"))
        let now = Clock.now().nanosecondsSince1970
        report.note(.futureDirtyMark, count: try rows("residency WHERE dirty_since > \(now)"))
    }

    /// Shards that the next mount is to look at, as their marks name them.
    func doubts() throws(SQLiteError) -> Set<String> {
        Set(
            try database.query(
                "SELECT key FROM meta WHERE key >= ?1 AND key < ?1 || '~' AND value = 1",
                .text(MetaKey.doubtPrefix)
            ) { $0.text(0) }
        )
    }

    // MARK: Errors

    /// Runs `body`; what SQLite calls damage becomes a finding.
    ///
    /// - Returns: Whether it came to its end.
    private func guarding(
        _ report: inout CheckReport,
        _ body: (inout CheckReport) throws(SQLiteError) -> Void
    ) throws(FileSystemError) -> Bool {
        do throws(SQLiteError) {
            try body(&report)
            return true
        } catch {
            guard error.isCorrupt || error.isMissingTable else { throw FileSystemError(error) }
            report.add(CheckFinding(.databaseDamaged, path, error.message))
            return false
        }
    }
}

extension SQLiteError {
    /// SQLITE_ERROR: our SQL does not fit the database, whose schema is then another.
    fileprivate var isMissingTable: Bool { code == 1 }
}
