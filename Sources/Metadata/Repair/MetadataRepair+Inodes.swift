import Primitives
import SQLite

// The database's frame, and the rows of inodes by themselves.
extension MetadataRepair {
    private typealias Bound = CheckScan.Bound

    // MARK: Schema

    /// Columns that can be counted anew, or that nothing is lost with.
    private static let replaceable: Set = [
        "inode.rdev", "inode.atime", "inode.atime_ns", "inode.mtime", "inode.mtime_ns",
        "inode.ctime", "inode.ctime_ns", "inode.nlink", "inode.parent", "inode.next_cookie",
        "inode.entries", "inode.xattr_bytes", "inode.blocks", "dentry.cookie", "block.checksum",
        "residency.held", "stripe.live_blocks", "stripe.live_bytes",
    ]

    /// Makes what is missing, and removes what does not belong, of which the copy is kept.
    func repairSchema() throws(SQLiteError) {
        let model = try Database(path: ":memory:")
        try model.executeScript(Schema.text)
        let objects = """
            SELECT type, name, coalesce(sql, '') FROM main.sqlite_schema
            WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type DESC
            """
        let wanted = try model.query(objects) { ($0.text(0), $0.text(1), $0.text(2)) }
        let there = try database.query(objects) { ($0.text(0), $0.text(1), $0.text(2)) }
        for (type, name, _) in there where !wanted.contains(where: { ($0.0, $0.1) == (type, name) })
        {
            try run("DROP \(type) \"\(name.replacing("\"", with: "\"\""))\"")
            report.add(RepairAction("\(type) \(name)", "does not belong here and is removed"))
        }
        for (type, name, sql) in wanted
        where !there.contains(where: { ($0.0, $0.1) == (type, name) }) {
            try run(sql)
            report.add(
                RepairAction("\(type) \(name)", "is made anew", isLoss: type == "table")
            )
        }
        for (type, name, _) in wanted where type == "table" {
            try repairColumns(of: name, as: model)
        }
    }

    private func repairColumns(of table: String, as model: Database) throws(SQLiteError) {
        let listing = "SELECT name, type, \"notnull\" FROM pragma_table_info('\(table)')"
        let wanted = try model.query(listing) { ($0.text(0), $0.text(1), $0.integer(2)) }
        let there = try database.query(listing) { ($0.text(0), $0.text(1), $0.integer(2)) }
        for (name, type, notNull) in wanted
        where !there.contains(where: { $0.0 == name })
            && Self.replaceable.contains("\(table).\(name)")
        {
            try run(
                "ALTER TABLE \(table) ADD COLUMN \(name) \(type)"
                    + (notNull == 1 ? " NOT NULL DEFAULT 0" : "")
            )
            report.add(RepairAction("table \(table).\(name)", "is made anew"))
        }
        for (name, _, _) in there where !wanted.contains(where: { $0.0 == name }) {
            try run("ALTER TABLE \(table) DROP COLUMN \"\(name.replacing("\"", with: "\"\""))\"")
            report.add(RepairAction("table \(table).\(name)", "does not belong here, is removed"))
        }
    }

    // MARK: meta

    /// An unknown past counts as an unclean one, after which the next mount looks at everything.
    func repairMeta() throws(SQLiteError) {
        let next = try database.value("SELECT value FROM meta WHERE key = 'next_inode'")
        let newest = try database.integer(
            "SELECT MAX(ino) FROM inode WHERE ino BETWEEN 1 AND \(Bound.number)"
        )
        var isRight = false
        if case .integer(let value)? = next, value > newest, value >= 2, value <= Bound.number {
            isRight = true
        }
        if !isRight {
            // Numbers that were handed out since may be names of files in the cache.
            let number = newest + 1 + Int64(MetadataCore.inodesSkippedAfterCrash)
            try run("REPLACE INTO meta(key, value) VALUES('next_inode', ?)", .integer(number))
            report.add(RepairAction("meta next_inode", "is \(number) now"))
        }
        for (key, condition, value) in [
            (MetaKey.clean, "value IN (0, 1)", Value.integer(0)),
            (MetaKey.bootID, "typeof(value) = 'text'", ""),
        ] {
            let right = try database.integer(
                "SELECT COUNT(*) FROM meta WHERE key = ? AND \(condition)",
                .text(key)
            )
            guard right == 0 else { continue }
            try run("REPLACE INTO meta(key, value) VALUES(?, ?)", .text(key), value)
            report.add(RepairAction("meta \(key)", "is unknown: the next mount recovers"))
        }
        let bad = """
            FROM meta WHERE key LIKE 'repairs\\_%' ESCAPE '\\'
            AND (typeof(value) <> 'integer' OR value < 0)
            """
        try list("SELECT 'meta ' || key, 'is removed: a keeper tells its repairs again' \(bad)")
        try run("DELETE \(bad)")
    }

    // MARK: Inodes

    /// Puts likely values in the place of impossible ones; counts are counted by other steps.
    func repairInodes() throws(SQLiteError) {
        let unusable = "FROM inode WHERE ino NOT BETWEEN 1 AND \(Bound.number)"
        try list(
            "SELECT 'inode ' || ino, 'no inode has such a number: removed' \(unusable)",
            isLoss: true
        )
        try run("DELETE \(unusable)")
        for (column, bad, value) in Self.likely {
            try list(
                "SELECT 'inode ' || ino, '\(column) ' || quote(\(column)) || ' is ' || (\(value))"
                    + " || ' now' FROM inode WHERE \(bad)"
            )
            try run("UPDATE inode SET \(column) = \(value) WHERE \(bad)")
        }
        try repairSizes()
    }

    /// Column, condition of being wrong, and value instead, in order: what follows from what.
    private static let likely: [(column: String, bad: String, value: String)] = [
        (
            "kind", bad("kind", 1, 7),
            """
            CASE WHEN ino = 1 OR EXISTS(SELECT 1 FROM dentry d WHERE d.parent = inode.ino) THEN 2
            WHEN EXISTS(SELECT 1 FROM symlink s WHERE s.ino = inode.ino) THEN 3 ELSE 1 END
            """
        ),
        ("mode", bad("mode", 0, 4095), "CASE kind WHEN 2 THEN 448 WHEN 3 THEN 511 ELSE 384 END"),
        ("uid", bad("uid", 0, 4_294_967_295), "0"),
        ("gid", bad("gid", 0, 4_294_967_295), "0"),
        (
            "nlink", bad("nlink", 0, 4_294_967_295),
            "CASE WHEN ino IN (SELECT ino FROM orphan) THEN 0 WHEN kind = 2 THEN 2 ELSE 1 END"
        ),
        ("rdev", "typeof(rdev) <> 'integer'", "0"),
        ("atime", "typeof(atime) <> 'integer'", "0"),
        ("mtime", "typeof(mtime) <> 'integer'", "0"),
        ("ctime", "typeof(ctime) <> 'integer'", "0"),
        ("atime_ns", bad("atime_ns", 0, 999_999_999), "0"),
        ("mtime_ns", bad("mtime_ns", 0, 999_999_999), "0"),
        ("ctime_ns", bad("ctime_ns", 0, 999_999_999), "0"),
        ("entries", bad("entries", 0, Bound.number) + " OR kind <> 2 AND entries <> 0", "0"),
        (
            "xattr_bytes", bad("xattr_bytes", 0, UInt64(MetadataState.xattrListBytesMax)), "0"
        ),
        ("blocks", bad("blocks", 0, Bound.blockIndexEnd) + " OR kind <> 1 AND blocks <> 0", "0"),
        (
            "parent", "kind = 2 AND (\(bad("parent", 1, Bound.number)))",
            "coalesce((SELECT MIN(d.parent) FROM dentry d WHERE d.ino = inode.ino), 1)"
        ),
        ("parent", "kind <> 2 AND (typeof(parent) <> 'integer' OR parent <> 0)", "0"),
        (
            "next_cookie",
            "kind = 2 AND (\(bad("next_cookie", InodeRow.firstCookie, Bound.number)))",
            """
            coalesce((SELECT MAX(d.cookie) + 1 FROM dentry d WHERE d.parent = inode.ino
            AND typeof(d.cookie) = 'integer'
            AND d.cookie BETWEEN \(InodeRow.firstCookie) AND \(Bound.number) - 1),
            \(InodeRow.firstCookie))
            """
        ),
        (
            "next_cookie", "kind <> 2 AND (typeof(next_cookie) <> 'integer' OR next_cookie <> 0)",
            "0"
        ),
        ("size", "kind > 3 AND (typeof(size) <> 'integer' OR size <> 0)", "0"),
        ("size", "kind = 2 AND (\(bad("size", 0, Geometry.fileBytesMax)))", "0"),
        (
            "size", "kind = 3 AND (\(bad("size", 0, Geometry.fileBytesMax)))",
            "coalesce((SELECT length(s.target) FROM symlink s WHERE s.ino = inode.ino), 0)"
        ),
    ]

    private static func bad(_ column: String, _ first: UInt64, _ last: UInt64) -> String {
        "typeof(\(column)) <> 'integer' OR \(column) NOT BETWEEN \(first) AND \(last)"
    }

    /// A regular file is as long as its blocks reach, and its cache file if the last is changed.
    private func repairSizes() throws(SQLiteError) {
        let files = try rows(
            "SELECT ino, quote(size) FROM inode WHERE kind = 1 AND "
                + "(\(Self.bad("size", 0, Geometry.fileBytesMax)))"
        ) { (InodeNumber(UInt64(clamping: $0.integer(0))), $0.text(1)) }
        for (ino, old) in files {
            let size = try likelySize(of: ino)
            try run(
                "UPDATE inode SET size = ? WHERE ino = ?",
                .integer(size),
                .integer(Int64(ino.rawValue))
            )
            report.add(
                RepairAction("inode \(ino.rawValue)", "size \(old) is \(size) now, by its blocks")
            )
        }
    }

    /// How long a file is by its blocks.
    func likelySize(of ino: InodeNumber) throws(SQLiteError) -> Int64 {
        let number = Value.integer(Int64(ino.rawValue))
        let placed = try database.integer(
            """
            SELECT MAX(idx * \(Bound.block) + valid) FROM block WHERE ino = ?
            AND typeof(idx) = 'integer' AND idx BETWEEN 0 AND \(Bound.blockIndexEnd) - 1
            AND typeof(valid) = 'integer' AND valid BETWEEN 1 AND \(Bound.block)
            """,
            number
        )
        let changed = try database.integer(
            """
            SELECT MAX((idx + 1) * \(Bound.block)) FROM residency WHERE ino = ?
            AND dirty_since IS NOT NULL
            AND typeof(idx) = 'integer' AND idx BETWEEN 0 AND \(Bound.blockIndexEnd) - 1
            """,
            number
        )
        let cached = Int64(clamping: context.cachedBytes(ino) ?? 0)
        return max(placed, min(changed, cached))
    }

    /// Without a root nothing can be reached, and nothing be mounted.
    func repairRoot() throws(SQLiteError) {
        let kind = try database.value("SELECT kind FROM inode WHERE ino = 1")
        if kind == 2 { return }
        if kind == nil {
            try insertDirectory(1, in: 1, mode: 0o700)
            report.add(RepairAction("inode 1", "the root directory is made anew", isLoss: true))
        } else {
            try run(
                """
                UPDATE inode SET kind = 2, size = 0, rdev = 0, parent = 1, blocks = 0,
                nlink = 2, next_cookie = coalesce((SELECT MAX(d.cookie) + 1 FROM dentry d
                WHERE d.parent = 1), \(InodeRow.firstCookie)) WHERE ino = 1
                """
            )
            report.add(RepairAction("inode 1", "the root is a directory again"))
        }
    }

    /// Makes an empty directory, which nothing names yet.
    func insertDirectory(_ ino: Int64, in parent: Int64, mode: Int64) throws(SQLiteError) {
        try insertInode(ino, kind: 2, mode: mode, size: 0, parent: parent)
        try run(
            "UPDATE inode SET next_cookie = \(InodeRow.firstCookie), nlink = 2 WHERE ino = ?",
            .integer(ino)
        )
    }

    /// Makes an inode that belongs to who owns the root.
    func insertInode(
        _ ino: Int64,
        kind: Int64,
        mode: Int64,
        size: Int64,
        parent: Int64 = 0
    ) throws(SQLiteError) {
        try run(
            """
            INSERT INTO inode(\(InodeRow.columns))
            SELECT ?1, ?2, ?3, coalesce((SELECT uid FROM inode WHERE ino = 1), 0),
            coalesce((SELECT gid FROM inode WHERE ino = 1), 0), 1, ?4, 0, ?5, 0, ?5, 0, ?5, 0,
            ?6, 0, 0, 0, 0
            """,
            .integer(ino),
            .integer(kind),
            .integer(mode),
            .integer(size),
            .integer(context.now.seconds),
            .integer(parent)
        )
    }

    /// Makes inodes anew that are gone while what they held is there.
    ///
    /// A file that has its key and blocks, or changed blocks; a directory that a name leads to and
    /// that has entries; a symbolic link that a name leads to and that has a target.
    func rebuildInodes() throws(SQLiteError) {
        let named = "EXISTS(SELECT 1 FROM dentry d WHERE d.ino = x.ino)"
        let gone =
            "NOT EXISTS(SELECT 1 FROM inode i WHERE i.ino = x.ino)"
            + " AND x.ino BETWEEN 2 AND \(Bound.number) AND typeof(x.ino) = 'integer'"
        let files = try rows(
            """
            SELECT x.ino FROM file_key x WHERE \(gone)
            AND EXISTS(SELECT 1 FROM block b WHERE b.ino = x.ino)
            UNION SELECT x.ino FROM residency x WHERE \(gone) AND x.dirty_since IS NOT NULL
            """
        ) { $0.integer(0) }
        for ino in files {
            let size = try likelySize(of: InodeNumber(UInt64(ino)))
            try insertInode(ino, kind: 1, mode: 0o600, size: size)
        }
        let directories = try rows(
            """
            SELECT DISTINCT x.ino FROM dentry x WHERE \(gone)
            AND EXISTS(SELECT 1 FROM dentry d WHERE d.parent = x.ino)
            """
        ) { $0.integer(0) }
        for ino in directories {
            try insertDirectory(ino, in: 1, mode: 0o700)
            try run(
                """
                UPDATE inode SET next_cookie = coalesce((SELECT MAX(cookie) + 1 FROM dentry d
                WHERE d.parent = inode.ino AND typeof(d.cookie) = 'integer'
                AND d.cookie BETWEEN next_cookie AND \(Bound.number) - 1), next_cookie)
                WHERE ino = ?
                """,
                .integer(ino)
            )
        }
        let links = try rows(
            "SELECT x.ino, length(x.target) FROM symlink x WHERE \(gone) AND \(named)"
        ) { ($0.integer(0), $0.integer(1)) }
        for (ino, size) in links { try insertInode(ino, kind: 3, mode: 0o777, size: size) }
        for ino in files + directories + links.map(\.0) {
            report.add(
                RepairAction(
                    "inode \(ino)",
                    "made anew for what is left of it; its mode, owner and times are lost",
                    isLoss: true
                )
            )
        }
        if !files.isEmpty { try countBlocks() }
    }
}
