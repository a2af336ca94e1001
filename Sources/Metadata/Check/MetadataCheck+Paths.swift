package import Primitives
import SQLite

// Names for people of what findings speak of by number.
extension MetadataCheck {
    /// Directories climbed from one inode at most: more are a ring.
    private static let climbsMax = 4096

    /// A path from the volume's root, with a slash before it, of each inode that has one.
    ///
    /// One scan of all names, however many inodes; of several names of a file the first found.
    package func paths(
        of inodes: some Collection<InodeNumber>
    ) throws(FileSystemError) -> [InodeNumber: String] {
        guard !inodes.isEmpty else { return [:] }
        return try converting { () throws(SQLiteError) in
            try database.executeScript(
                "CREATE TEMP TABLE IF NOT EXISTS check_wanted(ino INTEGER PRIMARY KEY);"
                    + "DELETE FROM check_wanted;"
            )
            let want = try database.prepare("INSERT OR IGNORE INTO check_wanted VALUES(?)")
            for ino in inodes { try want.run(.integer(Int64(clamping: ino.rawValue))) }
            let entries = try database.query(
                "SELECT d.ino, d.parent, d.name FROM dentry d "
                    + "WHERE d.ino IN (SELECT ino FROM check_wanted)"
            ) { ($0.integer(0), $0.integer(1), $0.blob(2)) }
            var found: [InodeNumber: String] = [:]
            for (ino, parent, name) in entries {
                guard let number = UInt64(exactly: ino), found[InodeNumber(number)] == nil,
                    let directory = try path(ofDirectory: parent)
                else { continue }
                let name = String(decoding: name, as: UTF8.self)
                found[InodeNumber(number)] = CheckText.printable("\(directory)/\(name)")
            }
            if inodes.contains(.root) { found[.root] = "/" }
            return found
        }
    }

    /// The path of a directory, empty of the root; `nil` if no way leads to it.
    private func path(ofDirectory ino: Int64) throws(SQLiteError) -> String? {
        var names: [String] = []
        var directory = ino
        while directory != 1 {
            guard names.count < Self.climbsMax,
                case .integer(let parent)? = try database.value(
                    "SELECT parent FROM inode WHERE ino = ? AND kind = 2",
                    .integer(directory)
                ),
                case .blob(let name)? = try database.value(
                    "SELECT name FROM dentry WHERE parent = ? AND ino = ?",
                    .integer(parent),
                    .integer(directory)
                )
            else { return nil }
            names.append(String(decoding: name, as: UTF8.self))
            directory = parent
        }
        return names.reversed().map { "/" + $0 }.joined()
    }

    /// Whether a check has asked the next mount to rebuild a shard.
    package func isDoubted(_ index: Int, of stripe: StripeID) throws(FileSystemError) -> Bool {
        let key = "\(MetaKey.doubtPrefix)\(stripe.hex)_\(index)"
        return try converting { () throws(SQLiteError) in
            try database.value("SELECT value FROM meta WHERE key = ?", .text(key)) == 1
        }
    }

    /// Files with lost blocks in order of inode, at most `limit`.
    package func lostFiles(limit: Int) throws(FileSystemError) -> [InodeNumber] {
        try converting { () throws(SQLiteError) in
            try database.query(
                "SELECT DISTINCT ino FROM block WHERE stripe = ? ORDER BY ino LIMIT ?",
                .blob(StripeID.lost.bytes),
                .integer(Int64(limit))
            ) { InodeNumber(UInt64(clamping: $0.integer(0))) }
        }
    }
}

extension CheckFinding {
    /// The inode that it is about, if its subject names one.
    package var ino: InodeNumber? { CheckText.inode(in: subject) }
}

extension RepairAction {
    /// The inode that it is about, if its subject names one.
    package var ino: InodeNumber? { CheckText.inode(in: subject) }
}

extension CheckText {
    /// The inode that a subject ends with: "inode 17", "block 3 of inode 17", "… directory 2".
    static func inode(in subject: String) -> InodeNumber? {
        let words = subject.split(separator: " ")
        guard words.count >= 2, ["inode", "directory"].contains(words[words.count - 2]),
            let number = UInt64(words[words.count - 1])
        else { return nil }
        return InodeNumber(number)
    }
}
