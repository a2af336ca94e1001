package import Disk
import FUSE
package import Logging
import Primitives
package import Volume
import Glibc

/// Answers the kernel's requests about snapshots: those below `.mefs` of a mounted volume, or one
/// as a whole mount.
///
/// Nothing changes here (EROFS). What is asked of a tree that is open is answered at once; what
/// may wait for the network, lanes of threads of its own do, so that snapshots never hold up the
/// live volume.
package final class SnapshotAdapter: ReadOnlyOperations, RequestServing {
    /// What the mount's root is.
    package enum Root: Hashable, Sendable {
        /// The live volume's; the snapshots stand below `.mefs`.
        case live
        /// That of one snapshot, and nothing else is there.
        case snapshot(SnapshotInfo)
    }

    /// Threads that wait for the network: the 16 requests that the kernel's readahead sends.
    private static let threadCount = 16
    /// Requests that wait for one of them, more than programs have threads; past it they fail
    /// (EAGAIN), since the session's threads must not wait here.
    private static let queueMax = 4096

    let root: Root
    package let trees: SnapshotTrees
    let numbers = SnapshotNumbers()
    /// Tells of the live root, of which unopened trees have their owner and mode.
    let engine: VolumeEngine
    let logger: Logger
    let controlPath: [UInt8]
    /// Reads of trees that are open; and what opens trees, or asks for the list of them.
    private let readLane: BlockingPool
    private let openLane: BlockingPool
    /// When the mount began, the time of the directories that no volume has.
    let begun = Clock.now()
    private let onStart: @Sendable () -> Void

    /// Starts the lanes' threads.
    ///
    /// - Parameters:
    ///   - trees: Where the snapshots come from.
    ///   - root: What the mount's root is.
    ///   - engine: The live volume.
    ///   - controlPath: Path of the mount's control socket.
    ///   - logger: Hears of what is worse than programs expect.
    ///   - onStart: Called once the kernel has agreed on the protocol, if this is the whole mount.
    /// - Throws: what keeps a thread from being started.
    package init(
        _ trees: SnapshotTrees,
        root: Root,
        engine: VolumeEngine,
        controlPath: String,
        logger: Logger,
        onStart: @escaping @Sendable () -> Void = {}
    ) throws(DiskError) {
        self.trees = trees
        self.root = root
        self.engine = engine
        self.controlPath = Array(controlPath.utf8)
        self.logger = logger
        self.onStart = onStart
        readLane = try BlockingPool(
            "snapshot",
            threadCount: Self.threadCount,
            queueMax: Self.queueMax
        )
        openLane = try BlockingPool(
            "tree",
            threadCount: SnapshotTrees.openMax,
            queueMax: Self.queueMax
        )
    }

    /// Answers what is on its way, stops the lanes and closes the trees; once the session's threads
    /// have ended.
    package func close() {
        openLane.close()
        readLane.close()
        trees.close()
    }

    package func started() { onStart() }

    // MARK: Inodes

    /// An inode of a snapshot, and how the kernel is told of its neighbours.
    struct Place: Sendable {
        let tree: SnapshotTree
        let ino: InodeNumber
        /// Number of the snapshot; 0 if it is the whole mount, and so inode numbers are its own.
        let number: UInt16

        var isRoot: Bool { ino == .root }

        /// Attributes under the number that the kernel knows.
        func shown(_ attributes: Attributes) throws(FileSystemError) -> Attributes {
            guard number > 0 else { return attributes }
            guard attributes.ino.rawValue <= SnapshotInode.inodeMax else {
                throw FileSystemError(.corrupt, "inode \(attributes.ino.rawValue) is too large")
            }
            return attributes.renumbered(SnapshotInode.inode(number, attributes.ino).number)
        }

        /// What the kernel may think of an entry: a snapshot never changes.
        var trust: EntryTrust {
            EntryTrust(generation: UInt32(truncatingIfNeeded: tree.snapshot.version))
        }
    }

    /// The version and number of the snapshot an inode is of.
    ///
    /// - Throws: `stale` if the number means nothing in this mount, or is of a directory above the
    ///   snapshots.
    func snapshot(
        of ino: InodeNumber
    ) throws(FileSystemError) -> (version: UInt64, number: UInt16, ino: InodeNumber) {
        if case .snapshot(let snapshot) = root { return (snapshot.version, 0, ino) }
        guard case .inode(let number, let inode)? = SnapshotInode(ino),
            let version = numbers.version(of: number)
        else { throw FileSystemError(.stale, "no snapshot has inode \(ino.rawValue)") }
        return (version, number, inode)
    }

    /// Where an inode is; its tree is opened if it is not.
    func place(_ ino: InodeNumber, _ wait: Wait) throws(FileSystemError) -> Place {
        let (version, number, inode) = try snapshot(of: ino)
        let tree = try trees.tree(of: version, wait: wait)
        return Place(tree: tree, ino: inode, number: number)
    }

    // MARK: Serving

    /// Runs `body` at once without waiting, or on a lane if it would wait; then replies.
    func serve<Answer>(
        _ request: consuming Request,
        of ino: InodeNumber,
        _ body: @escaping @Sendable (Wait) throws(FileSystemError) -> Answer,
        reply: @escaping @Sendable (consuming Request, Answer) -> Void
    ) {
        switch attempt({ () throws(FileSystemError) in try body(.never) }) {
        case .success(let answer): reply(request, answer)
        case .failure(let error) where error.code == .wouldWait:
            serveWaiting(request, of: ino, body, reply: reply)
        case .failure(let error): fail(request, error)
        }
    }

    /// Runs `body` on a lane; then replies.
    ///
    /// A tree that is long in opening holds up no reads of the others.
    func serveWaiting<Answer>(
        _ request: consuming Request,
        of ino: InodeNumber,
        _ body: @escaping @Sendable (Wait) throws(FileSystemError) -> Answer,
        reply: @escaping @Sendable (consuming Request, Answer) -> Void
    ) {
        let handover = request.handOver()
        let lane = (try? place(ino, .never)) == nil ? openLane : readLane
        let isQueued = lane.tryRun { [self] in
            switch attempt({ () throws(FileSystemError) in try body(.allowed) }) {
            case .success(let answer): reply(handover.take(), answer)
            case .failure(let error): fail(handover.take(), error)
            }
        }
        if !isQueued { handover.take().fail(EAGAIN) }
    }
}

extension Attributes {
    /// The same of another inode number.
    func renumbered(_ number: InodeNumber) -> Attributes {
        Attributes(
            ino: number,
            kind: kind,
            mode: mode,
            uid: uid,
            gid: gid,
            linkCount: linkCount,
            size: size,
            blocks512: blocks512,
            rdev: rdev,
            accessed: accessed,
            modified: modified,
            changed: changed
        )
    }
}
