import Disk
import Primitives
import Synchronization

/// The contents in use, one object per inode, so that its lock is the inode's lock.
final class ContentTable: Sendable {
    /// Entries kept before those that nobody uses are dropped: about 300 bytes each and 100 more
    /// per block, so some ten megabytes for a working set of small files.
    private static let entriesMax = 32_768

    private let table = Mutex<[InodeNumber: FileContent]>([:])

    /// The content of `ino`; the same object to all who ask while anyone holds it.
    func content(of ino: InodeNumber, isNew: Bool = false) -> FileContent {
        table.withLock { table in
            if let content = table[ino] { return content }
            if table.count >= Self.entriesMax { Self.dropUnused(&table) }
            let content = FileContent(ino: ino, isNew: isNew)
            table[ino] = content
            return content
        }
    }

    func remove(_ ino: InodeNumber) {
        table.withLock { _ = $0.removeValue(forKey: ino) }
    }

    /// When `ino` was last used, in monotonic seconds; 0 if it is not in the table.
    func lastUse(of ino: InodeNumber) -> Int64 {
        table.withLock { $0[ino]?.lastUse.load(ordering: .relaxed) ?? 0 }
    }

    /// Drops the entries that only the table refers to.
    ///
    /// A reference is handed out only under the table's lock, so what is unique here stays unique
    /// until the lock is released; and all that an entry knows is in the metadata too, but for a
    /// change that is still dirty.
    private static func dropUnused(_ table: inout [InodeNumber: FileContent]) {
        var kept: [InodeNumber: FileContent] = [:]
        let inos = Array(table.keys)
        for ino in inos {
            guard var content = table.removeValue(forKey: ino) else { continue }
            if isKnownUniquelyReferenced(&content), !content.isPinned { continue }
            kept[ino] = content
        }
        table = kept
    }
}

extension FileContent {
    /// Whether something is known here that the metadata does not hold: an acknowledged sync of
    /// dirty bytes, the snapshot of an upload under way, or who has it open.
    fileprivate var isPinned: Bool {
        state.read { state in
            state.holdsAcknowledged || state.passage != nil || state.requestHandles > 0
                || state.mayBeTrustedAgain
                || state.blocks.values.contains { $0.snapshotTaken }
        }
    }
}
