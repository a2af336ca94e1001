import Disk
import Synchronization

/// Makes commits durable: one `fdatasync(2)` of the write-ahead log for all who wait.
///
/// With `synchronous=NORMAL` SQLite writes a commit's pages to the end of the log and does not
/// sync. With `FULL` it does the same and then syncs the log file, nothing else. So a commit in
/// NORMAL, followed by our own `fdatasync` of that file, is as durable as a commit in FULL; but
/// the sync happens outside all locks, only when somebody asked, and once for many commits. What
/// else needs an order SQLite sees to in NORMAL too: it syncs the log before it copies pages from
/// it to the database, and the database before it overwrites the log from its beginning.
final class LogSync: Sendable {
    private struct State {
        /// The last commit in the log.
        var committed: UInt64
        /// The last commit that is durable.
        var synced: UInt64
        var isSyncing = false
        /// After a failed sync the kernel may drop the pages and report success next time, so
        /// nothing later can be promised.
        var failure: DiskError?
    }

    private enum Turn {
        case done
        case sync(through: UInt64)
        case failed(DiskError)
    }

    private let log: Descriptor
    private let state: Condition<State>

    /// `synced`: the last commit, durable already.
    init(_ log: Descriptor, synced: UInt64) {
        self.log = log
        state = Condition(State(committed: synced, synced: synced))
    }

    /// Commit `sequence` is in the log.
    func noteCommit(_ sequence: UInt64) {
        state.withLock { $0.committed = max($0.committed, sequence) }
    }

    /// Returns once commit `sequence` and all before it are durable.
    ///
    /// Of those who wait at the same time one syncs for all; who comes while a sync runs waits
    /// for the next, since the running one may not cover his commit.
    func sync(through sequence: UInt64) throws(DiskError) {
        let turn = state.wait { state -> Turn? in
            if let failure = state.failure { return .failed(failure) }
            if state.synced >= sequence { return .done }
            if state.isSyncing { return nil }
            state.isSyncing = true
            return .sync(through: state.committed)
        }
        switch turn {
        case .done: return
        case .failed(let failure): throw failure
        case .sync(let through):
            var failure: DiskError?
            do throws(DiskError) { try log.syncData() } catch { failure = error }
            state.update { state in
                state.isSyncing = false
                state.failure = failure
                if failure == nil { state.synced = max(state.synced, through) }
            }
            if let failure { throw failure }
        }
    }
}
