import Cache
import Disk
import Metadata
import Primitives
import Synchronization

/// Learning what the kernel has written: when the last writer closes, when something asks, and now
/// and then of a file that stays open.
extension PassthroughFiles {
    /// A file that stays open is looked through at most so much of the time: a twentieth.
    private static let harvestPause = 20

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

    /// Marks dirty what differs from what is placed; the caller holds the content's lock for
    /// writing.
    func harvest(
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
    func endWriting(
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
