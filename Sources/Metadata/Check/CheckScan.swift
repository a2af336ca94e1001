import Primitives

/// One query that finds what is wrong in some rows.
///
/// Each row it gives is a subject, and a kind and a message with a colon between. The first thing
/// wrong with a row is told, and nothing more of it.
struct CheckScan: Sendable {
    let sql: String

    init(_ sql: String) { self.sql = sql }

    /// Numbers that the queries share.
    enum Bound {
        static let number = InodeRow.numberMax
        static let blockIndexEnd = MetadataReader.blockIndexEnd
        static let block = Geometry.blockBytes
        static let segment = Geometry.segmentBytes
        static let id = StripeID.byteCount
        /// The id of the stripe of lost blocks, as SQL writes it.
        static let lost = "x'\(StripeID.lost.hex)'"
    }

    /// Makes the tables that the scans of names need, of sums over entries and directories.
    ///
    /// They live in SQLite's temporary database: small ones in memory, large ones in a file.
    static let namesTables = """
        CREATE TEMP TABLE check_names(ino INTEGER PRIMARY KEY, names, parent);
        INSERT INTO check_names
        SELECT ino, COUNT(*), MIN(parent) FROM dentry WHERE typeof(ino) = 'integer' GROUP BY ino;
        CREATE TEMP TABLE check_directories(ino INTEGER PRIMARY KEY, entries, subdirectories);
        INSERT INTO check_directories
        SELECT d.parent, COUNT(*), TOTAL(c.kind = 2)
        FROM dentry d LEFT JOIN inode c ON c.ino = d.ino
        WHERE typeof(d.parent) = 'integer' GROUP BY d.parent;
        CREATE TEMP TABLE check_tree(parent, ino, PRIMARY KEY(parent, ino)) WITHOUT ROWID;
        INSERT INTO check_tree
        SELECT parent, ino FROM inode WHERE kind = 2 AND nlink > 0 AND ino <> 1
        ORDER BY parent, ino;
        CREATE TEMP TABLE check_reached(ino INTEGER PRIMARY KEY);
        INSERT INTO check_reached
        WITH RECURSIVE reached(ino) AS (
            SELECT 1
            UNION ALL
            SELECT c.ino FROM reached JOIN check_tree c ON c.parent = reached.ino
        )
        SELECT ino FROM reached;
        """

    static let dropNamesTables = """
        DROP TABLE IF EXISTS temp.check_names;
        DROP TABLE IF EXISTS temp.check_directories;
        DROP TABLE IF EXISTS temp.check_tree;
        DROP TABLE IF EXISTS temp.check_reached;
        """
}
