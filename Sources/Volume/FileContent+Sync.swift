import Cache
import Disk
import Metadata
import Primitives

extension FileContent {
    /// A dirty block as a sync found it.
    private struct Found {
        let token: Timestamp
        let version: UInt64
    }

    /// Whether something dirty is not known to be durable on this host.
    var hasUnsynced: Bool {
        state.read { state in state.blocks.values.contains { $0.isUnsynced } }
    }

    /// Since when that is so, by the monotonic clock.
    var unsyncedSince: Duration? { state.read { $0.unsyncedSince } }

    /// Syncs the cache file, and notes which dirty blocks it now holds durably.
    ///
    /// They count as durable once the metadata, too, is synced.
    func sync(_ cache: CacheStore, _ metadata: MetadataStore) throws(FileSystemError) {
        if try syncOnce(cache, metadata) { return }
        // A block was written to while an upload had it, and has another token. What it held before
        // must not go back to the placed version either, so nobody writes this time.
        try state.write { state throws(FileSystemError) in
            try cache.sync(ino)
            for (index, block) in state.blocks where block.isUnsynced {
                try state.note(block, index, of: ino, synced: block.version, in: metadata)
            }
            state.unsyncedSince = nil
        }
        DurableStep.note(.residencyRecorded)
    }

    /// - Returns: Whether every block that was dirty before is noted, or clean.
    private func syncOnce(
        _ cache: CacheStore,
        _ metadata: MetadataStore
    ) throws(FileSystemError) -> Bool {
        let dirty = state.write { state -> [UInt64: Found] in
            var found: [UInt64: Found] = [:]
            for (index, block) in state.blocks {
                guard let token = block.dirtySince else { continue }
                state.holdsAcknowledged = true
                if block.isUnsynced { found[index] = Found(token: token, version: block.version) }
            }
            return found
        }
        try cache.sync(ino)
        let areAllNoted = try state.write { state throws(FileSystemError) in
            var areAllNoted = true
            for (index, found) in dirty {
                guard let block = state.blocks[index], block.isUnsynced else { continue }
                // A block that changed its token meanwhile may hold bytes fetched since.
                if block.dirtySince == found.token || block.isSynced {
                    try state.note(block, index, of: ino, synced: found.version, in: metadata)
                } else {
                    areAllNoted = false
                }
            }
            let isUnsynced = state.blocks.values.contains { $0.isUnsynced }
            state.unsyncedSince = isUnsynced ? Clock.monotonic() : nil
            return areAllNoted
        }
        DurableStep.note(.residencyRecorded)
        return areAllNoted
    }
}

extension FileContentState {
    /// The cache holds `block` durably as it was at `version`.
    fileprivate mutating func note(
        _ block: Block,
        _ index: UInt64,
        of ino: InodeNumber,
        synced version: UInt64,
        in metadata: MetadataStore
    ) throws(FileSystemError) {
        if !block.isSynced {
            try metadata.setResident(ino, BlockIndex(index), SegmentMask.all.rawValue)
        }
        blocks[index]?.isSynced = true
        blocks[index]?.syncedVersion = version
    }
}

extension FileContentState.Block {
    /// Whether its newest bytes are here only, and not known to be durable.
    fileprivate var isUnsynced: Bool {
        dirtySince != nil && !(isSynced && syncedVersion == version)
    }
}
