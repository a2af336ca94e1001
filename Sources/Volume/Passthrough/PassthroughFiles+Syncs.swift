import Cache
import Disk
import Metadata
import Primitives

/// Syncs of files that the kernel writes to: those that programs ask for, and those of mappings, of
/// which nobody hears.
extension PassthroughFiles {
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
    func makeDurable(
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
        state.holdsAcknowledged = true
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

    /// Keeps the cache file as long as the file, after a request changed either; the caller holds
    /// the content's lock for writing.
    func fit(_ ino: InodeNumber, _ state: borrowing FileContentState) throws(FileSystemError) {
        guard let file = state.passage?.file else { return }
        try fit(file, ino)
        try written.accept(ino)
    }
}
