import Cache
import Disk
import Logging
import Metadata
import Primitives
import Synchronization

/// Lets the kernel read and write cache files by itself, and learns afterwards what it wrote.
///
/// Durable steps of an opening for writing, beside those of `docs/crash-safety.md`:
///   1. the metadata notes that the file is written unseen (committed before a program can),
///   2. the first sync makes the whole cache file durable, then notes that it is,
///   3. at the end changed blocks are marked dirty, and the note is taken back.
/// A crash before 3 leaves the note: the next start looks the cache file through.
final class PassthroughFiles: Sendable {
    let written = WrittenFiles()
    private let configuration: VolumeConfiguration
    let metadata: MetadataStore
    let cache: CacheStore
    let contents: ContentTable
    let logger: Logger
    /// Files whose note that they are synced has ended, but not yet durably.
    let ended = Mutex<Set<InodeNumber>>([])
    /// Openings just now, and all so far.
    let handleCount = Atomic(0)
    let openings = Atomic<UInt64>(0)

    init(
        configuration: VolumeConfiguration,
        metadata: MetadataStore,
        cache: CacheStore,
        contents: ContentTable,
        logger: Logger
    ) {
        self.configuration = configuration
        self.metadata = metadata
        self.cache = cache
        self.contents = contents
        self.logger = logger
    }

    // MARK: Openings

    /// Counts an opening, and tells which file the kernel is to read and write for it; `nil` if
    /// reads and writes are to be requests.
    ///
    /// All openings of a file at a time are served alike.
    func open(
        _ content: FileContent,
        _ how: ContentOpening,
        wait: Wait
    ) throws(FileSystemError) -> Descriptor? {
        try content.state.write { state throws(FileSystemError) -> Descriptor? in
            guard !state.isReaped else { throw VolumeEngine.gone(content.ino) }
            var passage: Passage
            if let known = state.passage {
                passage = known
            } else {
                guard try mayPass(content.ino, how, state) else {
                    state.requestHandles += 1
                    return nil
                }
                passage = Passage(file: try fitted(content.ino))
            }
            if how.isForWriting {
                try beginWriting(content.ino, how, &passage, wait: wait)
                passage.writers += 1
            }
            passage.handles += 1
            state.passage = passage
            // A program may sync it in ways that nobody hears of: its bytes must not be destroyed
            // before what the metadata says of it is durable.
            if state.isTrustedWhole { state.holdsAcknowledged = true }
            handleCount.add(1, ordering: .relaxed)
            openings.add(1, ordering: .relaxed)
            return passage.file
        }
    }

    /// Takes an opening back that was answered with a file, or with none.
    func close(_ content: FileContent, isForWriting: Bool, passed: Bool) {
        content.state.write { state in
            guard passed, var passage = state.passage else {
                state.requestHandles = max(0, state.requestHandles - 1)
                return
            }
            passage.handles -= 1
            if isForWriting { passage.writers -= 1 }
            handleCount.subtract(1, ordering: .relaxed)
            state.passage = passage
            end(content.ino, &state)
        }
    }

    /// Whether the next opening of a file that nobody has open is for the kernel to read, and the
    /// file long enough that it matters what the kernel holds of it twice.
    func willPass(_ content: FileContent) -> Bool {
        content.state.read { state in
            guard state.passage == nil,
                state.blocks.count >= Self.blocksHeldTwiceMax,
                let passes = try? mayPass(
                    content.ino,
                    ContentOpening(isForWriting: false),
                    state
                )
            else { return false }
            return passes
        }
    }

    /// Blocks of a file, of 1 MiB, that the kernel may hold as pages of the file and of its cache
    /// file.
    private static let blocksHeldTwiceMax = 8

    /// Learns what was written, if nobody may write any more, and forgets the passage, if nobody
    /// has the file open.
    ///
    /// What fails is tried again by `tend`.
    func end(
        _ ino: InodeNumber,
        _ state: inout FileContentState,
        keepsNote: Bool = false
    ) {
        guard let passage = state.passage else { return }
        if passage.writers <= 0, passage.writing != nil {
            do throws(FileSystemError) {
                try harvest(ino, &state)
                try endWriting(ino, &state, keepsNote: keepsNote)
            } catch {
                guard error.code != .notFound else {
                    written.remove(ino)
                    state.passage?.writing = nil
                    return
                }
                logger.warning("inode \(ino.rawValue): changes are not known yet: \(error.message)")
            }
        }
        if passage.handles <= 0, state.passage?.writing == nil { state.passage = nil }
    }

    /// Whether a file that nobody has open with passthrough can be opened so.
    private func mayPass(
        _ ino: InodeNumber,
        _ how: ContentOpening,
        _ state: borrowing FileContentState
    ) throws(FileSystemError) -> Bool {
        guard state.requestHandles == 0, !how.isDirect, !how.mustBeSeen, !how.isTemporary else {
            return false
        }
        let attributes = try metadata.attributes(of: ino)
        // Of a short file the kernel keeps the pages that one request fetches: it is read so at
        // less cost than a backing file is given and taken back.
        guard attributes.kind == .regular,
            attributes.size > Self.shortBytesMax || how.isForWriting
        else { return false }
        // The kernel would write without taking them away.
        guard attributes.mode & 0o6000 == 0 else { return false }
        guard try !metadata.extendedAttributes(of: ino).contains(Self.capability) else {
            return false
        }
        guard state.blocks.values.allSatisfy({ $0.missing(.all).isEmpty }) else { return false }
        guard how.isForWriting else { return true }
        guard configuration.cacheBytesMax >= configuration.passthroughCacheBytesMin else {
            return false
        }
        return try cache.freeBytes() >= configuration.passthroughFreeBytesMin
    }

    /// The longest file that is not read by the kernel itself: 128 KiB, what one request reads.
    private static let shortBytesMax: UInt64 = 128 << 10

    private static let capability = Array("security.capability".utf8)

    /// The inode's cache file, as long as the file.
    private func fitted(_ ino: InodeNumber) throws(FileSystemError) -> Descriptor {
        let file = try cache.openFile(ino)
        try fit(file, ino)
        return file
    }

    func fit(_ file: Descriptor, _ ino: InodeNumber) throws(FileSystemError) {
        let size = try metadata.attributes(of: ino).size
        try onDisk { () throws(DiskError) in
            if try file.size() != size { try file.truncate(to: size) }
        }
    }

    private func beginWriting(
        _ ino: InodeNumber,
        _ how: ContentOpening,
        _ passage: inout Passage,
        wait: Wait
    ) throws(FileSystemError) {
        let isKnown = passage.writing != nil
        let stamp = try onDisk { () throws(DiskError) in try passage.file.stamp() }
        // Nobody hears of a sync of a mapping: what can be mapped must be durable before.
        let mustLast = how.isSynchronous || how.isForReading && !how.isNew && stamp.size > 0
        let isDurable = passage.writing?.isSynced ?? false
        guard !mustLast || isDurable || wait == .allowed else { throw VolumeEngine.wouldWait }
        if !isKnown { try note(ino, how, stamp, &passage) }
        if how.isForReading { passage.writing?.mayBeMapped = true }
        guard mustLast else { return }
        do throws(FileSystemError) {
            try makeDurable(ino, &passage)
        } catch {
            guard !isKnown else { throw error }
            written.remove(ino)
            try metadata.endPassthrough(of: ino)
            throw error
        }
    }

    /// From now on the kernel may write.
    private func note(
        _ ino: InodeNumber,
        _ how: ContentOpening,
        _ stamp: FileStamp,
        _ passage: inout Passage
    ) throws(FileSystemError) {
        try metadata.notePassthrough(
            Passthrough(ino: ino, isSynced: false, modified: stamp.modified)
        )
        if !how.isNew {
            // Before a program can change a byte of what the metadata calls clean.
            try metadata.commit()
            DurableStep.note(.passthroughBegun)
        }
        let now = Clock.monotonic()
        passage.writing = Passage.Writing(
            before: how.isNew || !stamp.isFirm() ? nil : stamp,
            nextHarvest: now,
            unsyncedSince: now,
            mayBeMapped: how.isForReading
        )
        written.insert(ino, passage.file, stamp)
    }
}
