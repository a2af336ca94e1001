package import Disk
package import FUSE
package import Logging
import Primitives
import Synchronization
package import Volume
import Glibc

/// Answers the kernel's requests about a volume that another machine writes: from the tree of the
/// newest head, or, as long as nothing newer is known, from what this machine has.
///
/// Each request is answered from one tree, so that no answer is of two heads. What the kernel has
/// cached of files that another head changes is dropped when the head is shown. Nothing changes
/// here by programs (EROFS).
package final class FollowAdapter: ReadOnlyOperations, RequestServing {
    /// Threads that wait for the network: the 16 requests that the kernel's readahead sends.
    private static let threadCount = 16
    /// Requests that wait for one of them, more than programs have threads; past it they fail
    /// (EAGAIN), since the session's threads must not wait here.
    private static let queueMax = 4096
    /// How often a read is tried in all when a newer head has come while it failed.
    static let readsMax = 3

    let follower: Follower
    let live: FileSystemAdapter
    let logger: Logger
    let inodes = KernelInodes()
    private let lane: BlockingPool
    /// Files that were opened when this machine's own state was shown.
    private let ownOpens = Mutex<[InodeNumber: Int]>([:])
    /// What the kernel knew when the first head was shown: it forgets that to nobody.
    private let ownInodes = Mutex<[InodeNumber]?>(nil)
    private let attached = Mutex<Session?>(nil)

    var trees: FollowedTrees { follower.trees }
    /// Whether this machine's own state is shown.
    var showsOwn: Bool { trees.current == nil }

    /// Starts the lane's threads.
    ///
    /// - Parameters:
    ///   - follower: Brings the heads.
    ///   - live: Shows what this machine has.
    ///   - logger: Hears of what is worse than programs expect.
    /// - Throws: what keeps a thread from being started.
    package init(
        _ follower: Follower,
        live: FileSystemAdapter,
        logger: Logger
    ) throws(DiskError) {
        self.follower = follower
        self.live = live
        self.logger = logger
        lane = try BlockingPool("head", threadCount: Self.threadCount, queueMax: Self.queueMax)
        follower.onChange { [self] changed in dropKernelCaches(of: changed) }
    }

    package func started() { live.started() }

    /// Tells which session's kernel caches to invalidate.
    package func attach(_ session: Session) { attached.withLock { $0 = session } }

    /// Answers what is on its way and stops the lane; once the session's threads have ended.
    package func close() {
        attached.withLock { $0 = nil }
        lane.close()
    }

    /// Has the kernel ask anew for inodes that are not as they were; for all that it knows if it is
    /// not known which.
    ///
    /// On the follower's thread: it waits for pages that are being read.
    private func dropKernelCaches(of changed: Set<InodeNumber>?) {
        let isFirst = ownInodes.withLock { own in
            guard own == nil else { return false }
            own = live.engine.knownInodes()
            return true
        }
        guard let session = attached.withLock({ $0 }) else { return }
        if let changed, !isFirst {
            for ino in changed { session.invalidate(ino) }
        } else {
            let own = ownInodes.withLock { $0 ?? [] }
            for ino in Set(own + inodes.all + [.root]) { session.invalidate(ino) }
        }
    }

    /// Has the kernel drop all that it has of inodes and their bytes.
    func dropKernelPages() {
        guard let session = attached.withLock({ $0 }) else { return }
        for ino in inodes.all { session.invalidate(ino) }
    }

    // MARK: Openings of this machine's own state

    func noteOwnOpening(of ino: InodeNumber) { ownOpens.withLock { $0[ino, default: 0] += 1 } }

    /// Whether the file is open as this machine has it.
    func isOpenAsOwn(_ ino: InodeNumber) -> Bool { ownOpens.withLock { $0[ino] != nil } }

    /// Ends an opening of the own state; `false` if there was none.
    func endOwnOpening(of ino: InodeNumber) -> Bool {
        ownOpens.withLock { opens in
            guard let count = opens[ino] else { return false }
            opens[ino] = count > 1 ? count - 1 : nil
            return true
        }
    }

    // MARK: Serving

    /// Runs `body` with the tree that tells of `ino`, on the lane if it would wait; then replies.
    ///
    /// If it fails for want of bytes, it is run again with a newer tree.
    func serve<Answer>(
        _ request: consuming Request,
        of ino: InodeNumber,
        _ body: @escaping @Sendable (SnapshotTree, Wait) throws(FileSystemError) -> Answer,
        reply: @escaping @Sendable (consuming Request, Answer) -> Void
    ) {
        let first = attempt { () throws(FileSystemError) in
            try body(try trees.tree(of: ino), .never)
        }
        switch first {
        case .success(let answer): return reply(request, answer)
        case .failure(let error) where error.code == .wouldWait || Self.mayBeGone(error): break
        case .failure(let error): return fail(request, error)
        }
        let handover = request.handOver()
        let isQueued = lane.tryRun { [self] in
            switch attempt({ () throws(FileSystemError) in try insist(on: ino, body) }) {
            case .success(let answer): reply(handover.take(), answer)
            case .failure(let error): fail(handover.take(), error)
            }
        }
        if !isQueued { handover.take().fail(EAGAIN) }
    }

    /// Tries again with a newer head as long as there is one: the writer deletes what only older
    /// ones need.
    private func insist<Answer>(
        on ino: InodeNumber,
        _ body: (SnapshotTree, Wait) throws(FileSystemError) -> Answer
    ) throws(FileSystemError) -> Answer {
        var attempts = 1
        while true {
            let tree = try trees.tree(of: ino)
            do throws(FileSystemError) {
                return try body(tree, .allowed)
            } catch {
                guard Self.mayBeGone(error) else { throw error }
                let isNewer = attempts < Self.readsMax && follower.lookAgain(after: tree)
                // A file that is gone is read where it was, or not at all.
                guard try trees.tree(of: ino) !== tree else {
                    throw tree === trees.current ? error : gone(ino, tree, error)
                }
                guard isNewer else { throw error }
                attempts += 1
            }
        }
    }

    /// Tells why an open file that is in no head any more cannot be read.
    private func gone(
        _ ino: InodeNumber,
        _ tree: SnapshotTree,
        _ error: FileSystemError
    ) -> FileSystemError {
        let message =
            "inode \(ino.rawValue) is open, was in head \(tree.snapshot.version) and was removed"
            + " since; its bytes may be deleted by now: \(error.message)"
        logger.notice("\(message)")
        return FileSystemError(.stale, message)
    }

    private static func mayBeGone(_ error: FileSystemError) -> Bool {
        switch error.code {
        case .unavailable, .corrupt, .stale, .inputOutput: true
        default: false
        }
    }

    /// Turns what is missing into what was given up: the kernel knew it by a number.
    func stale<Answer>(
        _ body: () throws(FileSystemError) -> Answer
    ) throws(FileSystemError) -> Answer {
        do throws(FileSystemError) {
            return try body()
        } catch {
            throw error.code == .notFound ? FileSystemError(.stale, error.message) : error
        }
    }
}
