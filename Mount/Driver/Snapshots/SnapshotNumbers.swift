import Primitives
import Synchronization

/// Which snapshot has which number in a mount's inode numbers.
///
/// A number is never given to another snapshot while the mount lives: what the kernel knows by it
/// is of that one or of nothing.
final class SnapshotNumbers: Sendable {
    private struct State {
        var numbers: [UInt64: UInt16] = [:]
        var versions: [UInt16: UInt64] = [:]
    }

    private let state = Mutex(State())

    /// The number of a snapshot: made of its version, so that it is mostly the same in the next
    /// mount.
    ///
    /// - Throws: `unavailable` when all numbers are given, after 32,766 snapshots.
    func number(of version: UInt64) throws(FileSystemError) -> UInt16 {
        let found = state.withLock { state -> UInt16? in
            if let known = state.numbers[version] { return known }
            let range = SnapshotInode.numbers
            guard state.numbers.count < range.count else { return nil }
            var offset = UInt16(version % UInt64(range.count))
            while state.versions[range.lowerBound + offset] != nil {
                offset = offset + 1 == UInt16(range.count) ? 0 : offset + 1
            }
            let number = range.lowerBound + offset
            state.numbers[version] = number
            state.versions[number] = version
            return number
        }
        guard let found else {
            throw FileSystemError(
                .unavailable,
                "this mount has shown \(SnapshotInode.numbers.count) snapshots; mount anew for more"
            )
        }
        return found
    }

    /// The snapshot of a number; `nil` if it was not given in this mount.
    func version(of number: UInt16) -> UInt64? { state.withLock { $0.versions[number] } }
}
