package import Primitives
import SQLite

// What hangs on an inode: targets, extended attributes, keys, and rows of nobody.
extension MetadataRepair {
    private typealias Bound = CheckScan.Bound

    /// A link whose target is lost cannot be followed, nor read: nothing of it is left to keep.
    func repairTargets() throws(SQLiteError) {
        let nobody = """
            FROM symlink WHERE NOT EXISTS(
                SELECT 1 FROM inode i WHERE i.ino = symlink.ino AND i.kind = 3
            )
            """
        try list("SELECT 'inode ' || ino, 'its target is removed: it is no link' \(nobody)")
        try run("DELETE \(nobody)")
        try run("UPDATE symlink SET target = CAST(target AS BLOB) WHERE typeof(target) = 'text'")
        try run(
            """
            DELETE FROM symlink WHERE typeof(target) <> 'blob'
            OR length(target) NOT BETWEEN 1 AND \(MetadataState.targetBytesMax)
            OR instr(target, x'00') > 0
            """
        )
        let wrong = "(SELECT length(s.target) FROM symlink s WHERE s.ino = inode.ino)"
        try list(
            """
            SELECT 'inode ' || ino, 'its size ' || size || ' is ' || \(wrong) || ' now'
            FROM inode WHERE kind = 3 AND size <> \(wrong)
            """
        )
        try run("UPDATE inode SET size = \(wrong) WHERE kind = 3 AND size <> \(wrong)")
        let blind = """
            FROM inode WHERE kind = 3 AND NOT EXISTS(
                SELECT 1 FROM symlink s WHERE s.ino = inode.ino
            )
            """
        try list(
            "SELECT 'inode ' || ino, 'its target is lost: removed with its names' \(blind)",
            isLoss: true
        )
        for table in ["dentry", "orphan", "xattr"] {
            try run("DELETE FROM \(table) WHERE ino IN (SELECT ino \(blind))")
        }
        try run("DELETE \(blind)")
        try countLinks()
    }

    func repairAttributes() throws(SQLiteError) {
        let nobody = "FROM xattr WHERE NOT EXISTS(SELECT 1 FROM inode i WHERE i.ino = xattr.ino)"
        try list(
            "SELECT DISTINCT 'inode ' || ino, 'attributes of nobody are removed' \(nobody)"
        )
        try run("DELETE \(nobody)")
        try list(
            """
            SELECT DISTINCT 'inode ' || ino, 'text among its attributes is taken for bytes'
            FROM xattr WHERE typeof(name) = 'text' OR typeof(value) = 'text'
            """
        )
        try run("UPDATE xattr SET value = CAST(value AS BLOB) WHERE typeof(value) = 'text'")
        try run("UPDATE OR IGNORE xattr SET name = CAST(name AS BLOB) WHERE typeof(name) = 'text'")
        let bad = """
            FROM xattr WHERE typeof(name) <> 'blob' OR typeof(value) <> 'blob'
            OR length(name) NOT BETWEEN 1 AND \(MetadataState.xattrNameBytesMax)
            OR instr(name, x'00') > 0 OR length(value) > \(MetadataState.xattrValueBytesMax)
            """
        try list(
            "SELECT 'inode ' || ino, 'attribute ' || quote(substr(name, 1, 64)) || ' is removed' "
                + bad,
            isLoss: true
        )
        try run("DELETE \(bad)")
        let bytes = """
            coalesce((SELECT SUM(length(x.name) + 1) FROM xattr x WHERE x.ino = inode.ino), 0)
            """
        try list(
            """
            SELECT 'inode ' || ino, 'the bytes of its attributes'' names, ' || xattr_bytes
            || ', are ' || \(bytes) || ' now' FROM inode WHERE xattr_bytes <> \(bytes)
            """
        )
        try run("UPDATE inode SET xattr_bytes = \(bytes) WHERE xattr_bytes <> \(bytes)")
    }

    /// Removes keys that are none, and notes the blocks that no key opens any more as lost.
    func repairKeys() throws(SQLiteError) {
        let nobody = """
            FROM file_key WHERE NOT EXISTS(
                SELECT 1 FROM inode i WHERE i.ino = file_key.ino AND i.kind = 1
            )
            """
        try list("SELECT 'inode ' || ino, 'its key is removed: it is no file' \(nobody)")
        try run("DELETE \(nobody)")
        try run(
            """
            DELETE FROM file_key WHERE typeof(wrapped) <> 'blob'
            OR length(wrapped) NOT BETWEEN 1 AND 255
            """
        )
        let files = try rows(
            """
            SELECT DISTINCT b.ino FROM block b WHERE b.stripe <> \(Bound.lost)
            AND NOT EXISTS(SELECT 1 FROM file_key k WHERE k.ino = b.ino)
            AND EXISTS(SELECT 1 FROM inode i WHERE i.ino = b.ino AND i.kind = 1)
            """
        ) { UInt64(exactly: $0.integer(0)).map { InodeNumber($0) } }
        for ino in files { try loseBlocks(of: ino, because: "the key to it is lost") }
    }

    /// The key of a file that the volume's key does not open: what it opened is lost.
    package func loseKey(of ino: InodeNumber) throws(FileSystemError) {
        try converting { () throws(SQLiteError) in
            try run("DELETE FROM file_key WHERE ino = ?", .integer(Int64(clamping: ino.rawValue)))
            try loseBlocks(of: ino, because: "the key to it is lost")
        }
    }

    private func loseBlocks(of ino: InodeNumber, because reason: String) throws(SQLiteError) {
        let keys = try rows(
            "SELECT ino, idx FROM block WHERE ino = ? AND stripe <> \(Bound.lost)",
            .integer(Int64(clamping: ino.rawValue))
        ) { Self.key($0) }
        for key in keys { try lose(key, because: reason) }
    }

    func removeRowsOfNobody() throws(SQLiteError) {
        for table in ["block", "residency"] {
            let nobody = """
                FROM \(table) WHERE NOT EXISTS(
                    SELECT 1 FROM inode i WHERE i.ino = \(table).ino AND i.kind = 1
                )
                """
            try list(
                """
                SELECT 'inode ' || ino, COUNT(*) || ' rows of \(table) are removed: it is no file'
                \(nobody) GROUP BY ino
                """
            )
            try run("DELETE \(nobody)")
        }
    }
}
