import Primitives
import Synchronization

/// How many handles that may write each inode has open: where there is one, the kernel's
/// write-back cache may hold bytes that the engine has not seen.
final class OpenWriters: Sendable {
    private struct Writers {
        var count = 0
        /// Whether the inode's file capabilities were removed just now.
        var hasLostCapabilities = false
    }

    private let inodes = Mutex<[InodeNumber: Writers]>([:])

    func add(_ ino: InodeNumber) {
        inodes.withLock { $0[ino, default: Writers()].count += 1 }
    }

    func remove(_ ino: InodeNumber) {
        inodes.withLock { inodes in
            guard let writers = inodes[ino] else { return }
            if writers.count > 1 { inodes[ino]?.count -= 1 } else { inodes[ino] = nil }
        }
    }

    func contains(_ ino: InodeNumber) -> Bool {
        inodes.withLock { $0[ino] != nil }
    }

    /// Notes that file capabilities went: the kernel takes them away before a write, or a program.
    func noteLostCapabilities(of ino: InodeNumber) {
        inodes.withLock { $0[ino]?.hasLostCapabilities = true }
    }

    /// Whether file capabilities went that nobody has asked for yet.
    func takeLostCapabilities(of ino: InodeNumber) -> Bool {
        inodes.withLock { inodes in
            guard inodes[ino]?.hasLostCapabilities ?? false else { return false }
            inodes[ino]?.hasLostCapabilities = false
            return true
        }
    }
}
