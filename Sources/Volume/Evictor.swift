import Cache
import Disk
import Logging
import Metadata
import Primitives
import Synchronization

/// Keeps the cache below its cap by dropping clean blocks, files that were not used for longest
/// first.
///
/// Dirty blocks are never touched.
final class Evictor: Sendable {
    /// How often the cache's size is looked at while the volume is in use.
    private static let tick: Duration = .milliseconds(500)
    /// How often otherwise: others may fill the cache's disk.
    private static let idleTick: Duration = .seconds(10)
    /// Once above the cap, eviction goes on down to this share of it.
    private static let lowWater = 0.9
    /// Bytes of the cache disk that are left to others.
    private static let reserveBytes: UInt64 = 512 << 20
    /// Files of removed inodes that are freed in one idle turn.
    private static let freedMax = 512
    /// Rows looked at in one turn.
    private static let batchMax = 4096

    private let configuration: VolumeConfiguration
    private let metadata: MetadataStore
    private let cache: CacheStore
    private let contents: ContentTable
    private let logger: Logger
    private let isStopping = Condition(false)
    private let thread = Mutex<Thread?>(nil)

    init(
        configuration: VolumeConfiguration,
        metadata: MetadataStore,
        cache: CacheStore,
        contents: ContentTable,
        logger: Logger
    ) {
        self.configuration = configuration
        self.metadata = metadata
        self.cache = cache
        self.contents = contents
        self.logger = logger
    }

    func start() throws(FileSystemError) {
        do {
            let started = try Thread.spawn("evict") { [self] in run() }
            thread.withLock { $0 = started }
        } catch {
            throw FileSystemError(.inputOutput, error.description)
        }
    }

    func stop() {
        isStopping.update { $0 = true }
        metadata.wakeWaiters()
        thread.withLock { $0 }?.join()
    }

    /// Drops every clean block.
    ///
    /// - Returns: the bytes dropped.
    func dropAll() throws(FileSystemError) -> UInt64 {
        var dropped: UInt64 = 0
        var last: BlockKey?
        while true {
            let rows = try metadata.residentClean(after: last, limit: Self.batchMax)
            guard let end = rows.last else { return dropped }
            last = end.key
            for (ino, rows) in Dictionary(grouping: rows, by: \.key.ino) {
                dropped += try evict(rows.map(\.key.index), of: ino)
            }
        }
    }

    /// Drops clean blocks of about `bytes` in all, if there are so many.
    ///
    /// - Returns: the bytes dropped.
    func evict(_ bytes: UInt64) throws(FileSystemError) -> UInt64 {
        let rows = try metadata.residentClean(limit: Self.batchMax)
        let files = Dictionary(grouping: rows, by: \.key.ino)
            .map { (ino: $0.key, lastUse: contents.lastUse(of: $0.key), rows: $0.value) }
            .sorted { $0.lastUse < $1.lastUse }
        var dropped: UInt64 = 0
        for file in files where dropped < bytes {
            dropped += try evict(file.rows.map(\.key.index), of: file.ino)
        }
        return dropped
    }

    private func run() {
        while true {
            let mustStop = isStopping.wait(for: Self.tick) { $0 ? true : nil } ?? false
            if mustStop { return }
            let seen = metadata.changeCount
            do throws(FileSystemError) {
                while true {
                    let excess = try excessBytes()
                    guard excess > 0, try evict(excess) > 0 else { break }
                }
            } catch {
                logger.warning("the cache cannot be trimmed: \(error.message)")
            }
            metadata.waitForChange(after: seen, for: Self.idleTick) {
                isStopping.withLock { $0 }
            }
            if metadata.changeCount == seen { freeRetired() }
        }
    }

    /// Frees files of removed inodes, a part at a time: nobody is at work now.
    private func freeRetired() {
        do throws(FileSystemError) {
            _ = try cache.freeRetired(limit: Self.freedMax)
        } catch {
            logger.warning("files of removed inodes stay: \(error.message)")
        }
    }

    private func excessBytes() throws(FileSystemError) -> UInt64 {
        let resident = metadata.totals.residentBytes
        var excess: UInt64 = 0
        if resident > configuration.cacheBytesMax {
            let target = UInt64(Double(configuration.cacheBytesMax) * Self.lowWater)
            excess = resident - target
        }
        let free = try cache.freeBytes()
        if free < Self.reserveBytes { excess = max(excess, Self.reserveBytes - free) }
        return excess
    }

    /// Drops blocks of one file that are still clean.
    ///
    /// The row is gone before the bytes are: else a crash in between would leave a row that calls
    /// zeros clean.
    private func evict(
        _ indices: [BlockIndex],
        of ino: InodeNumber
    ) throws(FileSystemError) -> UInt64 {
        let content = contents.content(of: ino)
        do throws(FileSystemError) {
            try content.load(from: metadata, cachePath: cache.path(of: content.ino))
        } catch {
            // Reaped since its rows were read.
            guard error.code == .notFound else { throw error }
            return 0
        }
        return try content.state.write { state throws(FileSystemError) in
            guard !state.isReaped, state.passage == nil else { return 0 }
            var evicted: [BlockIndex] = []
            var bytes: UInt64 = 0
            for index in indices {
                // What is left of a lost block is nowhere else.
                guard var block = state.blocks[index.rawValue], block.dirtySince == nil,
                    !block.resident.isEmpty, block.location?.isLost != true
                else { continue }
                let segments = block.resident.rawValue.nonzeroBitCount * Geometry.segmentBytes
                bytes += UInt64(min(segments, Int(block.location?.validBytes ?? 0)))
                block.resident = []
                state.blocks[index.rawValue] = block
                evicted.append(index)
            }
            guard !evicted.isEmpty else { return 0 }
            _ = try metadata.evict(evicted.map { BlockKey(ino, $0) })
            if state.mayBeTrustedAgain { try metadata.sync() } else { try metadata.commit() }
            DurableStep.note(.blocksEvicted)
            if let last = state.blocks.keys.max(),
                state.blocks.values.allSatisfy({ $0.dirtySince == nil && $0.resident.isEmpty })
            {
                // Punched and not removed: ext4 is slow to give inodes out again that were freed in
                // the last minutes. Nor cut to nothing: it would write back at once, when the file
                // is closed, whatever is fetched into it next.
                try cache.punch(ino, 0..<BlockIndex(last).next.offset)
            } else {
                for index in evicted { try cache.punch(ino, index.offset..<index.next.offset) }
            }
            return bytes
        }
    }
}
