import Primitives
import SQLite

/// The tables of a volume's metadata database; `docs/metadata.md` tells what the columns mean.
enum Schema {
    /// `PRAGMA application_id`: "MEFS".
    static let applicationID: Int64 = 0x4d45_4653
    /// `PRAGMA user_version`.
    ///
    /// A change of the text below is a new version.
    static let version: Int64 = 3

    static let text = """
        CREATE TABLE meta(
            key TEXT PRIMARY KEY,
            value
        ) WITHOUT ROWID;
        CREATE TABLE inode(
            ino INTEGER PRIMARY KEY,
            kind INTEGER NOT NULL,
            mode INTEGER NOT NULL,
            uid INTEGER NOT NULL,
            gid INTEGER NOT NULL,
            nlink INTEGER NOT NULL,
            size INTEGER NOT NULL,
            rdev INTEGER NOT NULL,
            atime INTEGER NOT NULL,
            atime_ns INTEGER NOT NULL,
            mtime INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            ctime INTEGER NOT NULL,
            ctime_ns INTEGER NOT NULL,
            parent INTEGER NOT NULL,
            next_cookie INTEGER NOT NULL,
            entries INTEGER NOT NULL,
            xattr_bytes INTEGER NOT NULL,
            blocks INTEGER NOT NULL
        );
        CREATE TABLE dentry(
            parent INTEGER NOT NULL,
            name BLOB NOT NULL,
            ino INTEGER NOT NULL,
            cookie INTEGER NOT NULL,
            PRIMARY KEY(parent, name)
        ) WITHOUT ROWID;
        CREATE INDEX dentry_cookie ON dentry(parent, cookie, ino);
        CREATE TABLE orphan(
            ino INTEGER PRIMARY KEY
        );
        CREATE TABLE symlink(
            ino INTEGER PRIMARY KEY,
            target BLOB NOT NULL
        );
        CREATE TABLE file_key(
            ino INTEGER PRIMARY KEY,
            wrapped BLOB NOT NULL
        );
        CREATE TABLE xattr(
            ino INTEGER NOT NULL,
            name BLOB NOT NULL,
            value BLOB NOT NULL,
            PRIMARY KEY(ino, name)
        ) WITHOUT ROWID;
        CREATE TABLE block(
            ino INTEGER NOT NULL,
            idx INTEGER NOT NULL,
            stripe BLOB NOT NULL,
            offset INTEGER NOT NULL,
            plain INTEGER NOT NULL,
            valid INTEGER NOT NULL,
            segments BLOB NOT NULL,
            checksum INTEGER,
            PRIMARY KEY(ino, idx)
        ) WITHOUT ROWID;
        CREATE INDEX block_stripe ON block(stripe);
        CREATE TABLE residency(
            ino INTEGER NOT NULL,
            idx INTEGER NOT NULL,
            mask INTEGER NOT NULL,
            held INTEGER NOT NULL,
            dirty_since INTEGER,
            PRIMARY KEY(ino, idx)
        ) WITHOUT ROWID;
        CREATE TABLE passthrough(
            ino INTEGER PRIMARY KEY,
            synced INTEGER NOT NULL,
            modified INTEGER NOT NULL
        );
        CREATE TABLE stripe(
            id BLOB PRIMARY KEY,
            k INTEGER NOT NULL,
            m INTEGER NOT NULL,
            payload_bytes INTEGER NOT NULL,
            shard_bytes INTEGER NOT NULL,
            state INTEGER NOT NULL,
            live_blocks INTEGER NOT NULL,
            live_bytes INTEGER NOT NULL,
            born INTEGER NOT NULL DEFAULT 0,
            died INTEGER
        ) WITHOUT ROWID;
        CREATE INDEX stripe_released ON stripe(died) WHERE died IS NOT NULL;
        CREATE INDEX stripe_unplaced ON stripe(state) WHERE state <> 2;
        CREATE TABLE shard(
            stripe BLOB NOT NULL,
            idx INTEGER NOT NULL,
            shard BLOB NOT NULL,
            provider BLOB NOT NULL,
            root BLOB NOT NULL,
            PRIMARY KEY(stripe, idx)
        ) WITHOUT ROWID;
        \(checkpointTables)

        """

    /// What tells of checkpoints and kept heads.
    private static let checkpointTables = """
        CREATE TABLE snapshot(
            version INTEGER PRIMARY KEY,
            seconds INTEGER NOT NULL,
            name TEXT NOT NULL,
            locked_until INTEGER,
            contents BLOB NOT NULL
        );
        CREATE TABLE journal(
            seq INTEGER PRIMARY KEY,
            records BLOB NOT NULL
        );
        CREATE TABLE checkpoint(
            piece INTEGER NOT NULL,
            part INTEGER NOT NULL,
            last INTEGER NOT NULL,
            stripe BLOB NOT NULL,
            offset INTEGER NOT NULL,
            plain INTEGER NOT NULL,
            valid INTEGER NOT NULL,
            segments BLOB NOT NULL,
            checksum INTEGER,
            PRIMARY KEY(piece, part)
        ) WITHOUT ROWID;
        """

    /// What makes a database of the version before one of this version.
    static let upgrades: [Int64: String] = [
        1: """
        ALTER TABLE block ADD COLUMN checksum INTEGER;
        CREATE TABLE passthrough(
            ino INTEGER PRIMARY KEY,
            synced INTEGER NOT NULL,
            modified INTEGER NOT NULL
        );

        """,
        2: """
        ALTER TABLE stripe ADD COLUMN born INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE stripe ADD COLUMN died INTEGER;
        CREATE INDEX stripe_released ON stripe(died) WHERE died IS NOT NULL;
        \(checkpointTables)

        """,
    ]
}

/// Keys of the table `meta`.
enum MetaKey {
    /// The smallest inode number never handed out.
    static let nextInode = "next_inode"
    /// 1 between `close` and the next opening, else 0.
    static let clean = "clean"
    /// The number that the next head of the volume gets; absent or 0 while none are made.
    static let openVersion = "open_version"
    /// The newest head that more than half of the keepers have, or that the database was made of.
    static let registeredVersion = "registered_version"
    /// The head that the database was made of, which fewer keepers may have; absent of others.
    static let adoptedVersion = "adopted_version"
    /// The head last made, as it is sent to keepers: bytes.
    static let head = "head"
    /// How many blocks were not placed when that head was made.
    static let headBehind = "head_behind"
    /// The last row of the journal that a head contains.
    static let cutSequence = "cut_seq"

    /// 1 if rows were changed past the journal, as by a repair: the next head needs a new base.
    static let needsBase = "needs_base"

    /// Those that go with the volume, as a term of SQL.
    static let travelling = "(key IN ('next_inode', 'snapshot_policy') OR key GLOB 'repairs_*')"
    /// Which heads are kept: text.
    static let snapshotPolicy = "snapshot_policy"

    /// Boot id of the host when nothing of a crash was left to make good.
    static let bootID = "boot_id"

    /// How often `mefs fsck` has repaired the database: what was copied of it before another count
    /// is behind.
    static let fsckCount = "fsck_count"
    /// Before a stripe's id: 1 if its blocks are to be placed anew, since it bears fewer losses
    /// than it should.
    static let rewritePrefix = "rewrite_"
    /// Before a stripe's id, `_` and a shard's index: 1 if the shard is to be looked at.
    static let doubtPrefix = "doubt_"

    /// The number of the last repair of a keeper's that was taken over.
    static func repairs(of keeper: NodeID) -> String { "repairs_\(keeper.hex)" }
}
