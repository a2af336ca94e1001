import Primitives
import Synchronization

/// Who still refers to an inode: open handles and the kernel's lookups.
///
/// An inode whose last name is gone lives on until both counts are zero; see `man 2 unlink`.
final class LiveInodes: Sendable {
    private struct Counts {
        var opens = 0
        var writers = 0
        var lookups: UInt64 = 0

        var isZero: Bool { opens == 0 && lookups == 0 }
    }

    private struct State {
        var counts: [InodeNumber: Counts] = [:]
        /// Inodes without a name.
        var orphans: Set<InodeNumber> = []

        /// Forgets zero counts; whether `ino` is now an orphan that nobody uses.
        mutating func settle(_ ino: InodeNumber) -> Bool {
            if let counts = counts[ino] {
                guard counts.isZero else { return false }
                self.counts[ino] = nil
            }
            return orphans.remove(ino) != nil
        }
    }

    private let state = Mutex(State())

    func retain(_ ino: InodeNumber) {
        state.withLock { $0.counts[ino, default: Counts()].lookups += 1 }
    }

    /// Whether the inode can be reaped now.
    func forget(_ ino: InodeNumber, count: UInt64) -> Bool {
        state.withLock { state in
            if var counts = state.counts[ino] {
                counts.lookups -= min(count, counts.lookups)
                state.counts[ino] = counts
            }
            return state.settle(ino)
        }
    }

    func open(_ ino: InodeNumber, forWriting: Bool) {
        state.withLock { state in
            state.counts[ino, default: Counts()].opens += 1
            if forWriting { state.counts[ino, default: Counts()].writers += 1 }
        }
    }

    /// Whether the inode can be reaped now.
    func release(_ ino: InodeNumber, forWriting: Bool) -> Bool {
        state.withLock { state in
            if var counts = state.counts[ino] {
                counts.opens = max(0, counts.opens - 1)
                if forWriting { counts.writers = max(0, counts.writers - 1) }
                state.counts[ino] = counts
            }
            return state.settle(ino)
        }
    }

    /// Notes that the last name of `ino` is gone; whether it can be reaped now.
    func orphan(_ ino: InodeNumber) -> Bool {
        state.withLock { state in
            state.orphans.insert(ino)
            return state.settle(ino)
        }
    }

    /// Notes that `ino` has a name again (`link` of an unlinked open file).
    func adopt(_ ino: InodeNumber) {
        state.withLock { _ = $0.orphans.remove(ino) }
    }

    /// Whether the kernel has an entry or handle of the inode.
    func isKnown(_ ino: InodeNumber) -> Bool {
        state.withLock { $0.counts[ino] != nil }
    }

    /// The inodes the kernel knows, for dropping its caches.
    func known() -> [InodeNumber] {
        state.withLock { Array($0.counts.keys) }
    }
}
