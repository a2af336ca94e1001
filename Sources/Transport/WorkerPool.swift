import NIOPosix
import Synchronization

/// Threads for what blocks: reading disks, hashing.
///
/// Bounded in threads and in work that waits.
package final class WorkerPool: Sendable {
    /// Work items that may wait or run at once.
    ///
    /// Every item is a request in flight of some connection, which its own limits bound; this is
    /// the limit over all connections.
    package static let itemsMax = 4096

    private let threads: NIOThreadPool
    private let items = Atomic<Int>(0)

    package init(threads count: Int) {
        threads = NIOThreadPool(numberOfThreads: max(1, count))
        threads.start()
    }

    /// Runs `work` on one of the threads later; `false`, without running it, if too much waits or
    /// the pool has stopped.
    package func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
        guard items.add(1, ordering: .relaxed).newValue <= Self.itemsMax else {
            items.subtract(1, ordering: .relaxed)
            return false
        }
        threads.submit { state in
            // A cancelled item is dropped with what it captured; a reply that is dropped answers.
            if case .active = state { work() }
            self.items.subtract(1, ordering: .relaxed)
        }
        return true
    }

    /// Lets running items end, drops waiting ones, ends the threads.
    ///
    /// Blocks.
    package func stop() {
        try? threads.syncShutdownGracefully()
    }
}
