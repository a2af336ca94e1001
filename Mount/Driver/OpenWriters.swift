import Primitives
import Synchronization

/// How many handles that may write each inode has open: where there is one, the kernel's
/// write-back cache may hold bytes that the engine has not seen.
final class OpenWriters: Sendable {
    private let counts = Mutex<[InodeNumber: Int]>([:])

    func add(_ ino: InodeNumber) {
        counts.withLock { $0[ino, default: 0] += 1 }
    }

    func remove(_ ino: InodeNumber) {
        counts.withLock { counts in
            guard let count = counts[ino] else { return }
            counts[ino] = count > 1 ? count - 1 : nil
        }
    }

    func contains(_ ino: InodeNumber) -> Bool {
        counts.withLock { $0[ino] != nil }
    }
}
