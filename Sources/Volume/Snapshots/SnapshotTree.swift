import Metadata
package import Primitives
import Cache
import Disk
import Sealing
import Synchronization

/// The tree of one snapshot, for reading: names from a copy of the metadata database, bytes from
/// the network.
///
/// Callable from any thread. Nothing of the live volume is changed, its cache neither. Blocks that
/// only the cache had when the head was made read as what was placed before, or as zeros.
package final class SnapshotTree: Sendable {
    /// Files whose reading is remembered.
    static let readingsMax = 256

    /// What is known of a file that is being read.
    struct Reading: Sendable {
        var fileKey: FileKey?
        /// Where a sequential reader goes on.
        var end: UInt64 = 0
        /// Blocks to ask for ahead of it; doubles while it goes on.
        var window = 0
        /// The first block that was not asked for ahead.
        var askedUntil: UInt64 = 0
    }

    package let snapshot: SnapshotInfo
    /// Holds the database alone; removed by who opened the tree.
    let directory: String
    let metadata: MetadataSnapshot
    let source: any SnapshotSource
    let fetcher: Fetcher
    var opened: OpenedBlocks { fetcher.opened }
    private let knownStatistics = Mutex<VolumeStatistics?>(nil)
    private let readings = Mutex(RecentlyUsed<InodeNumber, Reading>(limit: readingsMax))

    init(
        _ snapshot: SnapshotInfo,
        directory: String,
        metadata: MetadataSnapshot,
        source: any SnapshotSource,
        fetcher: Fetcher
    ) {
        self.snapshot = snapshot
        self.directory = directory
        self.metadata = metadata
        self.source = source
        self.fetcher = fetcher
    }

    // MARK: Names and attributes

    /// The inode that `name` leads to; `notFound` if there was none.
    package func lookup(
        _ name: EntryName,
        in parent: InodeNumber
    ) throws(FileSystemError) -> Attributes {
        try metadata.lookup(name, in: parent)
    }

    /// What `stat(2)` tells; `notFound` of an inode that had no name.
    package func attributes(of ino: InodeNumber) throws(FileSystemError) -> Attributes {
        try metadata.attributes(of: ino)
    }

    /// The directory that holds a directory; of the root itself.
    package func parent(of directory: InodeNumber) throws(FileSystemError) -> InodeNumber {
        try metadata.parent(of: directory)
    }

    /// Entries with cookies above `cookie`, in order; cookies are those of the live volume then.
    package func readDirectory(
        _ directory: InodeNumber,
        after cookie: UInt64,
        limit: Int
    ) throws(FileSystemError) -> [DirectoryEntry] {
        try metadata.entries(of: directory, after: cookie, limit: limit)
    }

    /// Target of a symbolic link.
    package func readLink(_ ino: InodeNumber) throws(FileSystemError) -> [UInt8] {
        try metadata.target(of: ino)
    }

    /// One extended attribute or access list; `noAttribute` if the inode has none of that name.
    package func extendedAttribute(
        _ name: [UInt8],
        of ino: InodeNumber
    ) throws(FileSystemError) -> [UInt8] {
        guard let value = try metadata.extendedAttributes(of: ino)[name] else {
            throw FileSystemError(.noAttribute, "inode \(ino.rawValue) has no such attribute")
        }
        return value
    }

    /// Names of all extended attributes, in order of bytes.
    package func extendedAttributes(
        of ino: InodeNumber
    ) throws(FileSystemError) -> [[UInt8]] {
        try metadata.extendedAttributes(of: ino).keys.sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// What `statfs(2)` tells: as large as its files, and full.
    package func statistics() throws(FileSystemError) -> VolumeStatistics {
        if let known = knownStatistics.withLock({ $0 }) { return known }
        let totals = try metadata.totals()
        let statistics = VolumeStatistics(
            totalBytes: totals.fileBytes,
            freeBytes: 0,
            fileCount: totals.inodes
        )
        knownStatistics.withLock { $0 = statistics }
        return statistics
    }

    // MARK: Holes

    /// The next data or hole at or after `offset`, in whole blocks; the end of the file is a
    /// hole.
    package func seek(
        _ ino: InodeNumber,
        from offset: UInt64,
        to target: SeekTarget
    ) throws(FileSystemError) -> UInt64 {
        let size = try metadata.attributes(of: ino).size
        guard offset < size else {
            throw FileSystemError(.beyondEnd, "offset \(offset) is at or past the end")
        }
        var index = BlockIndex(containing: offset)
        switch target {
        case .data:
            guard let next = try metadata.nextBlock(of: ino, from: index), next.offset < size
            else { throw FileSystemError(.beyondEnd, "no data after offset \(offset)") }
            return max(offset, next.offset)
        case .hole:
            while index.offset < size, try metadata.nextBlock(of: ino, from: index) == index {
                index = BlockIndex(index.rawValue + 1)
            }
            return min(size, max(offset, index.offset))
        }
    }

    // MARK: Parts

    /// What is known of the reading of a file.
    func reading(of ino: InodeNumber) -> Reading {
        readings.withLock { $0.value(of: ino) } ?? Reading()
    }

    /// Changes what is known of the reading of a file.
    func changeReading<Result>(
        of ino: InodeNumber,
        _ body: (inout Reading) -> Result
    ) -> Result {
        readings.withLock { readings in
            var reading = readings.remove(ino) ?? Reading()
            defer { _ = readings.insert(reading, for: ino) }
            return body(&reading)
        }
    }

    /// The key of a file's content, opened at its first use.
    func fileKey(of ino: InodeNumber) throws(FileSystemError) -> FileKey {
        if let key = reading(of: ino).fileKey { return key }
        guard let wrapped = try metadata.fileKey(of: ino) else {
            throw FileSystemError(.corrupt, "inode \(ino.rawValue) has no file key")
        }
        let key: FileKey
        do throws(SealingError) {
            key = try fetcher.key.unwrap(wrapped, for: ino)
        } catch {
            throw FileSystemError(
                .corrupt,
                "the key of inode \(ino.rawValue) cannot be opened: \(error)"
            )
        }
        changeReading(of: ino) { $0.fileKey = key }
        return key
    }
}
