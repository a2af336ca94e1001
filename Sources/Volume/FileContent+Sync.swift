import Disk
import Cache
import Metadata
import Primitives

extension FileContent {
    /// Whether a dirty block is not known to be durable on this host.
    var hasUnsynced: Bool {
        state.read { state in
            state.blocks.values.contains { $0.dirtySince != nil && !$0.isSynced }
        }
    }

    /// Syncs the cache file, and notes which dirty blocks it now holds durably.
    ///
    /// They count as durable once the metadata, too, is synced.
    func sync(_ cache: CacheStore, _ metadata: MetadataStore) throws(FileSystemError) {
        let unsynced = state.write { state -> [UInt64: Timestamp] in
            var tokens: [UInt64: Timestamp] = [:]
            for (index, block) in state.blocks {
                guard let token = block.dirtySince else { continue }
                state.holdsAcknowledged = true
                if !block.isSynced { tokens[index] = token }
            }
            return tokens
        }
        try cache.sync(ino)
        guard !unsynced.isEmpty else { return }
        try state.write { state throws(FileSystemError) in
            for (index, token) in unsynced {
                // A block that changed its token meanwhile may hold bytes fetched since.
                guard var block = state.blocks[index], block.dirtySince == token else { continue }
                block.isSynced = true
                state.blocks[index] = block
                try metadata.setResident(ino, BlockIndex(index), SegmentMask.all.rawValue)
            }
        }
        DurableStep.note(.residencyRecorded)
    }
}
