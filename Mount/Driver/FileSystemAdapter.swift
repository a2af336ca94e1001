package import Disk
package import FUSE
package import Logging
package import Primitives
package import Volume
import Synchronization

/// Turns the kernel's requests into calls of the engine and its answers into replies; the only
/// place that knows both.
///
/// Every call is tried on the session's own thread with `wait: .never`. What would wait for a disk
/// sync or the network is handed to a lane of blocking threads and replied to from there. Lanes
/// never wait for each other: syncs have their own, so that reads that wait for the network do not
/// hold them up, and so have calls that make the kernel send further requests.
package final class FileSystemAdapter: Operations, RequestServing {
    /// Threads that wait for the network: the 16 requests of 64 KiB to 1 MiB that readahead sends
    /// at once.
    private static let dataThreadCount = 16
    /// Requests that wait for one; a write among them holds a copy of at most 1 MiB.
    private static let dataQueueMax = 64
    /// Threads that wait for disk syncs; syncs of several threads share one commit.
    private static let syncThreadCount = 4
    private static let syncQueueMax = 64
    /// Threads in calls that wait for the kernel, and so for the session's threads.
    ///
    /// Those never wait for room here: past the limit the call fails.
    private static let kernelThreadCount = 2
    private static let kernelQueueMax = 256

    let engine: VolumeEngine
    let logger: Logger
    /// Answers `user.mefs.control` on every file and directory.
    let controlPath: [UInt8]
    /// When reading files and links, and when reading directories changes access times.
    let accessTimes: AccessTimePolicy
    let directoryAccessTimes: AccessTimePolicy
    let writers = OpenWriters()
    let dataLane: BlockingPool
    let syncLane: BlockingPool
    let kernelLane: BlockingPool
    let backings = BackingFiles()
    /// Whether the kernel takes backing files.
    let passesThrough = Atomic(false)
    /// Whether all that would change the volume is refused.
    private let isFrozen = Atomic(false)
    private let attached = Mutex<Session?>(nil)
    private let onStart: @Sendable () -> Void

    /// Starts the lanes' threads.
    ///
    /// - Parameters:
    ///   - engine: Answers the requests.
    ///   - controlPath: Path of the mount's control socket.
    ///   - accessTimes: When reading changes access times.
    ///   - directoryAccessTimes: The same for directories.
    ///   - logger: Hears of what is worse than programs expect.
    ///   - onStart: Called once the kernel has agreed on the protocol.
    /// - Throws: what keeps a thread from being started.
    package init(
        _ engine: VolumeEngine,
        controlPath: String,
        accessTimes: AccessTimePolicy,
        directoryAccessTimes: AccessTimePolicy,
        logger: Logger,
        onStart: @escaping @Sendable () -> Void = {}
    ) throws(DiskError) {
        self.engine = engine
        self.logger = logger
        self.controlPath = Array(controlPath.utf8)
        self.accessTimes = accessTimes
        self.directoryAccessTimes = directoryAccessTimes
        self.onStart = onStart
        dataLane = try BlockingPool(
            "data",
            threadCount: Self.dataThreadCount,
            queueMax: Self.dataQueueMax
        )
        syncLane = try BlockingPool(
            "sync",
            threadCount: Self.syncThreadCount,
            queueMax: Self.syncQueueMax
        )
        kernelLane = try BlockingPool(
            "kernel",
            threadCount: Self.kernelThreadCount,
            queueMax: Self.kernelQueueMax
        )
    }

    /// Tells which session's kernel caches to invalidate.
    package func attach(_ session: Session) {
        attached.withLock { $0 = session }
    }

    /// The session that serves, from `attach` to `close`.
    var session: Session? { attached.withLock { $0 } }

    /// Answers what was handed over and stops the lanes; once the session's threads have ended.
    package func close() {
        dataLane.close()
        syncLane.close()
        kernelLane.close()
        attached.withLock { $0 = nil }
    }

    // MARK: Refusing changes

    /// Refuses changes from now on (EROFS): another machine writes the volume.
    ///
    /// What the kernel has accepted before and only cached is still taken.
    package func freeze() { isFrozen.store(true, ordering: .releasing) }

    /// Whether changes are refused.
    var refusesChanges: Bool { isFrozen.load(ordering: .relaxed) }

    package func started() {
        passesThrough.store(session?.takesBackingFiles ?? false, ordering: .relaxed)
        onStart()
    }

    /// Has the kernel write back and drop the pages of every inode it knows.
    ///
    /// Never on a thread of the session.
    package func dropKernelPages() {
        for ino in engine.knownInodes() { _ = dropKernelPages(of: ino) }
    }

    /// - Returns: whether the engine has seen all of the inode's bytes now.
    func dropKernelPages(of ino: InodeNumber) -> Bool {
        session?.invalidate(ino) ?? false
    }

    /// Has the kernel ask for an inode's attributes when next it needs them.
    func forgetAttributes(of ino: InodeNumber) {
        session?.invalidateAttributes(of: ino)
    }
}
