import Disk
import Logging
package import Primitives
import Synchronization

/// The tree that a following mount shows, and those of earlier heads of which files are open that
/// are gone since.
///
/// Whoever answers a request takes one tree and asks nothing of another. Trees never change; a tree
/// that was replaced has no name on disk any more, and its room is free when nobody has it.
package final class FollowedTrees: Sendable {
    /// Earlier trees that are kept for open files at most, each with a database on disk; the oldest
    /// goes first, and its files are stale.
    package static let earlierMax = 8

    private struct State {
        var current: SnapshotTree?
        /// Openings of each file.
        var opens: [InodeNumber: Int] = [:]
        /// Where open files are that the current tree lacks.
        var gone: [InodeNumber: SnapshotTree] = [:]
    }

    private let state = Mutex(State())
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    /// The tree of the newest head; `nil` as long as this machine's own state is shown.
    package var current: SnapshotTree? { state.withLock { $0.current } }

    /// The tree that tells of an inode: the newest, unless the inode is open and gone from it.
    ///
    /// - Throws: `stale` if there is no inode of that number any more.
    package func tree(of ino: InodeNumber) throws(FileSystemError) -> SnapshotTree {
        let (current, gone) = state.withLock { ($0.current, $0.gone[ino]) }
        guard let current else { throw FileSystemError(.stale, "no head is followed yet") }
        guard let gone else { return current }
        return try has(current, ino) ? current : gone
    }

    /// Counts an opening; ended by `close`.
    package func open(_ ino: InodeNumber) throws(FileSystemError) {
        // Counted before the tree is asked: a tree that comes meanwhile finds it counted.
        let tree = state.withLock { state in
            state.opens[ino, default: 0] += 1
            return state.gone[ino] ?? state.current
        }
        do throws(FileSystemError) {
            guard let tree, try has(tree, ino) else {
                throw FileSystemError(.stale, "inode \(ino.rawValue) is gone")
            }
        } catch {
            close(ino)
            throw error
        }
    }

    package func close(_ ino: InodeNumber) {
        // The tree goes outside of the lock.
        let gone = state.withLock { state -> SnapshotTree? in
            let count = state.opens[ino, default: 1] - 1
            guard count <= 0 else {
                state.opens[ino] = count
                return nil
            }
            state.opens[ino] = nil
            return state.gone.removeValue(forKey: ino)
        }
        withExtendedLifetime(gone) {}
    }

    /// Shows another tree from now on, and takes the name of the one before off the disk.
    func replace(with tree: SnapshotTree) {
        let (old, candidates) = state.withLock { state -> (SnapshotTree?, [InodeNumber]) in
            let old = state.current
            state.current = tree
            guard let old else { return (nil, []) }
            let candidates = state.opens.keys.filter { state.gone[$0] == nil }
            for ino in candidates { state.gone[ino] = old }
            return (old, Array(candidates))
        }
        let there = candidates.filter { (try? has(tree, $0)) ?? true }
        var dropped: [SnapshotTree] = []
        state.withLock { state in
            for ino in there where state.gone[ino] === old { state.gone[ino] = nil }
            dropped = Self.limit(&state)
        }
        for tree in dropped {
            logger.warning(
                """
                files that were removed before head \(tree.snapshot.version) was followed by the \
                next are still open; they are stale now, since too many heads came after it
                """
            )
        }
        if let old { remove(old) }
    }

    /// Lets go of the oldest trees until there are no more than `earlierMax`.
    private static func limit(_ state: inout State) -> [SnapshotTree] {
        var dropped: [SnapshotTree] = []
        while true {
            var trees: [ObjectIdentifier: SnapshotTree] = [:]
            for tree in state.gone.values { trees[ObjectIdentifier(tree)] = tree }
            guard trees.count > earlierMax,
                let oldest = trees.values.min(by: { $0.snapshot.time < $1.snapshot.time })
            else { return dropped }
            state.gone = state.gone.filter { $0.value !== oldest }
            dropped.append(oldest)
        }
    }

    private func has(_ tree: SnapshotTree, _ ino: InodeNumber) throws(FileSystemError) -> Bool {
        do throws(FileSystemError) {
            _ = try tree.attributes(of: ino)
            return true
        } catch {
            guard error.code == .notFound else { throw error }
            return false
        }
    }

    private func remove(_ tree: SnapshotTree) {
        do throws(DiskError) {
            try Directory.remove(tree: tree.directory)
        } catch {
            logger.warning("\(tree.directory) stays until the next mount: \(error)")
        }
    }
}
