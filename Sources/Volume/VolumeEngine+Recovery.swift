import Cache
import Disk
import Logging
import Metadata
import Primitives

// What a crash may leave, and what is done about it when the volume is opened:
//
// | left behind                                        | done                                  |
// |----------------------------------------------------|---------------------------------------|
// | no cache, or not this volume's                     | all clean residency is dropped; if it |
// |                                                    | held changes, opening fails unless    |
// |                                                    | told to discard them                  |
// | cached bytes of an inode that was never committed  | the cache file is removed             |
// | cached bytes of blocks that no committed row names | their range is punched                |
// | cached bytes past the committed size               | the cache file is truncated           |
// | the host went down: clean blocks may be stale      | all clean residency is dropped        |
// | the host went down: a changed block may be torn    | the placed version counts again, or   |
// |                                                    | none, if no sync had acknowledged the |
// |                                                    | change                                |
// | a file that the kernel wrote by itself             | its cache file tells size, time and  |
// |                                                    | blocks; after the host went down only |
// |                                                    | if it was synced                      |
// | a stripe being placed                              | abandoned; its shards are deleted     |
// | unlinked inodes that were still open               | reaped                                |
//
// After SIGKILL alone the page cache is whole, so clean blocks are kept: a clean block is marked
// dirty, and the mark committed, before its first new byte is written.

extension VolumeEngine {
    static func recover(
        _ configuration: VolumeConfiguration,
        metadata: MetadataStore,
        cache: CacheStore,
        logger: Logger
    ) throws(FileSystemError) {
        let identity = CacheIdentity(configuration)
        if try !identity.isIntact() {
            try forgetCache(configuration, metadata: metadata, logger: logger)
            try identity.renew()
        }
        // A clean end leaves them too, of files that programs still had open.
        try PassageRecovery(metadata: metadata, cache: cache, logger: logger).run()
        guard !metadata.wasCleanlyClosed else { return }
        if try metadata.didHostGoDown() {
            try dropCleanResidency(metadata)
            try revertUnsynced(metadata)
        }
        try metadata.commit()
        var repaired = 0
        for ino in try cache.inodes() {
            guard let attributes = try metadata.attributesIfPresent(of: ino) else {
                try cache.remove(ino)
                repaired += 1
                continue
            }
            try punchUnknown(ino, size: attributes.size, metadata: metadata, cache: cache)
        }
        // What was cut and punched here, or before the crash, must not come back at the next one in
        // a block that counts as durable.
        try cache.syncAll()
        // Only now: killed before, the next start does all of this again.
        try metadata.noteRecovered()
        DurableStep.note(.recovered)
        logger.notice("recovered after an unclean stop", metadata: ["removed": "\(repaired)"])
    }

    /// Goes on without the cache that the metadata speaks of.
    private static func forgetCache(
        _ configuration: VolumeConfiguration,
        metadata: MetadataStore,
        logger: Logger
    ) throws(FileSystemError) {
        let lost = try metadata.dirtyBlocks(limit: .max)
        // What the kernel had written to these is known to the cache alone.
        let unknown = try metadata.passthroughs()
        if !lost.isEmpty || !unknown.isEmpty {
            let totals = metadata.totals
            let what =
                "\(totals.dirtyBytes) bytes in \(totals.dirtyFiles) files,"
                + " perhaps more in \(unknown.count) that were open"
            guard configuration.discardsLostChanges else {
                throw FileSystemError(
                    .corrupt,
                    "the cache \(configuration.cacheDirectory) is gone, and with it changes"
                        + " (\(what)) that were nowhere else: put it back, or mount with"
                        + " -o discard-lost to go back to what is placed"
                )
            }
            try metadata.revert(lost.map(\.key))
            for block in try metadata.dirtyBlocks(limit: .max) {
                let index = block.key.index
                try metadata.removeBlocks(block.key.ino, index..<index.next)
                logger.error("inode \(block.key.ino.rawValue): block \(index.rawValue) is lost")
            }
            for entry in unknown { try metadata.endPassthrough(of: entry.ino) }
            logger.error("the cache was gone; discarded changes: \(what)")
        }
        try dropCleanResidency(metadata)
        try metadata.sync()
    }

    /// Forgets that any clean block is cached; their bytes are punched with the rest.
    private static func dropCleanResidency(_ metadata: MetadataStore) throws(FileSystemError) {
        var last: BlockKey?
        while true {
            let rows = try metadata.residentClean(after: last, limit: 4096)
            guard let end = rows.last else { return }
            last = end.key
            _ = try metadata.evict(rows.map(\.key))
        }
    }

    /// Takes changes back that no sync had acknowledged: the bytes around them, fetched from the
    /// providers and perhaps never written to this disk, may be gone.
    private static func revertUnsynced(_ metadata: MetadataStore) throws(FileSystemError) {
        for dirty in try metadata.dirtyBlocks(limit: .max) {
            let (ino, index) = (dirty.key.ino, dirty.key.index)
            guard let block = try metadata.block(index, of: ino),
                SegmentMask(rawValue: block.resident) != .all
            else { continue }
            if block.location != nil {
                try metadata.revert([dirty.key])
            } else {
                // Of a block that was a hole the disk may have less than was written, and more:
                // what was cut or punched out of the cache before, if that never reached the disk.
                try metadata.removeBlocks(ino, index..<index.next)
            }
        }
    }

    private static func punchUnknown(
        _ ino: InodeNumber,
        size: UInt64,
        metadata: MetadataStore,
        cache: CacheStore
    ) throws(FileSystemError) {
        try cache.truncate(ino, to: size)
        var known: [UInt64: BlockState] = [:]
        for block in try metadata.blocks(of: ino) { known[block.index.rawValue] = block }
        for range in try cache.dataRanges(of: ino) {
            let first = BlockIndex(containing: range.lowerBound).rawValue
            let last = BlockIndex(containing: range.upperBound - 1).rawValue
            for index in first...last {
                try punchUnknown(BlockIndex(index), of: ino, state: known[index], cache: cache)
            }
        }
    }

    private static func punchUnknown(
        _ index: BlockIndex,
        of ino: InodeNumber,
        state: BlockState?,
        cache: CacheStore
    ) throws(FileSystemError) {
        if state?.dirtySince != nil { return }
        let resident = SegmentMask(rawValue: state?.resident ?? 0)
        for segment in 0..<Geometry.segmentsPerBlock where !resident.contains(segment: segment) {
            let start = index.offset + UInt64(segment * Geometry.segmentBytes)
            try cache.punch(ino, start..<start + UInt64(Geometry.segmentBytes))
        }
        // A cut block keeps zeros behind its last valid byte.
        if let valid = state?.location?.validBytes, Int(valid) < Geometry.blockBytes {
            let start = index.offset + UInt64(valid)
            let end = index.offset + UInt64(Geometry.blockBytes)
            try cache.punch(ino, start..<end)
        }
    }
}

extension MetadataStore {
    /// Whether the host itself stopped without order since the store was last open.
    func didHostGoDown() throws(FileSystemError) -> Bool {
        do throws(DiskError) {
            let bootID = try Host.bootID()
            return !wasCleanlyClosed && bootIDAtLastOpen != bootID
        } catch {
            throw FileSystemError(error)
        }
    }

    /// The attributes of an inode that may be gone.
    func attributesIfPresent(of ino: InodeNumber) throws(FileSystemError) -> Attributes? {
        do throws(FileSystemError) {
            return try attributes(of: ino)
        } catch {
            guard error.code == .notFound else { throw error }
            return nil
        }
    }
}
