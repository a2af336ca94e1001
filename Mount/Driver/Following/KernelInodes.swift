import Primitives
import Synchronization

/// The inodes that the kernel holds entries of.
final class KernelInodes: Sendable {
    private let counts = Mutex<[InodeNumber: UInt64]>([:])

    /// Counts one entry given to the kernel, before it is given; matched by `forget`.
    func retain(_ ino: InodeNumber) { counts.withLock { $0[ino, default: 0] += 1 } }

    /// The kernel drops `count` entries, or did not take them.
    func forget(_ ino: InodeNumber, count: UInt64) {
        counts.withLock { counts in
            guard let known = counts[ino] else { return }
            counts[ino] = known > count ? known - count : nil
        }
    }

    var all: [InodeNumber] { counts.withLock { Array($0.keys) } }
}
