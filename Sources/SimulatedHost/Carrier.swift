import Disk
import Synchronization

/// A thread of the kernel that runs simulated threads, one after the other.
///
/// Making one costs some twenty microseconds, and a simulated network makes a thread for each
/// message; so those that are done wait for the next.
final class Carrier: Sendable {
    let baton = Baton()
    private let work = Mutex<WorldThread?>(nil)

    init() throws(DiskError) {
        // Nobody joins it: it ends when it is woken without work.
        _ = try Thread.spawnInKernel("simulated") { [self] in
            while true {
                baton.wait()
                guard let thread = take() else { return }
                thread.run()
                // From here on another may use this carrier; the baton keeps what it posts.
                thread.scheduler.end(thread, on: self)
            }
        }
    }

    /// The thread to be run when the baton is posted next.
    func assign(_ thread: WorldThread) { work.withLock { $0 = thread } }

    private func take() -> WorldThread? {
        work.withLock { work in
            defer { work = nil }
            return work
        }
    }

    /// Ends the kernel's thread, which runs nothing.
    func dismiss() { baton.post() }
}
