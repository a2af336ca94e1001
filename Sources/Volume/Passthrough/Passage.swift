import Disk
import Primitives

/// A file that programs have open with the kernel reading, and perhaps writing, its cache file
/// without asking.
///
/// It is wholly cached, its cache file is as long as the file, and nothing of it is evicted or
/// fetched.
struct Passage: Sendable {
    /// What is not known of a file that is being written to.
    struct Writing: Sendable {
        /// The cache file before the first write; `nil` if that says nothing: it was new, or had
        /// just been changed.
        let before: FileStamp?
        /// Whether the metadata holds that the whole cache file was made durable.
        var isSynced = false
        /// The cache file at the last sync.
        var synced: FileStamp?
        /// The cache file when it was last looked through for changes.
        var harvested: FileStamp?
        /// When it may be looked through again, by the monotonic clock.
        var nextHarvest: Duration
        /// Since when something may wait for a sync, by the monotonic clock.
        var unsyncedSince: Duration
        /// Whether a program may sync a mapping of it, which nobody hears of.
        var mayBeMapped: Bool
    }

    let file: Descriptor
    /// Openings, and those of them that may write.
    var handles = 0
    var writers = 0
    /// From the first opening that may write until what it and all others wrote is known.
    var writing: Writing?
}

extension FileContentState {
    /// Whether after a power cut the cache file is what the file holds: what is cut out of it must
    /// not come back.
    var isTrustedWhole: Bool { passage?.writing?.isSynced ?? false }

    /// Whether a program may have mapped it and sync the mapping, which would count for nothing.
    var mayBeMappedUnsynced: Bool {
        guard let writing = passage?.writing else { return false }
        return writing.mayBeMapped && !writing.isSynced
    }
}

extension FileStamp {
    /// How long after a change the kernel may give another one the same time: two ticks of its
    /// coarse clock, at 100 a second.
    private static let tick: Double = 0.02

    /// Whether a later change is sure to have another time.
    func isFirm() -> Bool { Clock.now().seconds(since: modified) > Self.tick }

    /// Whether the content may have changed between the two.
    func differs(from other: FileStamp) -> Bool {
        size != other.size || modified != other.modified
    }
}
