import Disk
import Synchronization

/// Cache files of inodes that are gone, emptied and kept until nobody makes files.
///
/// ext4 gives a file's inode out again minutes after it was freed, and until then looks at it each
/// time a file is made: with some thousand of them that takes half a millisecond. Builds and
/// checkouts make and remove files by turns, so the inodes are freed later.
///
/// None is used again: were the two renamings that takes to reach the disk in another order, a
/// power cut could leave two inodes with one file.
final class RetiredFiles: Sendable {
    /// Files kept, some 256 bytes of disk each.
    private static let countMax = 16_384

    private struct State {
        var files: [UInt64] = []
        /// Files kept, and those on their way to be.
        var count = 0
        var last: UInt64 = 0
    }

    private let directory: String
    private let state = Mutex(State())

    /// Begins with none: after a crash one may still hold bytes.
    init(directory: String) throws(DiskError) {
        self.directory = directory
        if Directory.isDirectory(directory) { try Directory.remove(tree: directory) }
        try Directory.make(directory, durably: false)
    }

    /// Takes the file at `path` away and keeps it, emptied; does nothing if there is none.
    ///
    /// One that somebody has open is removed instead: he counts on its being what it was.
    ///
    /// - Returns: `false`, and the file stays, if enough are kept.
    func keep(_ path: String) throws(DiskError) -> Bool {
        guard let number = reserve() else { return false }
        var isKept = false
        defer {
            state.withLock { state in
                if isKept { state.files.append(number) } else { state.count -= 1 }
            }
        }
        let retired = name(number)
        do throws(DiskError) {
            try Directory.replace(retired, with: path)
        } catch {
            // A directory that cannot grow on a full disk is no reason to keep the bytes.
            return error.isNotFound
        }
        // From here on nobody opens it any more.
        isKept = (try? empty(retired)) ?? false
        if !isKept { try WholeFile.remove(retired) }
        return true
    }

    /// Removes up to `limit` of those kept, the oldest first.
    ///
    /// - Returns: Whether that was all.
    func free(_ limit: Int) throws(DiskError) -> Bool {
        let (files, isAll) = state.withLock { state -> ([UInt64], Bool) in
            let files = Array(state.files.prefix(limit))
            state.files.removeFirst(files.count)
            state.count -= files.count
            return (files, state.files.isEmpty)
        }
        for number in files { try WholeFile.remove(name(number)) }
        return isAll
    }

    private func reserve() -> UInt64? {
        state.withLock { state in
            guard state.count < Self.countMax else { return nil }
            state.count += 1
            state.last += 1
            return state.last
        }
    }

    /// - Returns: Whether the file is empty now; not if it is open elsewhere.
    private func empty(_ path: String) throws(DiskError) -> Bool {
        let file = try Descriptor(opening: path, .readWrite)
        guard try file.isOpenOnce() else { return false }
        try file.truncate(to: 0)
        return true
    }

    private func name(_ number: UInt64) -> String { "\(directory)/\(number)" }
}
