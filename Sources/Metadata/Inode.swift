import Primitives
import SQLite

/// What the table `inode` holds of one inode.
struct InodeRow: Sendable {
    var attributes: Attributes
    /// Of a directory the one that holds it (of the root itself); else 0.
    var parent: InodeNumber
    /// The cookie of the next entry made in this directory.
    var nextCookie: UInt64
    /// Entries of this directory.
    var entryCount: UInt64
    /// Bytes `listxattr(2)` answers: every name and a NUL.
    var xattrBytes: UInt64
    /// Blocks that are not holes.
    var blockCount: UInt64

    /// Cookies 1 and 2 are those of "." and "..", which are not entries here.
    static let firstCookie: UInt64 = 3

    /// The largest inode number, cookie or count: counting on from it never overflows.
    static let numberMax: UInt64 = 1 << 53

    /// `st_blocks`: never more than the size in 4 KiB pages, nor than the blocks that are there.
    mutating func refreshSpace() {
        guard attributes.kind == .regular else { return }
        let pages = (attributes.size + 4095) / 4096
        let unitsPerBlock = UInt64(Geometry.blockBytes / 512)
        attributes.blocks512 = min(pages * 8, blockCount * unitsPerBlock)
    }
}

/// An inode in memory.
///
/// The newest word on its row; unsaved if in the state's list of dirty inodes.
final class Inode {
    var row: InodeRow
    /// Whether the row differs from what was last handed to a commit.
    var isDirty = false
    /// Gone for good; only an operation that holds it still sees it.
    var isReaped = false
    /// Whether memory has every entry of this directory, so that a name it has not is absent.
    var isComplete = false
    /// A symbolic link's target, once read.
    var target: [UInt8]?
    /// The wrapped key of the file's content, once read; `.some(nil)` if it has none.
    var fileKey: [UInt8]??
    /// All extended attributes, once read.
    var xattrs: [[UInt8]: [UInt8]]?
    /// Blocks in memory, by `BlockChunk.number`.
    var chunks: [UInt64: BlockChunk] = [:]
    /// Blocks in `chunks`; if it equals `blockCount`, memory has them all.
    var blocksInMemory: UInt64 = 0

    init(_ row: InodeRow) {
        self.row = row
    }

    var ino: InodeNumber { row.attributes.ino }
    var kind: FileKind { row.attributes.kind }
    var isDirectory: Bool { row.attributes.kind == .directory }
    var hasAllBlocks: Bool { blocksInMemory == row.blockCount }
}

extension InodeRow {
    static let columns = """
        ino, kind, mode, uid, gid, nlink, size, rdev, atime, atime_ns, mtime, mtime_ns, ctime, \
        ctime_ns, parent, next_cookie, entries, xattr_bytes, blocks
        """
    static let insertion = """
        REPLACE INTO inode(\(columns)) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
        """

    /// Reads the columns from `first` on; `nil` if no program of ours wrote them.
    init?(_ statement: Statement, first: Int32 = 0) {
        func unsigned<T: FixedWidthInteger & UnsignedInteger>(_ column: Int32) -> T? {
            T(exactly: statement.integer(first + column))
        }
        func time(_ column: Int32) -> Timestamp? {
            guard let nanoseconds: UInt32 = unsigned(column + 1), nanoseconds < 1_000_000_000
            else { return nil }
            return Timestamp(
                seconds: statement.integer(first + column),
                nanoseconds: nanoseconds
            )
        }
        guard
            let ino: UInt64 = unsigned(0), ino >= 1, ino <= Self.numberMax,
            let kindNumber: UInt8 = unsigned(1),
            let kind = FileKind(rawValue: kindNumber),
            let mode: UInt16 = unsigned(2), mode <= 0o7777,
            let uid: UInt32 = unsigned(3), let gid: UInt32 = unsigned(4),
            let linkCount: UInt32 = unsigned(5),
            let size: UInt64 = unsigned(6), size <= Geometry.fileBytesMax,
            let accessed = time(8), let modified = time(10), let changed = time(12),
            let parent: UInt64 = unsigned(14),
            let nextCookie: UInt64 = unsigned(15), nextCookie <= Self.numberMax,
            let entryCount: UInt64 = unsigned(16), entryCount <= Self.numberMax,
            let xattrBytes: UInt64 = unsigned(17), xattrBytes <= Self.numberMax,
            let blockCount: UInt64 = unsigned(18), blockCount <= Geometry.fileBytesMax >> 20
        else { return nil }
        self.init(
            attributes: Attributes(
                ino: InodeNumber(ino),
                kind: kind,
                mode: mode,
                uid: uid,
                gid: gid,
                linkCount: linkCount,
                size: size,
                blocks512: 0,
                rdev: UInt64(bitPattern: statement.integer(first + 7)),
                accessed: accessed,
                modified: modified,
                changed: changed
            ),
            parent: InodeNumber(parent),
            nextCookie: nextCookie,
            entryCount: entryCount,
            xattrBytes: xattrBytes,
            blockCount: blockCount
        )
        refreshSpace()
    }

    /// Binds the columns from parameter 1 on.
    func bind(to statement: Statement) throws(SQLiteError) {
        try statement.bind(1, Int64(attributes.ino.rawValue))
        try statement.bind(2, Int64(attributes.kind.rawValue))
        try statement.bind(3, Int64(attributes.mode))
        try statement.bind(4, Int64(attributes.uid))
        try statement.bind(5, Int64(attributes.gid))
        try statement.bind(6, Int64(attributes.linkCount))
        try statement.bind(7, Int64(attributes.size))
        try statement.bind(8, Int64(bitPattern: attributes.rdev))
        var column: Int32 = 9
        for time in [attributes.accessed, attributes.modified, attributes.changed] {
            try statement.bind(column, time.seconds)
            try statement.bind(column + 1, Int64(time.nanoseconds))
            column += 2
        }
        try statement.bind(15, Int64(parent.rawValue))
        try statement.bind(16, Int64(nextCookie))
        try statement.bind(17, Int64(entryCount))
        try statement.bind(18, Int64(xattrBytes))
        try statement.bind(19, Int64(blockCount))
    }
}
