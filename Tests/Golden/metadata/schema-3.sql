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
CREATE TABLE dentry(
    parent INTEGER NOT NULL,
    name BLOB NOT NULL,
    ino INTEGER NOT NULL,
    cookie INTEGER NOT NULL,
    PRIMARY KEY(parent, name)
) WITHOUT ROWID;
CREATE INDEX dentry_cookie ON dentry(parent, cookie, ino);
CREATE TABLE file_key(
    ino INTEGER PRIMARY KEY,
    wrapped BLOB NOT NULL
);
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
CREATE TABLE journal(
    seq INTEGER PRIMARY KEY,
    records BLOB NOT NULL
);
CREATE TABLE meta(
    key TEXT PRIMARY KEY,
    value
) WITHOUT ROWID;
CREATE TABLE orphan(
    ino INTEGER PRIMARY KEY
);
CREATE TABLE passthrough(
    ino INTEGER PRIMARY KEY,
    synced INTEGER NOT NULL,
    modified INTEGER NOT NULL
);
CREATE TABLE residency(
    ino INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    mask INTEGER NOT NULL,
    held INTEGER NOT NULL,
    dirty_since INTEGER,
    PRIMARY KEY(ino, idx)
) WITHOUT ROWID;
CREATE TABLE shard(
    stripe BLOB NOT NULL,
    idx INTEGER NOT NULL,
    shard BLOB NOT NULL,
    provider BLOB NOT NULL,
    root BLOB NOT NULL,
    PRIMARY KEY(stripe, idx)
) WITHOUT ROWID;
CREATE TABLE snapshot(
    version INTEGER PRIMARY KEY,
    seconds INTEGER NOT NULL,
    name TEXT NOT NULL,
    locked_until INTEGER,
    contents BLOB NOT NULL
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
CREATE TABLE symlink(
    ino INTEGER PRIMARY KEY,
    target BLOB NOT NULL
);
CREATE TABLE xattr(
    ino INTEGER NOT NULL,
    name BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY(ino, name)
) WITHOUT ROWID;
