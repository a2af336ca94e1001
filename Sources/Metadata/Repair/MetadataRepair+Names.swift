import Primitives
import SQLite

// Names, and the tree that they make.
extension MetadataRepair {
    private typealias Bound = CheckScan.Bound

    /// Where what nobody names goes.
    private static let lostAndFound = "lost+found"

    // MARK: Entries

    /// Gives entries a name that can be one, as like the old one as can be.
    func repairNames() throws(SQLiteError) {
        let bad = """
            typeof(name) <> 'blob' OR length(name) NOT BETWEEN 1 AND \(Geometry.nameBytesMax)
            OR name IN (x'2e', x'2e2e') OR instr(name, x'2f') > 0 OR instr(name, x'00') > 0
            """
        let found = try rows(
            "SELECT parent, name, typeof(name), ino FROM dentry WHERE \(bad)"
        ) { row in
            (
                parent: row.value(0), name: row.blob(1), type: row.text(2),
                ino: row.text(3)
            )
        }
        for entry in found {
            var safe = entry.name.prefix(Geometry.nameBytesMax).map { byte -> UInt8 in
                byte == 0x2f || byte == 0 ? 0x5f : byte
            }
            if safe.isEmpty || safe == [0x2e] || safe == [0x2e, 0x2e] {
                safe = Array("#\(entry.ino)".utf8)
            }
            let name = try freeName(safe, in: entry.parent)
            try run(
                """
                UPDATE dentry SET name = ? WHERE parent = ? AND typeof(name) = ?
                AND CAST(name AS BLOB) = ?
                """,
                .blob(name),
                entry.parent,
                .text(entry.type),
                .blob(entry.name)
            )
            report.add(
                RepairAction(
                    "entry of directory \(entry.parent.text)",
                    "is named \"\(String(decoding: name, as: UTF8.self))\" now"
                )
            )
        }
    }

    /// `name`, or with a number behind if that directory has it.
    private func freeName(_ name: [UInt8], in parent: Value) throws(SQLiteError) -> [UInt8] {
        var free = name
        var number = 0
        while try database.integer(
            "SELECT COUNT(*) FROM dentry WHERE parent = ? AND name = ?",
            parent,
            .blob(free)
        ) > 0 {
            number += 1
            let suffix = Array("~\(number)".utf8)
            free = name.prefix(Geometry.nameBytesMax - suffix.count) + suffix
        }
        return free
    }

    /// Removes entries that lead nowhere or are nowhere; what they led to is found again later.
    func removeEntries() throws(SQLiteError) {
        let subject = "'entry \"' || CAST(name AS TEXT) || '\" of directory ' || parent"
        let dangling = """
            FROM dentry WHERE typeof(ino) <> 'integer'
            OR NOT EXISTS(SELECT 1 FROM inode i WHERE i.ino = dentry.ino)
            """
        try list(
            "SELECT \(subject), 'removed: inode ' || quote(ino) || ' does not exist' \(dangling)",
            isLoss: true
        )
        try run("DELETE \(dangling)")
        let nowhere = """
            FROM dentry WHERE typeof(parent) <> 'integer' OR NOT EXISTS(
                SELECT 1 FROM inode p WHERE p.ino = dentry.parent AND p.kind = 2
            )
            """
        try list("SELECT \(subject), 'removed: that is no directory' \(nowhere)")
        try run("DELETE \(nowhere)")
        try list(
            "SELECT \(subject), 'removed: the root is in no directory' FROM dentry WHERE ino = 1"
        )
        try run("DELETE FROM dentry WHERE ino = 1")
        try run("UPDATE inode SET parent = 1 WHERE ino = 1 AND parent <> 1")
    }

    /// Leaves each directory the name that its parent agrees with, or else the first.
    func repairDirectories() throws(SQLiteError) {
        try run("DROP TABLE IF EXISTS temp.repair_extra")
        try run(
            """
            CREATE TEMP TABLE repair_extra AS SELECT parent, name, ino FROM (
                SELECT d.parent, d.name, d.ino, row_number() OVER (
                    PARTITION BY d.ino
                    ORDER BY d.parent = i.parent DESC, d.parent, d.cookie, d.name
                ) AS place
                FROM dentry d JOIN inode i ON i.ino = d.ino WHERE i.kind = 2
            ) WHERE place > 1
            """
        )
        try list(
            """
            SELECT 'inode ' || ino, 'its second name "' || CAST(name AS TEXT)
            || '" in directory ' || parent || ' is removed' FROM repair_extra
            """
        )
        try run(
            "DELETE FROM dentry WHERE (parent, name) IN (SELECT parent, name FROM repair_extra)"
        )
        try run("DROP TABLE temp.repair_extra")
        try setParents()
    }

    /// Notes of each directory where its one name is.
    private func setParents() throws(SQLiteError) {
        let wrong = """
            FROM inode i JOIN (
                SELECT d.ino, MIN(d.parent) AS parent FROM dentry d JOIN inode c ON c.ino = d.ino
                WHERE c.kind = 2 GROUP BY d.ino HAVING COUNT(*) = 1
            ) n ON n.ino = i.ino WHERE i.parent <> n.parent
            """
        try run("DROP TABLE IF EXISTS temp.repair_parents")
        try run(
            "CREATE TEMP TABLE repair_parents AS SELECT i.ino AS ino, n.parent AS parent \(wrong)"
        )
        try list("SELECT 'inode ' || ino, 'its parent is ' || parent || ' now' FROM repair_parents")
        try run(
            """
            UPDATE inode SET parent = p.parent FROM repair_parents p WHERE p.ino = inode.ino
            """
        )
        try run("DROP TABLE temp.repair_parents")
    }

    // MARK: The tree

    /// A directory that no way from the root leads to.
    private struct Stray {
        let ino: Int64
        /// Where its name is; `nil` if it has none.
        let parent: Int64?
    }

    /// Cuts rings of directories at their lowest inode, and gives what has no name one in
    /// `lost+found`.
    func collectUnreachable() throws(SQLiteError) {
        try setParents()
        for ino in Self.cuts(of: try strays()) {
            try run("DELETE FROM dentry WHERE ino = ?", .integer(ino))
            report.add(RepairAction("inode \(ino)", "a ring of directories is cut here"))
        }
        let nameless = try rows(
            """
            SELECT i.ino, i.kind FROM inode i
            WHERE i.ino <> 1 AND i.ino NOT IN (SELECT ino FROM dentry)
            AND (i.nlink > 0 OR i.kind = 2 AND EXISTS(
                SELECT 1 FROM dentry d WHERE d.parent = i.ino
            ))
            """
        ) { (ino: $0.integer(0), kind: $0.integer(1)) }
        guard !nameless.isEmpty else { return }
        let home = try lostAndFound()
        for (ino, kind) in nameless where ino != home {
            let name = try freeName(Array("#\(ino)".utf8), in: .integer(home))
            try insertEntry(name, ino, in: home)
            try run(
                "UPDATE inode SET parent = ?, nlink = MAX(nlink, 1) WHERE ino = ?",
                .integer(kind == 2 ? home : 0),
                .integer(ino)
            )
            report.add(
                RepairAction(
                    "inode \(ino)",
                    "is \(Self.lostAndFound)/\(String(decoding: name, as: UTF8.self)) now"
                )
            )
        }
    }

    private func strays() throws(SQLiteError) -> [Stray] {
        try database.executeScript(
            """
            DROP TABLE IF EXISTS temp.repair_tree;
            DROP TABLE IF EXISTS temp.repair_reached;
            CREATE TEMP TABLE repair_tree(parent, ino, PRIMARY KEY(parent, ino)) WITHOUT ROWID;
            INSERT OR IGNORE INTO repair_tree
            SELECT d.parent, d.ino FROM dentry d JOIN inode i ON i.ino = d.ino
            WHERE i.kind = 2 AND i.ino <> 1;
            CREATE TEMP TABLE repair_reached(ino INTEGER PRIMARY KEY);
            INSERT OR IGNORE INTO repair_reached
            WITH RECURSIVE reached(ino) AS (
                SELECT 1 UNION
                SELECT t.ino FROM reached JOIN repair_tree t ON t.parent = reached.ino
            )
            SELECT ino FROM reached;
            """
        )
        let found = try rows(
            """
            SELECT i.ino, t.parent FROM inode i LEFT JOIN repair_tree t ON t.ino = i.ino
            WHERE i.kind = 2 AND i.ino NOT IN (SELECT ino FROM repair_reached)
            """
        ) { Stray(ino: $0.integer(0), parent: $0.isNull(1) ? nil : $0.integer(1)) }
        try database.executeScript(
            "DROP TABLE temp.repair_tree; DROP TABLE temp.repair_reached;"
        )
        return found
    }

    /// The lowest inode of each ring among directories that cannot be reached.
    private static func cuts(of strays: [Stray]) -> [Int64] {
        var parents: [Int64: Int64] = [:]
        for stray in strays { parents[stray.ino] = stray.parent }
        var visited: Set<Int64> = []
        var cuts: [Int64] = []
        for start in parents.keys.sorted() where !visited.contains(start) {
            var way: [Int64] = []
            var next: Int64? = start
            while let ino = next, visited.insert(ino).inserted {
                way.append(ino)
                next = parents[ino]
            }
            // Back on this way: a ring, from there on.
            guard let next, let position = way.firstIndex(of: next) else { continue }
            if let lowest = way[position...].min() { cuts.append(lowest) }
        }
        return cuts
    }

    /// The directory for what is found, made if the root has none.
    private func lostAndFound() throws(SQLiteError) -> Int64 {
        let name = Array(Self.lostAndFound.utf8)
        let there = try rows(
            """
            SELECT d.ino FROM dentry d JOIN inode i ON i.ino = d.ino
            WHERE d.parent = 1 AND d.name = ? AND i.kind = 2 AND i.nlink > 0
            """,
            .blob(name)
        ) { $0.integer(0) }
        if let ino = there.first { return ino }
        let ino = try newInode()
        try insertDirectory(ino, in: 1, mode: 0o700)
        try insertEntry(try freeName(name, in: 1), ino, in: 1)
        report.add(RepairAction("inode \(ino)", "\(Self.lostAndFound) is made"))
        return ino
    }

    private func insertEntry(_ name: [UInt8], _ ino: Int64, in parent: Int64) throws(SQLiteError) {
        try run(
            """
            INSERT INTO dentry(parent, name, ino, cookie)
            SELECT ?1, ?2, ?3, next_cookie FROM inode WHERE ino = ?1
            """,
            .integer(parent),
            .blob(name),
            .integer(ino)
        )
        try run(
            "UPDATE inode SET next_cookie = next_cookie + 1, entries = entries + 1 WHERE ino = ?",
            .integer(parent)
        )
    }

    // MARK: Counts

    /// Deals the cookies of directories anew in which one is out of range or another's too.
    ///
    /// A listing under way when the volume was last in use may skip or repeat entries; it has
    /// ended with that mount.
    func dealCookies() throws(SQLiteError) {
        try database.executeScript(
            """
            DROP TABLE IF EXISTS temp.repair_cookies;
            CREATE TEMP TABLE repair_cookies(ino INTEGER PRIMARY KEY);
            INSERT OR IGNORE INTO repair_cookies
            SELECT d.parent FROM dentry d JOIN inode p ON p.ino = d.parent
            WHERE typeof(d.cookie) <> 'integer' OR d.cookie < \(InodeRow.firstCookie)
            OR d.cookie >= p.next_cookie;
            INSERT OR IGNORE INTO repair_cookies
            SELECT parent FROM dentry WHERE typeof(parent) = 'integer'
            GROUP BY parent, cookie HAVING COUNT(*) > 1;
            """
        )
        try list("SELECT 'directory ' || ino, 'its cookies are dealt anew' FROM repair_cookies")
        try run(
            """
            UPDATE dentry SET cookie = r.place FROM (
                SELECT parent, name, \(InodeRow.firstCookie) - 1 + row_number() OVER (
                    PARTITION BY parent ORDER BY cookie, name
                ) AS place
                FROM dentry WHERE parent IN (SELECT ino FROM repair_cookies)
            ) r WHERE r.parent = dentry.parent AND r.name = dentry.name
            """
        )
        try run(
            """
            UPDATE inode SET next_cookie = \(InodeRow.firstCookie)
                + (SELECT COUNT(*) FROM dentry d WHERE d.parent = inode.ino)
            WHERE ino IN (SELECT ino FROM repair_cookies)
            """
        )
        try run("DROP TABLE temp.repair_cookies")
    }

    /// Counts names, subdirectories and entries anew.
    func countLinks() throws(SQLiteError) {
        try setParents()
        try database.executeScript(CheckScan.dropNamesTables)
        try database.executeScript(CheckScan.namesTables)
        let links = """
            CASE kind WHEN 2 THEN 2 + coalesce((
                SELECT CAST(e.subdirectories AS INTEGER) FROM check_directories e
                WHERE e.ino = inode.ino
            ), 0) ELSE (SELECT n.names FROM check_names n WHERE n.ino = inode.ino) END
            """
        let entries = """
            coalesce((SELECT e.entries FROM check_directories e WHERE e.ino = inode.ino), 0)
            """
        let isNamed = "(ino = 1 OR EXISTS(SELECT 1 FROM check_names n WHERE n.ino = inode.ino))"
        try list(
            """
            SELECT 'inode ' || ino, 'its link count ' || nlink || ' is ' || \(links) || ' now'
            FROM inode WHERE \(isNamed) AND nlink <> \(links)
            """
        )
        try run("UPDATE inode SET nlink = \(links) WHERE \(isNamed) AND nlink <> \(links)")
        try list(
            """
            SELECT 'inode ' || ino, 'its count of entries ' || entries || ' is ' || \(entries)
            || ' now' FROM inode WHERE kind = 2 AND entries <> \(entries)
            """
        )
        try run("UPDATE inode SET entries = \(entries) WHERE kind = 2 AND entries <> \(entries)")
        try database.executeScript(CheckScan.dropNamesTables)
        try listOrphans()
    }

    /// An orphan is what counts no names, and nothing else.
    func listOrphans() throws(SQLiteError) {
        let wrong = """
            FROM orphan WHERE NOT EXISTS(
                SELECT 1 FROM inode i WHERE i.ino = orphan.ino AND i.nlink = 0
            )
            """
        try list("SELECT 'inode ' || ino, 'is no orphan' \(wrong)")
        try run("DELETE \(wrong)")
        let missing = "FROM inode i WHERE i.nlink = 0 AND i.ino NOT IN (SELECT ino FROM orphan)"
        try list("SELECT 'inode ' || i.ino, 'is listed as an orphan' \(missing)")
        try run("INSERT INTO orphan(ino) SELECT i.ino \(missing)")
    }
}

extension Value {
    /// The value for people.
    fileprivate var text: String {
        switch self {
        case .null: "NULL"
        case .integer(let number): "\(number)"
        case .real(let number): "\(number)"
        case .text(let text): text
        case .blob(let bytes): Hex.encode(bytes)
        }
    }
}
