import Disk
import Primitives
import SQLite

/// Carries what SQLite can still read of a damaged database into a new one.
///
/// Each table is read from its beginning until the first damage and from its end back to the last;
/// what lies between is halved again and again, so that of many damaged pages each costs its own
/// rows. Names are also in an index, which is read where their table fails.
struct DatabaseSalvage {
    /// Added to the database's path: the new one while it is made.
    private static let suffix = ".salvage"
    /// Readings of one table that may end in damage; each takes some page reads.
    private static let failuresMax = 4096
    /// How often what lies between is halved.
    private static let depthMax = 48

    private let source: Database
    private let target: Database

    /// Puts a new database with all that can be read into the place of that at `path`.
    ///
    /// - Throws: `corrupt` if nothing can be read.
    static func run(_ path: String, _ report: inout RepairReport) throws(FileSystemError) {
        let new = path + suffix
        DatabaseCopy.remove(new)
        do throws(SQLiteError) {
            let salvage = try DatabaseSalvage(path, into: new)
            try salvage.carry(&report)
        } catch {
            DatabaseCopy.remove(new)
            guard error.isCorrupt else { throw FileSystemError(error) }
            throw FileSystemError(
                .corrupt,
                "\(error.message); nothing can be read of \(path): restore it from a backup, or"
                    + " from the network with 'mefs volume recover'"
            )
        }
        try onDisk { () throws(DiskError) in
            try Descriptor(opening: new, .readWrite).sync()
            // A log of the old database would be taken for one of the new.
            for suffix in ["-wal", "-shm"] { try WholeFile.remove(path + suffix) }
            try Directory.sync(Directory.parent(of: path))
            try Directory.replace(path, with: new)
            try Directory.sync(Directory.parent(of: path))
        }
    }

    private init(_ path: String, into new: String) throws(SQLiteError) {
        source = try Database(path: path, access: .readOnly)
        // Fails if not even the list of tables is left.
        guard
            try source.integer("SELECT COUNT(*) FROM sqlite_schema WHERE name = 'inode'") == 1
        else {
            throw SQLiteError(
                extendedCode: SQLiteError.corruptCode,
                message: "the file holds no volume"
            )
        }
        target = try Database(path: new)
        try target.useWriteAheadLog(synchronous: .full)
        try target.execute("BEGIN IMMEDIATE")
        try target.executeScript(Schema.text)
        try target.execute("PRAGMA application_id=\(Schema.applicationID)")
        try target.execute("PRAGMA user_version=\(Schema.version)")
    }

    private func carry(_ report: inout RepairReport) throws(SQLiteError) {
        let tables = try target.query(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        ) { $0.text(0) }
        report.add(
            RepairAction(source.path, "is damaged: what can be read of it is put into a new one")
        )
        for name in tables {
            guard let table = try Table(name, source, target) else { continue }
            var reading = Reading(failuresLeft: Self.failuresMax)
            try carry(table, from: 0, through: .max, depth: Self.depthMax, &reading)
            guard reading.hasFailed else { continue }
            if name == "residency" { report.hasLostResidency = true }
            if name == "dentry" {
                reading.failuresLeft = Self.failuresMax
                try carry(
                    try Table(name, source, target, index: "dentry_cookie") ?? table,
                    from: 0,
                    through: .max,
                    depth: Self.depthMax,
                    &reading
                )
            }
            let rows = try target.integer("SELECT COUNT(*) FROM \(name)")
            report.add(
                RepairAction(
                    "table \(name)",
                    "it is damaged; \(rows) rows could be read and are kept, others may be lost",
                    isLoss: true
                )
            )
        }
        try target.execute("COMMIT")
        try target.checkpoint(.truncate)
    }

    // MARK: One table

    /// How far the reading of a table has come.
    private struct Reading {
        var failuresLeft: Int
        var hasFailed = false
    }

    /// Copies rows whose key lies in `first...last`.
    private func carry(
        _ table: Table,
        from first: UInt64,
        through last: UInt64,
        depth: Int,
        _ reading: inout Reading
    ) throws(SQLiteError) {
        var low = first
        guard try !copy(table, first, last, isBackward: false, &low, &reading) else { return }
        var high = last
        _ = try copy(table, first, last, isBackward: true, &high, &reading)
        guard table.isHalved, low < high, high - low > 1, depth > 0, reading.failuresLeft > 0
        else { return }
        let middle = low + (high - low) / 2
        try carry(table, from: low, through: middle, depth: depth - 1, &reading)
        try carry(table, from: middle, through: high, depth: depth - 1, &reading)
    }

    /// Copies rows until the end or the first damage.
    ///
    /// - Returns: Whether it came to the end; `reached` is the key of the last row before.
    private func copy(
        _ table: Table,
        _ first: UInt64,
        _ last: UInt64,
        isBackward: Bool,
        _ reached: inout UInt64,
        _ reading: inout Reading
    ) throws(SQLiteError) -> Bool {
        let read = isBackward ? table.backward : table.forward
        if table.isHalved {
            try read.bind(1, table.bound(first, isLast: false))
            try read.bind(2, table.bound(last, isLast: true))
        }
        defer { read.reset() }
        while true {
            do throws(SQLiteError) {
                guard try read.step() else { return true }
            } catch {
                guard error.isCorrupt else { throw error }
                reading.failuresLeft -= 1
                reading.hasFailed = true
                return false
            }
            reached = table.position(read)
            for (column, place) in table.places.enumerated() {
                try table.insertion.bind(
                    Int32(column + 1),
                    place.map { read.value($0) } ?? table.defaults[column]
                )
            }
            try table.insertion.run()
        }
    }
}

/// How a table of a damaged database is read, and written to the new one.
private struct Table {
    let forward, backward, insertion: Statement
    /// Of each column of the new table the column of the reading; `nil` if the old one has none.
    let places: [Int32?]
    /// What is put where there is none.
    let defaults: [Value]
    /// Whether ranges of its first key column can be asked for.
    let isHalved: Bool
    private let isBlob: Bool
    private let keyPlace: Int32

    /// `nil` if the old database has no such table.
    init?(
        _ name: String,
        _ source: Database,
        _ target: Database,
        index: String? = nil
    ) throws(SQLiteError) {
        let listing = "SELECT name, type, pk FROM pragma_table_info('\(name)') ORDER BY cid"
        let wanted = try target.query(listing) { ($0.text(0), $0.text(1), $0.integer(2)) }
        let there = try source.query(listing) { $0.text(0) }
        guard let key = wanted.first(where: { $0.2 == 1 }), there.contains(key.0) else {
            return nil
        }
        let read = wanted.map(\.0).filter { there.contains($0) }
        places = wanted.map { column in read.firstIndex(of: column.0).map { Int32($0) } }
        defaults = wanted.map { $0.1 == "BLOB" ? .blob([]) : 0 }
        keyPlace = Int32(read.firstIndex(of: key.0) ?? 0)
        isHalved = key.1 != "TEXT"
        isBlob = key.1 == "BLOB"
        // Said outright: SQLite would rather read a smaller index that has all columns.
        let primary = try source.query(
            "SELECT name FROM pragma_index_list('\(name)') WHERE origin = 'pk'"
        ) { $0.text(0) }.first
        let path = (index ?? primary).map { " INDEXED BY \($0)" } ?? " NOT INDEXED"
        let range = isHalved ? " WHERE \(key.0) >= ? AND \(key.0) <= ?" : ""
        let columns = read.joined(separator: ", ")
        let text = "SELECT \(columns) FROM \(name)\(path)\(range) ORDER BY \(key.0)"
        forward = try source.prepare(text)
        backward = try source.prepare(text + " DESC")
        let names = wanted.map(\.0).joined(separator: ", ")
        let marks = wanted.map { _ in "?" }.joined(separator: ", ")
        insertion = try target.prepare(
            "INSERT OR IGNORE INTO \(name)(\(names)) VALUES(\(marks))"
        )
    }

    /// The key at a position: numbers in order from the smallest, or the first eight bytes of ids.
    func bound(_ position: UInt64, isLast: Bool) -> Value {
        guard isBlob else { return .integer(Int64(bitPattern: position ^ 1 << 63)) }
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: position >> (56 - 8 * UInt64($0))) }
        return .blob(isLast ? bytes + [UInt8](repeating: 0xff, count: 32) : bytes)
    }

    /// The position of a row's key.
    func position(_ row: Statement) -> UInt64 {
        guard isBlob else { return UInt64(bitPattern: row.integer(keyPlace)) ^ 1 << 63 }
        return row.blob(keyPlace).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
