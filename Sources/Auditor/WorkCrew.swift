import Disk

/// A bounded number of threads for work that waits for the network; none while there is none.
package final class WorkCrew: Sendable {
    /// Four audits, four amendments, two repairs, and one each for beacon, scores, receipts,
    /// probes, doubts and removals.
    package static let usualLimit = 16

    private struct State {
        var running = 0
    }

    private let limit: Int
    private let state = Condition(State())

    /// With a `limit` of 0 work runs on the thread that brings it: for tests.
    package init(limit: Int) {
        precondition(limit >= 0)
        self.limit = limit
    }

    /// Runs `work` on a thread of its own; `false`, without running it, if all are busy.
    ///
    /// `top -H` shows `name`.
    package func run(_ name: String, _ work: @escaping @Sendable () -> Void) -> Bool {
        guard limit > 0 else {
            work()
            return true
        }
        let mayRun = state.withLock { state -> Bool in
            guard state.running < limit else { return false }
            state.running += 1
            return true
        }
        guard mayRun else { return false }
        do throws(DiskError) {
            try Thread.spawn(name) { [self] in
                work()
                state.update { $0.running -= 1 }
            }
        } catch {
            // No thread is to be had: as if all were busy.
            state.update { $0.running -= 1 }
            return false
        }
        return true
    }

    /// Waits until nothing runs.
    package func settle() {
        _ = state.wait { $0.running == 0 ? true : nil }
    }
}
