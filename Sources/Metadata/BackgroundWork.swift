import Disk
import Primitives
import Synchronization

/// The store's two threads: one commits changes, one keeps the log short.
final class BackgroundWork: Sendable {
    private struct CommitSignals {
        /// There are changes.
        var isDue = false
        /// There are changes that nobody minds losing.
        var isDueLater = false
        /// There are many.
        var isUrgent = false
        var isStopping = false
    }

    private struct LogSignals {
        var frames = 0
        /// Pages in the log at which it is moved next.
        var threshold: Int
        var isStopping = false
    }

    /// How long after a failed commit the next is tried: a full disk does not empty faster.
    private static let retryDelay: Duration = .milliseconds(200)
    /// How long changes wait for company that may be lost: what they gain by it is one commit for
    /// hundreds of them.
    private static let lateDelay: Duration = .seconds(1)

    private let core: MetadataCore
    private let limits: MetadataLimits
    private let commits = Condition(CommitSignals())
    private let log: Condition<LogSignals>
    private let threads: Mutex<[Thread]> = Mutex([])

    init(_ core: MetadataCore, limits: MetadataLimits) {
        self.core = core
        self.limits = limits
        log = Condition(LogSignals(threshold: limits.logFrames))
    }

    func start() throws(DiskError) {
        let committer = try Thread.spawn("mefs-commit") { [self] in commitLoop() }
        threads.withLock { $0.append(committer) }
        let checkpointer = try Thread.spawn("mefs-checkpoint") { [self] in checkpointLoop() }
        threads.withLock { $0.append(checkpointer) }
    }

    /// Ends the threads and waits for them; commits nothing.
    ///
    /// A second call does nothing.
    func stop() {
        commits.update { $0.isStopping = true }
        log.update { $0.isStopping = true }
        let ended = threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
        for thread in ended { thread.join() }
    }

    /// Commits after `lateDelay`, unless something else makes it do so before.
    func commitLater() { commits.update { $0.isDueLater = true } }

    /// Commits after `commitDelay`, or when `commitNow` comes first.
    func commitSoon() { commits.update { $0.isDue = true } }

    func commitNow() {
        commits.update { signals in
            signals.isDue = true
            signals.isUrgent = true
        }
    }

    /// Tells how long the log is after a commit.
    func noteLog(frames: Int) {
        guard frames >= limits.logFrames else { return }
        log.update { $0.frames = frames }
    }

    private func commitLoop() {
        while true {
            let isStopping = commits.wait { signals -> Bool? in
                if signals.isStopping { return true }
                return signals.isDue || signals.isDueLater ? false : nil
            }
            if isStopping { return }
            _ = commits.wait(for: Self.lateDelay) { signals -> Void? in
                signals.isStopping || signals.isDue ? () : nil
            }
            pause(limits.commitDelay, endingOnUrgency: true)
            // Before the commit: a change during it asks for the next.
            commits.withLock { signals in
                signals.isDue = false
                signals.isDueLater = false
                signals.isUrgent = false
            }
            do throws(FileSystemError) {
                noteLog(frames: try core.saveChanges().logFrames)
            } catch {
                // Changes are kept. Whoever needs them saved calls `commit` or `sync` and is
                // told; and who adds more is refused (`MetadataStore.change`).
                pause(Self.retryDelay, endingOnUrgency: false)
                commits.withLock { $0.isDue = true }
            }
        }
    }

    private func pause(_ duration: Duration, endingOnUrgency: Bool) {
        _ = commits.wait(for: duration) { signals -> Void? in
            signals.isStopping || (endingOnUrgency && signals.isUrgent) ? () : nil
        }
    }

    private func checkpointLoop() {
        while true {
            let isStopping = log.wait { signals -> Bool? in
                if signals.isStopping { return true }
                return signals.frames >= signals.threshold ? false : nil
            }
            if isStopping { return }
            // A failure leaves the log as it is; the next try comes with its growth.
            let isMoved = (try? core.checkpointer.moveWhatIsFree()) ?? false
            log.withLock { signals in
                signals.threshold = isMoved ? limits.logFrames : signals.frames + limits.logFrames
                signals.frames = 0
            }
        }
    }
}
