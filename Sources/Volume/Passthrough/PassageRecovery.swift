import Cache
import Disk
import Logging
import Metadata
import Primitives

/// Learns, after a crash, what the kernel had written to cache files by itself.
///
/// After a kill such a file is all in the kernel's page cache, and is what its program last wrote.
/// After a power cut it is so if a sync had made the whole of it durable; else what the metadata
/// holds counts, as for every change that nobody synced.
struct PassageRecovery {
    let metadata: MetadataStore
    let cache: CacheStore
    let logger: Logger

    func run() throws(FileSystemError) {
        let entries = try metadata.passthroughs()
        guard !entries.isEmpty else { return }
        let didHostGoDown = try metadata.didHostGoDown()
        for entry in entries {
            if entry.isSynced || !didHostGoDown {
                do throws(FileSystemError) {
                    try learn(entry, isDurable: entry.isSynced)
                } catch {
                    // Removed since.
                    guard error.code == .notFound else { throw error }
                }
            }
            try metadata.endPassthrough(of: entry.ino)
        }
        // Before the rest of recovery punches what is clean: were the notes back after another
        // power cut, the holes would be taken for what was written.
        try metadata.sync()
    }

    private func learn(
        _ entry: Passthrough,
        isDurable: Bool
    ) throws(FileSystemError) {
        let ino = entry.ino
        guard WholeFile.exists(cache.path(of: ino)) else { return }
        let attributes = try metadata.attributes(of: ino)
        // Who still writes to it does so to what the volume has no more.
        let parted = try cache.part(ino)
        let file = try cache.openFile(ino)
        let stamp = try onDisk { () throws(DiskError) in try file.stamp() }
        let isCut = stamp.size < attributes.size
        if isCut {
            var change = AttributeChange()
            change.size = stamp.size
            _ = try metadata.setAttributes(change, of: ino, now: attributes.changed)
        }
        let scan = PassageScan(file: file, size: stamp.size)
        var known: [UInt64: FileContentState.Block] = [:]
        for row in try metadata.blocks(of: ino) {
            known[row.index.rawValue] = FileContentState.Block(
                location: row.location,
                resident: SegmentMask(rawValue: row.resident),
                dirtySince: row.dirtySince
            )
        }
        var changed: [UInt64] = []
        for index in try scan.candidates(placed: known.keys) {
            let block = known[index]
            if let block, block.dirtySince == nil, !block.missing(.all).isEmpty {
                // Never so while the file was open: what is placed counts.
                logger.error("inode \(ino.rawValue): block \(index) was not wholly cached")
                continue
            }
            if try scan.isChanged(index, block) { changed.append(index) }
        }
        // A copy is younger than what was written.
        let modified = parted ?? stamp.modified
        try metadata.recordWrite(
            ino,
            growingTo: stamp.size,
            now: modified != entry.modified ? modified : nil
        )
        for index in changed {
            // Of what was dirty and durable before, more may have been written, but nothing lost.
            let wasDurable = known[index].map {
                $0.dirtySince != nil && $0.resident == .all
            }
            try metadata.markDirty(
                ino,
                BlockIndex(index),
                since: Clock.now(),
                resident: isDurable || wasDurable == true ? SegmentMask.all.rawValue : 0
            )
        }
    }
}
