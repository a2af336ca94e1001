import Disk
package import Primitives
import Synchronization

/// The metadata of one volume: names, attributes, blocks and stripes, on SQLite.
///
/// Callable from any thread. Operations change memory under one lock and return; a committer
/// thread writes what they changed in batches. So a crash of the process leaves a prefix of the
/// operations; `commit` and `sync` say that one is safe. An operation that throws has changed
/// nothing. `docs/metadata.md` has the schema and the rules of durability.
///
/// Dropping a store that was not closed is as a crash of the process.
package final class MetadataStore: Sendable {
    package let path: String
    let core: MetadataCore
    private let background: BackgroundWork
    private let limits: MetadataLimits
    private let isClosed = Atomic(false)

    /// Opens the store at `path` and locks it against other processes.
    ///
    /// - Throws: `notFound` if there is none, `invalid` if somebody has it open or it is of
    ///   another program or version, `corrupt`.
    package init(
        opening path: String,
        limits: MetadataLimits = MetadataLimits()
    ) throws(FileSystemError) {
        self.path = path
        self.limits = limits
        core = try MetadataCore(opening: path, limits: limits)
        background = BackgroundWork(core, limits: limits)
        do {
            try background.start()
        } catch {
            background.stop()
            throw FileSystemError(error)
        }
    }

    deinit { background.stop() }

    /// Makes an empty volume at `path`: a root directory and nothing else.
    ///
    /// A crash leaves nothing at `path`, or all.
    ///
    /// - Throws: `exists` if something is there.
    package static func create(
        at path: String,
        rootMode: UInt16 = 0o755,
        uid: UInt32,
        gid: UInt32,
        now: Timestamp
    ) throws(FileSystemError) {
        let attributes = Attributes(
            ino: .root,
            kind: .directory,
            mode: rootMode & 0o7777,
            uid: uid,
            gid: gid,
            linkCount: 2,
            size: 0,
            blocks512: 0,
            rdev: 0,
            accessed: now,
            modified: now,
            changed: now
        )
        let row = InodeRow(
            attributes: attributes,
            parent: .root,
            nextCookie: InodeRow.firstCookie,
            entryCount: 0,
            xattrBytes: 0,
            blockCount: 0
        )
        try NewDatabase.create(at: path, root: row)
    }

    /// Whether the store was closed in order when it was last in use.
    package var wasCleanlyClosed: Bool { core.past.wasCleanlyClosed }

    /// Boot id of the host when the store was last in use before this time, and recovered if
    /// there had been a crash before; empty at the first.
    ///
    /// Another one than now, and not cleanly closed: the host has crashed meanwhile.
    package var bootIDAtLastOpen: String { core.past.bootID }

    /// Notes that what a crash left is made good; before, every opening counts as the first after
    /// it.
    package func noteRecovered() throws(FileSystemError) {
        try checkOpen()
        try core.noteRecovered()
    }

    /// Commits, moves the log into the database, and lets go of the store; from then on all calls
    /// throw `closed`.
    ///
    /// A second call does nothing.
    ///
    /// After an error the store is closed too, and the next opening finds it not cleanly closed.
    package func close() throws(FileSystemError) {
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        background.stop()
        try core.finish()
    }

    /// Makes every operation so far survive a crash of this process, but not of the host.
    ///
    /// After an error they are still in memory, and the next commit tries them again.
    package func commit() throws(FileSystemError) {
        try checkOpen()
        _ = try saveChanges()
    }

    /// Makes every operation so far survive a crash of the host; waits for the disk.
    ///
    /// Once the disk has failed to sync, every later call throws until the store is opened anew:
    /// nobody knows what of the log was lost.
    package func sync() throws(FileSystemError) {
        try checkOpen()
        try core.sync(through: try saveChanges())
    }

    private func saveChanges() throws(FileSystemError) -> UInt64 {
        let (sequence, logFrames) = try core.saveChanges()
        background.noteLog(frames: logFrames)
        return sequence
    }

    // MARK: For the operations

    /// Runs an operation that changes nothing that is saved.
    func read<T: Sendable>(
        _ body: (MetadataState) throws(FileSystemError) -> T
    ) throws(FileSystemError) -> T {
        try checkOpen()
        return try core.state.withLock { state throws(FileSystemError) in
            state.trim()
            return try body(state)
        }
    }

    /// When what an operation changed is to be committed.
    private enum Urgency {
        case none
        case later
        case soon
        case now
    }

    /// Runs an operation, and sees to it that what it changes is committed soon.
    ///
    /// `isFreeing`: whether it gives room back. Such operations are let through while
    ///   commits fail, up to twice the bound on what memory keeps.
    /// `isLosable`: whether it is no harm if a crash loses it within a second:
    ///   its commit is not worth a wake-up of its own.
    func change<T: Sendable>(
        isFreeing: Bool = false,
        isLosable: Bool = false,
        _ body: (MetadataState) throws(FileSystemError) -> T
    ) throws(FileSystemError) -> T {
        try checkOpen()
        while true {
            var urgency = Urgency.none
            let result = try core.state.withLock { state throws(FileSystemError) -> T? in
                guard state.unsavedOperations < bound(state, isFreeing: isFreeing) else {
                    return nil
                }
                state.trim()
                let (hadChanges, before) = (state.hasChanges, state.changes.operations)
                let result = try body(state)
                let operations = state.changes.operations
                if operations >= limits.commitOperations, before < limits.commitOperations {
                    urgency = .now
                } else if isLosable, !hadChanges, state.hasChanges {
                    urgency = .later
                } else if !isLosable, !state.isCommitDue, state.hasChanges {
                    urgency = .soon
                    state.isCommitDue = true
                }
                return result
            }
            // Outside the lock, which whoever is woken takes first of all.
            switch urgency {
            case .none: break
            case .later: background.commitLater()
            case .soon: background.commitSoon()
            case .now: background.commitNow()
            }
            if let result { return result }
            _ = try saveChanges()
        }
    }

    /// Unsaved operations at which another one has to wait for a commit.
    ///
    /// While commits fail: one, or, if it gives room back, so many more than usual that those
    /// which came before the failure do not keep it out.
    private func bound(_ state: MetadataState, isFreeing: Bool) -> Int {
        guard state.isFailing else { return limits.unsavedOperationsMax }
        return isFreeing ? 2 * limits.unsavedOperationsMax : 1
    }

    /// Runs a scan of the database, of what every operation so far has left.
    ///
    /// Operations go on meanwhile: whoever acts on an answer looks at the thing itself again.
    func scan<T: Sendable>(
        _ body: @Sendable (MetadataReader) throws(FileSystemError) -> T
    ) throws(FileSystemError) -> T {
        try checkOpen()
        return try core.scan(body)
    }

    func checkOpen() throws(FileSystemError) {
        guard !isClosed.load(ordering: .acquiring) else {
            throw FileSystemError(.closed, "metadata database \(path) is closed")
        }
    }
}
