import Disk
import Logging
import Primitives
import Synchronization

/// Follows the policy by which heads are kept, on a thread of its own.
final class SnapshotKeeper: Sendable {
    /// How often it is looked whether a snapshot is due or has had its time: the shortest unit of
    /// a policy is an hour.
    private static let tick: Duration = .seconds(60)

    private struct State {
        var isStopping = false
        var mustLook = false
    }

    private let logger: Logger
    private let state = Condition(State())
    private let thread = Mutex<Thread?>(nil)

    init(logger: Logger) { self.logger = logger }

    /// `heads` holds the engine, which ends the thread before it goes.
    func start(_ heads: KeptHeads) throws(FileSystemError) {
        do {
            let started = try Thread.spawn("snapshots") { [self] in run(heads) }
            thread.withLock { $0 = started }
        } catch {
            throw FileSystemError(.inputOutput, error.description)
        }
    }

    func stop() {
        state.update { $0.isStopping = true }
        thread.withLock { $0 }?.join()
    }

    /// Looks at once: the policy is another.
    func look() { state.update { $0.mustLook = true } }

    private func run(_ heads: KeptHeads) {
        Thread.lowerPriority()
        while true {
            let isStopping = state.wait(for: Self.tick) { state -> Bool? in
                state.isStopping || state.mustLook ? state.isStopping : nil
            }
            if isStopping ?? false { return }
            state.update { $0.mustLook = false }
            do throws(FileSystemError) {
                try heads.followPolicy()
            } catch {
                logger.warning("snapshots by policy: \(error.message)")
            }
        }
    }
}
