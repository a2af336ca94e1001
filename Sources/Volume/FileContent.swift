import Disk
import Metadata
import Primitives
import Sealing
import Synchronization

/// What is known of one file's bytes: where each block is placed, cached and changed.
///
/// Invariants, which hold whenever the lock is free:
/// - a dirty block is wholly resident;
/// - a block without location and not dirty is a hole, and its cache range reads as zeros;
/// - the cache file is zero beyond a block's `validBytes` and beyond the file's size;
/// - `dirtySince` of a block, as stored in the metadata, is the token by which an upload clears
///   it: whoever changes a block whose snapshot was taken stores a later one first.
struct FileContentState: Sendable {
    /// One block that is not a hole.
    struct Block: Sendable {
        var location: BlockLocation?
        var resident: SegmentMask
        /// The dirty token; `nil` when clean.
        var dirtySince: Timestamp?
        /// Whether the cache holds all of this dirty block durably, apart from writes since; noted
        /// in the metadata as full residency.
        var isSynced = false
        /// Which `version` of it a sync has made durable, if `isSynced`.
        var syncedVersion: UInt64 = 0
        /// Whether an upload took a snapshot under the present token.
        var snapshotTaken = false
        /// XXH3-64 of that snapshot.
        var snapshotChecksum: UInt64?
        /// Counts changes, to tell a snapshot from what the block became.
        var version: UInt64 = 0

        /// A block of which nothing is known yet.
        static let hole = Block(location: nil, resident: [], dirtySince: nil)

        /// The segments that a read of anything in this block may need.
        var placedSegments: SegmentMask {
            guard let location else { return [] }
            return SegmentMask(covering: 0..<Int(location.validBytes))
        }

        /// Whether it is placed and the cache holds all of it.
        var isHeld: Bool { location != nil && placedSegments.subtracting(resident).isEmpty }

        /// What must be fetched before `wanted` can be read from the cache.
        func missing(_ wanted: SegmentMask) -> SegmentMask {
            dirtySince == nil ? wanted.intersection(placedSegments).subtracting(resident) : []
        }
    }

    var blocks: [UInt64: Block] = [:]
    var isLoaded = false
    /// Since when a change waits for a sync, by the monotonic clock; `nil` if none does.
    var unsyncedSince: Duration?
    var fileKey: FileKey?
    /// Whether an `fsync` acknowledged bytes that only this cache holds.
    ///
    /// What destroys cached bytes must then be durable in the metadata first.
    var holdsAcknowledged = false
    /// Openings whose reads and writes are requests, where the kernel could do them itself.
    var requestHandles = 0
    /// How it is open while the kernel reads or writes its cache file by itself.
    var passage: Passage?
    /// Whether a power cut may bring the note back that its cache file tells all, which ended.
    ///
    /// What destroys cached bytes must sync the metadata first.
    var mayBeTrustedAgain = false
    /// Whether the inode is gone; nothing may be cached for it any more.
    var isReaped = false
}

/// The lock and the state of one file's bytes.
final class FileContent: Sendable {
    let ino: InodeNumber
    let state: ReadWriteLock<FileContentState>
    /// Seconds of the monotonic clock at the last use; eviction takes the oldest first.
    let lastUse = Atomic<Int64>(0)
    /// Where the last read ended; a read that starts there is sequential.
    let nextSequential = Atomic<UInt64>(0)
    /// Blocks to fetch ahead of a sequential reader; doubles while it goes on.
    let readahead = Atomic<Int>(0)

    init(ino: InodeNumber, isNew: Bool) {
        self.ino = ino
        var initial = FileContentState()
        initial.isLoaded = isNew
        state = ReadWriteLock(initial)
    }
}

extension FileContentState {
    /// The file's key, opened at its first use; `nil` if the file has none yet.
    ///
    /// - Throws: `corrupt` if the volume's key does not open it, `notFound` if the file is gone.
    mutating func openKey(
        of ino: InodeNumber,
        in metadata: MetadataStore,
        under volumeKey: VolumeKey
    ) throws(FileSystemError) -> FileKey? {
        if let fileKey { return fileKey }
        guard let wrapped = try metadata.fileKey(of: ino) else { return nil }
        do throws(SealingError) {
            fileKey = try volumeKey.unwrap(wrapped, for: ino)
        } catch {
            throw FileSystemError(
                .corrupt,
                "the key of inode \(ino.rawValue) cannot be opened: \(error)"
            )
        }
        return fileKey
    }
}
