import Control
import Disk
import FUSE
import Metadata
import Primitives
import Volume

extension MountControl {
    /// Between two reports, at least.
    private static let reportPause = Duration.milliseconds(250)

    func clone(
        _ request: CloneRequest,
        report: (CloneReport) -> Bool
    ) throws(ControlFailure) -> CloneReport {
        guard process.phase == .mounted else {
            throw ControlFailure(.failed, "the volume is being unmounted")
        }
        guard !process.adapter.refusesChanges, !process.isReadOnly else {
            throw ControlFailure(.failed, "the volume can only be read here")
        }
        let name: EntryName
        do {
            name = try EntryName(request.name)
        } catch {
            throw ControlFailure(.usage, "the clone's name is none")
        }
        let parent = InodeNumber(request.parent)
        guard !SnapshotInode.contains(parent), !SnapshotRouter.isHidden(request.name, in: parent)
        else { throw ControlFailure(.usage, "nothing can be made among the snapshots") }
        do throws(FileSystemError) {
            let (source, tree) = try self.source(InodeNumber(request.source))
            // What programs wrote and the kernel has only cached is part of it.
            if tree == nil { process.kernelMount.writeBack() }
            return try clone(source, of: tree, as: name, in: parent, request.owner, report)
        } catch {
            throw error.code == .invalid
                ? ControlFailure(.usage, error.message) : ControlFailure(error)
        }
    }

    /// The inode that a number of the kernel's means, and the snapshot's tree that it is in.
    private func source(
        _ number: InodeNumber
    ) throws(FileSystemError) -> (InodeNumber, SnapshotTree?) {
        guard SnapshotInode.contains(number) else { return (number, nil) }
        guard let snapshots = process.snapshots, case .inode? = SnapshotInode(number) else {
            throw FileSystemError(.invalid, "a clone is made of a snapshot or of what is in one")
        }
        let place = try snapshots.place(number, .allowed)
        return (place.ino, place.tree)
    }

    private func clone(
        _ source: InodeNumber,
        of tree: SnapshotTree?,
        as name: EntryName,
        in parent: InodeNumber,
        _ owner: CloneRequest.Owner?,
        _ report: (CloneReport) -> Bool
    ) throws(FileSystemError) -> CloneReport {
        // Not escaping: the clone is over when this returns.
        try withoutActuallyEscaping(report) { report throws(FileSystemError) in
            let (engine, session) = (engine, process.session)
            var last = Clock.monotonic()
            let job = TreeClone(
                engine,
                of: tree,
                owner: owner.map { .given(uid: $0.uid, gid: $0.gid) } ?? .kept,
                onMade: { made in
                    // The kernel may know that there was nothing of that name.
                    if engine.isKnown(made.parent) {
                        session.invalidate(made.name, in: made.parent)
                    }
                    if engine.isKnown(made.attributes.ino) {
                        session.invalidateAttributes(of: made.attributes.ino)
                    }
                },
                onFilled: { directory in
                    if engine.isKnown(directory) { session.invalidate(directory) }
                },
                onPlacing: { remaining in
                    guard Clock.monotonic() - last >= Self.reportPause else { return }
                    last = Clock.monotonic()
                    var progress = CloneReport()
                    progress.placingBytes = remaining
                    _ = report(progress)
                },
                mayGoOn: { outcome in
                    guard Clock.monotonic() - last >= Self.reportPause else { return true }
                    last = Clock.monotonic()
                    return report(CloneReport(outcome))
                }
            )
            // The listing of the directory that it is made in, and its times.
            defer { session.invalidate(parent) }
            return CloneReport(try job.run(source, as: name, in: parent))
        }
    }
}

extension CloneReport {
    fileprivate init(_ outcome: TreeClone.Outcome) {
        self.init()
        files = outcome.files
        bytes = outcome.bytes
        directories = outcome.directories
        others = outcome.others
        failed = outcome.failed
        failures = outcome.failures.map { Failure(path: $0.path, reason: $0.reason) }
    }
}
