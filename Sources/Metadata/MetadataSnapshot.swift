import Disk
package import Primitives
import SQLite
import Synchronization

/// A metadata database as it was at one moment, for reading alone: a copy that nobody changes.
///
/// Callable from any thread; one connection under a lock answers. What the copy says of the cache
/// (residency) is that of another time and is not looked at. Rows that no version of this program
/// writes throw `corrupt`, as everywhere.
package final class MetadataSnapshot: Sendable {
    package let path: String
    private let reader: Mutex<MetadataReader>

    /// Opens the copy at `path`, which must be ours alone: its log, if it has one, is moved into
    /// it, and a copy of an older version is brought to this one.
    ///
    /// - Throws: `notFound` if there is none, `invalid` if it is of another program or version,
    ///   `corrupt`.
    package init(opening path: String) throws(FileSystemError) {
        self.path = path
        guard WholeFile.exists(path) else {
            throw FileSystemError(.notFound, "there is no metadata database at \(path)")
        }
        reader = Mutex(try Self.reader(path))
    }

    private static func reader(_ path: String) throws(FileSystemError) -> MetadataReader {
        let (database, application, version) = try converting { () throws(SQLiteError) in
            let database = try Database(path: path, access: .readWrite)
            return (
                database, try database.integer("PRAGMA application_id"),
                try database.integer("PRAGMA user_version")
            )
        }
        try MetadataCore.check(path, application: application, version: version)
        return try converting { () throws(SQLiteError) in
            try MetadataCore.upgrade(database, from: version)
            // Without a log, and with a lock that is kept, a look costs no system calls but reads,
            // and the file may be removed while it is open.
            for pragma in ["journal_mode=DELETE", "locking_mode=EXCLUSIVE", "query_only=ON"] {
                _ = try database.query("PRAGMA \(pragma)") { $0.value(0) }
            }
            return try MetadataReader(database)
        }
    }

    // MARK: Names

    /// The inode that `name` leads to; `notFound` if there is none.
    package func lookup(
        _ name: EntryName,
        in parent: InodeNumber
    ) throws(FileSystemError) -> Attributes {
        try read { reader throws(FileSystemError) in
            try Self.checkDirectory(parent, reader)
            guard let child = try reader.entry(EntryKey(parent: parent, name: name)) else {
                throw FileSystemError(.notFound, "no \"\(name)\" in directory \(parent.rawValue)")
            }
            return try Self.row(child.ino, reader).attributes
        }
    }

    /// What `stat(2)` tells; `notFound` also of what had no name any more.
    package func attributes(of ino: InodeNumber) throws(FileSystemError) -> Attributes {
        try read { reader throws(FileSystemError) in try Self.row(ino, reader).attributes }
    }

    /// The directory that holds a directory; of the root itself.
    package func parent(of directory: InodeNumber) throws(FileSystemError) -> InodeNumber {
        try read { reader throws(FileSystemError) in try Self.row(directory, reader).parent }
    }

    /// At most `limit` entries with cookies above `cookie`, in order of cookie.
    package func entries(
        of directory: InodeNumber,
        after cookie: UInt64,
        limit: Int
    ) throws(FileSystemError) -> [DirectoryEntry] {
        let found = try read { reader throws(FileSystemError) in
            try Self.checkDirectory(directory, reader)
            return try reader.entries(of: directory, after: cookie, limit: limit)
        }
        var entries: [DirectoryEntry] = []
        // The lock is let go of between them: others may be asking for one name each.
        for entry in found {
            entries.append(
                DirectoryEntry(
                    name: entry.name,
                    cookie: entry.child.cookie,
                    attributes: try attributes(of: entry.child.ino)
                )
            )
        }
        return entries
    }

    /// Target of a symbolic link; `invalid` of anything else.
    package func target(of ino: InodeNumber) throws(FileSystemError) -> [UInt8] {
        try read { reader throws(FileSystemError) in
            guard let target = try reader.target(of: ino) else {
                throw FileSystemError(.invalid, "inode \(ino.rawValue) is no symbolic link")
            }
            return target
        }
    }

    /// All extended attributes by name, access lists among them.
    package func extendedAttributes(
        of ino: InodeNumber
    ) throws(FileSystemError) -> [[UInt8]: [UInt8]] {
        try read { reader throws(FileSystemError) in
            let row = try Self.row(ino, reader)
            return row.xattrBytes == 0 ? [:] : try reader.xattrs(of: ino)
        }
    }

    // MARK: Content

    /// The wrapped key of a file's content; `nil` if it has none.
    package func fileKey(of ino: InodeNumber) throws(FileSystemError) -> [UInt8]? {
        let found = try read { reader throws(FileSystemError) -> [[UInt8]] in
            try reader.fileKey(of: ino).map { [$0] } ?? []
        }
        return found.first
    }

    /// Where the blocks of `range` are placed; the others are holes, or were nowhere but in the
    /// cache.
    package func locations(
        of ino: InodeNumber,
        in range: ClosedRange<BlockIndex>
    ) throws(FileSystemError) -> [BlockIndex: BlockLocation] {
        let end = min(range.upperBound.rawValue, MetadataReader.blockIndexEnd - 1) + 1
        guard range.lowerBound.rawValue < end else { return [:] }
        return try read { reader throws(FileSystemError) in
            let found = try reader.locations(of: ino, in: range.lowerBound.rawValue..<end)
            return Dictionary(found.map { ($0.index, $0.location) }) { first, _ in first }
        }
    }

    /// The first placed block at or after `index`; `nil` if there is none.
    package func nextBlock(
        of ino: InodeNumber,
        from index: BlockIndex
    ) throws(FileSystemError) -> BlockIndex? {
        try read { reader throws(FileSystemError) in
            try reader.nextBlock(of: ino, from: index.rawValue, placedOnly: true)
        }.map { BlockIndex($0) }
    }

    /// A stripe as it was placed at that moment; `notFound` if it is not known.
    package func stripe(_ id: StripeID) throws(FileSystemError) -> StripeRecord {
        try read { reader throws(FileSystemError) in
            guard let row = try reader.stripe(id) else {
                throw FileSystemError(.notFound, "stripe \(id.short) is not known")
            }
            return StripeRecord(
                id: id,
                code: row.code,
                payloadBytes: row.payloadBytes,
                shardBytes: row.shardBytes,
                shards: try reader.shards(of: id)
            )
        }
    }

    /// The heads that were kept then, oldest first.
    package func snapshots() throws(FileSystemError) -> [SnapshotRow] {
        try read { reader throws(FileSystemError) in try reader.snapshots() }
    }

    /// Inodes, and bytes of the regular files among them; O(inodes).
    package func totals() throws(FileSystemError) -> (inodes: UInt64, fileBytes: UInt64) {
        try read { reader throws(FileSystemError) in
            (
                try reader.number("SELECT COUNT(*) FROM inode"),
                try reader.number("SELECT TOTAL(size) FROM inode WHERE kind = 1")
            )
        }
    }

    // MARK: Parts

    func read<T: Sendable>(
        _ body: (MetadataReader) throws(FileSystemError) -> T
    ) throws(FileSystemError) -> T {
        try reader.withLock { reader throws(FileSystemError) in try body(reader) }
    }

    private static func row(
        _ ino: InodeNumber,
        _ reader: MetadataReader
    ) throws(FileSystemError) -> InodeRow {
        guard let row = try reader.inode(ino), row.attributes.linkCount > 0 else {
            throw FileSystemError(.notFound, "there was no inode \(ino.rawValue)")
        }
        return row
    }

    private static func checkDirectory(
        _ ino: InodeNumber,
        _ reader: MetadataReader
    ) throws(FileSystemError) {
        guard try row(ino, reader).attributes.kind == .directory else {
            throw FileSystemError(.notDirectory, "inode \(ino.rawValue) is no directory")
        }
    }
}
