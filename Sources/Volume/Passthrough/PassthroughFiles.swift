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
    /// A file that stays open is looked through at most so much of the time: a twentieth.
    private static let harvestPause = 20

    let written = WrittenFiles()
    private let configuration: VolumeConfiguration
    private let metadata: MetadataStore
    private let cache: CacheStore
    private let contents: ContentTable
    private let logger: Logger
    /// Files whose note that they are synced has ended, but not yet durably.
    private let ended = Mutex<Set<InodeNumber>>([])
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
    private func end(
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
        guard state.requestHandles == 0, !how.isDirect, !how.mustBeSeen else { return false }
        let attributes = try metadata.attributes(of: ino)
        guard attributes.kind == .regular, attributes.size > 0 || how.isForWriting else {
            return false
        }
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

    private static let capability = Array("security.capability".utf8)

    /// The inode's cache file, as long as the file.
    private func fitted(_ ino: InodeNumber) throws(FileSystemError) -> Descriptor {
        let file = try cache.openFile(ino)
        try fit(file, ino)
        return file
    }

    private func fit(_ file: Descriptor, _ ino: InodeNumber) throws(FileSystemError) {
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

    // MARK: Syncs

    /// Makes the file's bytes durable on this host; the names only with the metadata's next sync.
    ///
    /// - Returns: `false` if the kernel does not write to it.
    func sync(_ content: FileContent) throws(FileSystemError) -> Bool {
        guard written.contains(content.ino) else { return false }
        let found = content.state.read { $0.passage?.writing == nil ? nil : $0.passage?.file }
        guard let file = found else { return false }
        let stamp = try onDisk { () throws(DiskError) in try file.stamp() }
        try cache.sync(content.ino)
        return try content.state.write { state throws(FileSystemError) in
            guard var writing = state.passage?.writing else { return false }
            state.holdsAcknowledged = true
            if !writing.isSynced {
                writing.isSynced = true
                try note(content.ino, writing)
            }
            writing.synced = stamp
            writing.unsyncedSince = Clock.monotonic()
            state.passage?.writing = writing
            return true
        }
    }

    /// Whether the kernel wrote to the file since its last sync.
    func hasUnsynced(_ content: FileContent) -> Bool {
        guard written.contains(content.ino) else { return false }
        return content.state.read { state in
            guard let passage = state.passage, let writing = passage.writing else { return false }
            guard let synced = writing.synced, let now = try? passage.file.stamp() else {
                return true
            }
            return now.differs(from: synced)
        }
    }

    /// Makes all of it durable, and notes that it is: every write from now on that the kernel calls
    /// synced will count.
    private func makeDurable(
        _ ino: InodeNumber,
        _ passage: inout Passage
    ) throws(FileSystemError) {
        guard passage.writing?.isSynced == false else { return }
        let file = passage.file
        let stamp = try onDisk { () throws(DiskError) in try file.stamp() }
        try cache.sync(ino)
        passage.writing?.isSynced = true
        passage.writing?.synced = stamp
        guard let writing = passage.writing else { return }
        try note(ino, writing)
        try metadata.sync()
    }

    /// Makes files durable that a program may have mapped, of whose syncs nobody hears.
    ///
    /// - Returns: Whether the metadata is to be synced for it.
    func settleMapped() throws(FileSystemError) -> Bool {
        var hasSynced = false
        for ino in written.inodes {
            let content = contents.content(of: ino)
            guard content.state.read({ $0.mayBeMappedUnsynced }) else { continue }
            if try sync(content) { hasSynced = true }
        }
        return hasSynced
    }

    /// Throws `wouldWait` where `grow` would have to wait.
    func prepareToGrow(
        _ state: borrowing FileContentState,
        wait: Wait
    ) throws(FileSystemError) {
        if wait == .never, state.mayBeMappedUnsynced { throw VolumeEngine.wouldWait }
    }

    /// Follows a request that lengthened the file; the caller holds the content's lock for writing.
    ///
    /// Programs do so before they map it: it is made durable, like a file that is opened so.
    func grow(_ ino: InodeNumber, _ state: inout FileContentState) throws(FileSystemError) {
        try fit(ino, state)
        guard state.mayBeMappedUnsynced, var passage = state.passage else { return }
        try makeDurable(ino, &passage)
        state.passage = passage
    }

    /// Tells the metadata what is known of a file that is being written to.
    private func note(
        _ ino: InodeNumber,
        _ writing: Passage.Writing
    ) throws(FileSystemError) {
        guard let stamp = written.known(ino) else { return }
        try metadata.notePassthrough(
            Passthrough(ino: ino, isSynced: writing.isSynced, modified: stamp.modified)
        )
    }

    /// The times of the file are about to be set: those of writes so far do not count any more.
    func acceptTimes(of content: FileContent) throws(FileSystemError) {
        guard written.contains(content.ino) else { return }
        try content.state.write { state throws(FileSystemError) in
            try written.record(content.ino, in: metadata)
            guard let writing = state.passage?.writing else { return }
            try note(content.ino, writing)
        }
    }

    // MARK: Files that stay open

    /// Looks after files that stay open: what they have become is to be placed, and to be durable
    /// when it is older than `age`.
    ///
    /// - Returns: Whether something now waits for the metadata's sync.
    func tend(age: Duration) throws(FileSystemError) -> Bool {
        try forgetEnded()
        var hasSynced = false
        for ino in written.inodes {
            let content = contents.content(of: ino)
            content.state.write { state in end(ino, &state) }
            try harvest(content, isAskedFor: false)
            let isDue = content.state.read { state -> Bool in
                guard let writing = state.passage?.writing else { return false }
                if writing.mayBeMapped, !writing.isSynced { return true }
                return Clock.monotonic() - writing.unsyncedSince >= age
            }
            guard isDue, hasUnsynced(content) else { continue }
            if try sync(content) { hasSynced = true }
        }
        return hasSynced
    }

    /// Makes the end of notes durable, so that nobody has to when bytes are destroyed.
    private func forgetEnded() throws(FileSystemError) {
        let inodes = ended.withLock { ended in
            defer { ended = [] }
            return ended
        }
        guard !inodes.isEmpty else { return }
        try metadata.sync()
        for ino in inodes.sorted(by: { $0.rawValue < $1.rawValue }) {
            contents.content(of: ino).state.write { state in
                // Ended once more since.
                guard !ended.withLock({ $0.contains(ino) }) else { return }
                state.mayBeTrustedAgain = false
            }
        }
    }

    /// Learns what was written so far, of every file.
    func harvestAll() throws(FileSystemError) {
        for ino in written.inodes { try harvest(contents.content(of: ino), isAskedFor: true) }
    }

    /// Learns what was written so far; of a file that stays open now and then only, unless
    /// `isAskedFor`.
    func harvest(_ content: FileContent, isAskedFor: Bool) throws(FileSystemError) {
        guard written.contains(content.ino) else { return }
        try content.state.write { state throws(FileSystemError) in
            let start = Clock.monotonic()
            guard let passage = state.passage, let writing = passage.writing else { return }
            let stamp = try onDisk { () throws(DiskError) in try passage.file.stamp() }
            if !isAskedFor {
                guard start >= writing.nextHarvest else { return }
                if let harvested = writing.harvested, !stamp.differs(from: harvested) { return }
            }
            try harvest(content.ino, &state)
            let end = Clock.monotonic()
            state.passage?.writing?.harvested = stamp
            state.passage?.writing?.nextHarvest = end + (end - start) * Self.harvestPause
        }
    }

    /// Whether learning what was written to a file takes long: much to compare, or a sync.
    func takesLong(_ ino: InodeNumber) -> Bool {
        guard let stamp = written.known(ino) else { return false }
        if stamp.size > Self.scannedAtOnceMax { return true }
        return contents.content(of: ino).state.read { $0.isTrustedWhole }
    }

    /// The longest file that is looked through on a thread of the session: 8 MiB, a millisecond.
    private static let scannedAtOnceMax: UInt64 = 8 << 20

    /// At the end: learns what was written by whoever still has files open.
    ///
    /// They may go on writing, of which nobody hears: the notes of such files stay, for the next
    /// start to part the files from them.
    func finish() {
        for ino in written.inodes {
            contents.content(of: ino).state.write { state in
                let isHeld = (state.passage?.writers ?? 0) > 0
                state.passage?.writers = 0
                end(ino, &state, keepsNote: isHeld)
            }
        }
    }

    /// Keeps the cache file as long as the file, after a request changed either; the caller holds
    /// the content's lock for writing.
    func fit(_ ino: InodeNumber, _ state: borrowing FileContentState) throws(FileSystemError) {
        guard let file = state.passage?.file else { return }
        try fit(file, ino)
        try written.accept(ino)
    }

    // MARK: What was written

    /// Marks dirty what differs from what is placed; the caller holds the content's lock for
    /// writing.
    private func harvest(
        _ ino: InodeNumber,
        _ state: inout FileContentState
    ) throws(FileSystemError) {
        guard let passage = state.passage, var writing = passage.writing else { return }
        try written.record(ino, in: metadata)
        let stamp = try onDisk { () throws(DiskError) in try passage.file.stamp() }
        if writing.isSynced, writing.synced.map({ !$0.isFirm() || stamp.differs(from: $0) }) ?? true
        {
            // What is noted as durable below must be.
            try cache.sync(ino)
            writing.synced = stamp
            state.passage?.writing = writing
        }
        if let before = writing.before, !stamp.differs(from: before) { return }
        let scan = PassageScan(file: passage.file, size: stamp.size)
        var hasMarked = false
        for index in try scan.candidates(placed: state.blocks.keys) {
            let known = state.blocks[index]
            guard try scan.isChanged(index, known) else { continue }
            hasMarked = true
            var block = known ?? .hole
            block.version += 1
            if block.dirtySince == nil || block.snapshotTaken {
                block.dirtySince = try metadata.markDirty(
                    ino,
                    BlockIndex(index),
                    since: Clock.now(),
                    resident: writing.isSynced || block.isSynced ? SegmentMask.all.rawValue : 0
                )
                block.snapshotTaken = false
                block.resident = .all
                if writing.isSynced { block.isSynced = true }
            }
            state.blocks[index] = block
        }
        if hasMarked, state.unsyncedSince == nil { state.unsyncedSince = Clock.monotonic() }
    }

    /// What was written is known: notes so, and which of it is durable.
    private func endWriting(
        _ ino: InodeNumber,
        _ state: inout FileContentState,
        keepsNote: Bool
    ) throws(FileSystemError) {
        guard let writing = state.passage?.writing else { return }
        if writing.isSynced {
            // The harvest has synced them.
            for (index, block) in state.blocks where block.dirtySince != nil {
                if !block.isSynced {
                    try metadata.setResident(ino, BlockIndex(index), SegmentMask.all.rawValue)
                }
                state.blocks[index]?.isSynced = true
                state.blocks[index]?.syncedVersion = block.version
            }
        }
        if !keepsNote { try metadata.endPassthrough(of: ino) }
        written.remove(ino)
        state.passage?.writing = nil
        guard writing.isSynced else { return }
        state.mayBeTrustedAgain = true
        ended.withLock { _ = $0.insert(ino) }
    }
}
