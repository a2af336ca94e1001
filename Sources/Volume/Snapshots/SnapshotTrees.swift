package import Primitives
import Disk
import Logging
import Metadata
import Synchronization

/// The snapshots of a volume and the trees of those that are looked into.
///
/// A tree is opened when somebody looks into it, which may fetch from the network, and closed
/// when another is wanted in its place: its database lies in `directory/VERSION/` meanwhile.
package final class SnapshotTrees: Sendable {
    /// Trees open at once; each has a database on disk and some 2 MiB of it in memory.
    package static let openMax = 8
    /// How old the list of snapshots may be that is answered with: those made or deleted from
    /// another place than this mount are seen so late.
    package static let listAge: Duration = .seconds(1)

    private enum Slot {
        /// Somebody opens or closes it.
        case busy
        case open(SnapshotTree, lastUse: UInt64)
    }

    private struct State {
        var slots: [UInt64: Slot] = [:]
        var uses: UInt64 = 0
        var isClosed = false

        var hasBusy: Bool {
            slots.values.contains { if case .busy = $0 { true } else { false } }
        }

        /// The tree that was not used for longest.
        var oldest: (version: UInt64, tree: SnapshotTree)? {
            let open = slots.compactMap { version, slot in
                if case .open(let tree, let lastUse) = slot {
                    (version, tree, lastUse)
                } else {
                    nil
                }
            }
            return open.min { $0.2 < $1.2 }.map { ($0.0, $0.1) }
        }
    }

    private struct List {
        var snapshots: [SnapshotInfo] = []
        /// When it was asked for, by the monotonic clock; `nil` if it must be asked for anew.
        var asked: Duration?
        /// When it was last seen to be another than before.
        var changed = Clock.now()
    }

    private let source: any SnapshotSource
    private let fetcher: Fetcher
    private let directory: String
    private let logger: Logger
    private let state = Condition(State())
    private let list = Mutex(List())
    /// Attributes of the roots of snapshots that were opened, while the snapshots are kept.
    private let roots = Mutex<[UInt64: Attributes]>([:])

    /// Removes what an earlier process left in `directory`.
    init(
        _ source: any SnapshotSource,
        fetcher: Fetcher,
        directory: String,
        logger: Logger
    ) throws(FileSystemError) {
        self.source = source
        self.fetcher = fetcher
        self.directory = directory
        self.logger = logger
        try Self.onDisk { () throws(DiskError) in
            if WholeFile.exists(directory) { try Directory.remove(tree: directory) }
        }
    }

    /// Closes all trees and removes their databases; from then on calls throw `closed`.
    package func close() {
        state.update { $0.isClosed = true }
        // Who opens or closes one now ends that first.
        state.wait { $0.hasBusy ? nil : () }
        state.update { $0.slots = [:] }
        fetcher.opened.forgetAll()
        do throws(DiskError) {
            try Directory.remove(tree: directory)
        } catch {
            logger.warning("\(directory) stays until the next mount: \(error)")
        }
    }

    // MARK: The list

    /// The snapshots, oldest first, as they were at most `listAge` ago.
    ///
    /// - Throws: `wouldWait`, and what the source throws.
    package func snapshots(wait: Wait) throws(FileSystemError) -> [SnapshotInfo] {
        let now = Clock.monotonic()
        let known = list.withLock { list -> [SnapshotInfo]? in
            guard let asked = list.asked, now - asked < Self.listAge else { return nil }
            return list.snapshots
        }
        if let known { return known }
        guard wait == .allowed else { throw FileSystemError(.wouldWait, "would wait") }
        return try refreshed()
    }

    /// When the list was last seen to be another than before.
    package var listChanged: Timestamp { list.withLock { $0.changed } }

    /// What `stat(2)` tells of a snapshot's root; `nil` if nobody has looked into it yet.
    ///
    /// Known from then on, whether its tree is open or not.
    package func rootAttributes(of version: UInt64) -> Attributes? {
        roots.withLock { $0[version] }
    }

    /// Notes that a snapshot was made or deleted: the next look asks the source.
    package func noteChange() { list.withLock { $0.asked = nil } }

    /// Asks the source, and closes the trees of snapshots that are gone.
    private func refreshed() throws(FileSystemError) -> [SnapshotInfo] {
        let now = Clock.monotonic()
        let snapshots = try source.snapshots().sorted { $0.version < $1.version }
        list.withLock { list in
            if list.snapshots != snapshots { list.changed = Clock.now() }
            list.snapshots = snapshots
            list.asked = now
        }
        let kept = Set(snapshots.map(\.version))
        roots.withLock { roots in roots = roots.filter { kept.contains($0.key) } }
        var gone: [SnapshotTree] = []
        state.update { state in
            for (version, slot) in state.slots where !kept.contains(version) {
                guard case .open(let tree, _) = slot else { continue }
                state.slots[version] = .busy
                gone.append(tree)
            }
        }
        for tree in gone { close(tree) }
        return snapshots
    }

    // MARK: Trees

    /// The tree of a snapshot, opened if it is not.
    ///
    /// - Throws: `stale` if the snapshot is gone, `wouldWait`, and what keeps it from being opened.
    package func tree(of version: UInt64, wait: Wait) throws(FileSystemError) -> SnapshotTree {
        if let tree = try known(version) { return tree }
        guard wait == .allowed else { throw FileSystemError(.wouldWait, "would wait") }
        switch reserve(version) {
        case .open(let tree): return tree
        case .mine(let closing):
            if let closing { close(closing) }
            return try open(version)
        case .closed: throw Self.closed
        }
    }

    private static let closed = FileSystemError(.closed, "the volume is being unmounted")

    /// The tree if it is open, which counts as its use.
    private func known(_ version: UInt64) throws(FileSystemError) -> SnapshotTree? {
        let found = state.withLock { state -> (SnapshotTree?, isClosed: Bool) in
            guard !state.isClosed else { return (nil, true) }
            guard case .open(let tree, _)? = state.slots[version] else { return (nil, false) }
            state.uses += 1
            state.slots[version] = .open(tree, lastUse: state.uses)
            return (tree, false)
        }
        if found.isClosed { throw Self.closed }
        return found.0
    }

    private enum Reservation {
        case open(SnapshotTree)
        /// The caller opens it, after it has closed another in its place.
        case mine(closing: SnapshotTree?)
        case closed
    }

    /// Waits until the tree is open or there is a place for it, which is the caller's then.
    private func reserve(_ version: UInt64) -> Reservation {
        state.wait { state in
            if state.isClosed { return .closed }
            switch state.slots[version] {
            case .open(let tree, _): return .open(tree)
            case .busy: return nil
            case nil: break
            }
            guard state.slots.count >= Self.openMax else {
                state.slots[version] = .busy
                return .mine(closing: nil)
            }
            guard let oldest = state.oldest else { return nil }
            state.slots[oldest.version] = .busy
            state.slots[version] = .busy
            return .mine(closing: oldest.tree)
        }
    }

    /// Opens a tree whose place is reserved.
    private func open(_ version: UInt64) throws(FileSystemError) -> SnapshotTree {
        let path = path(of: version)
        do throws(FileSystemError) {
            guard let snapshot = try refreshed().first(where: { $0.version == version }) else {
                throw FileSystemError(.stale, "snapshot \(version) is deleted")
            }
            try Self.onDisk { () throws(DiskError) in try Directory.make(path, durably: false) }
            let database = try source.materialize(version, in: path)
            let tree = SnapshotTree(
                snapshot,
                directory: path,
                metadata: try MetadataSnapshot(opening: database),
                source: source,
                fetcher: fetcher
            )
            let root = try tree.attributes(of: .root)
            roots.withLock { $0[version] = root }
            logger.debug("snapshot \(snapshot.directoryName) is open")
            state.update { state in
                state.uses += 1
                state.slots[version] = .open(tree, lastUse: state.uses)
            }
            return tree
        } catch {
            try? Directory.remove(tree: path)
            state.update { $0.slots[version] = nil }
            guard error.code == .notFound else { throw error }
            throw FileSystemError(.stale, "snapshot \(version): \(error.message)")
        }
    }

    /// Closes a tree whose place is marked busy, and frees the place.
    private func close(_ tree: SnapshotTree) {
        remove(tree)
        state.update { $0.slots[tree.snapshot.version] = nil }
    }

    /// Who still reads in the tree has its database open, and ends what it does.
    private func remove(_ tree: SnapshotTree) {
        do throws(DiskError) {
            try Directory.remove(tree: tree.directory)
        } catch {
            logger.warning("\(tree.directory) stays until the next mount: \(error)")
        }
    }

    private func path(of version: UInt64) -> String { "\(directory)/\(version)" }

    /// Plaintext that is kept in memory.
    package var openedBytes: Int { fetcher.opened.byteCount }

    private static func onDisk(
        _ body: () throws(DiskError) -> Void
    ) throws(FileSystemError) {
        do throws(DiskError) {
            try body()
        } catch {
            throw FileSystemError(error)
        }
    }
}
