package import Primitives
import Cache
import Disk
import Logging
import Metadata
import Synchronization

// Reading and writing the bytes of files.
//
// A write goes to the cache file and is acknowledged; nothing of it waits for the network unless
// it changes part of a block that is not cached. The order of steps for a block that is clean:
//   1. the dirty mark is committed (survives SIGKILL),
//   2. the bytes are written to the cache file,
//   3. size and time are recorded, to be committed with the next batch.
// A block of which the cache holds nothing, a hole or one that is overwritten whole, is marked
// last: until then it is what it was, and recovery punches the bytes. So a write that the disk
// refuses half-way takes nothing from such a block: the bytes are punched at once.

extension VolumeEngine {
    /// How often a read or write is tried again when what it fetched was evicted under it.
    private static let fetchRoundsMax = 16

    /// Reads up to `buffer.count` bytes at `offset`; fewer only at the end of the file.
    ///
    /// - Throws: `unavailable` if too few providers answer, `corrupt` if no set of shards gives
    ///   bytes that pass their tags, `noSpace` if the cache disk is full and nothing clean can be
    ///   evicted.
    package func read(
        _ ino: InodeNumber,
        offset: UInt64,
        into buffer: UnsafeMutableRawBufferPointer,
        wait: Wait
    ) throws(FileSystemError) -> Int {
        let content = try loaded(ino)
        for _ in 0..<Self.fetchRoundsMax {
            let size = try metadata.attributes(of: ino).size
            guard offset < size, !buffer.isEmpty else { return 0 }
            let end = offset + min(UInt64(buffer.count), size - offset)
            let missing = try content.state.read { state throws(FileSystemError) in
                let missing = Self.missing(offset..<end, in: state)
                if missing.isEmpty {
                    let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(end - offset)])
                    try cache.read(ino, offset: offset, into: part)
                }
                return missing
            }
            if missing.isEmpty {
                fetcher.noteRead(offset..<end, of: content, size: size)
                return Int(end - offset)
            }
            guard wait == .allowed else { throw Self.wouldWait }
            do throws(FileSystemError) {
                try fetcher.fetch(missing, of: content, reading: offset..<end, size: size)
            } catch {
                try makeRoom(for: UInt64(buffer.count), after: error)
            }
        }
        throw FileSystemError(
            .unavailable,
            "the cache is too small to hold one read; raise cache-size"
        )
    }

    /// Writes all of `buffer` at `offset`.
    ///
    /// `keepsTimes`: the caller sets modification and change time itself.
    ///
    /// - Throws: `noSpace` if the cache disk is full and nothing clean can be evicted,
    ///   `fileTooLarge` past `Geometry.fileBytesMax`.
    package func write(
        _ ino: InodeNumber,
        offset: UInt64,
        from buffer: UnsafeRawBufferPointer,
        keepsTimes: Bool = false,
        wait: Wait
    ) throws(FileSystemError) -> Int {
        guard !buffer.isEmpty else { return 0 }
        let (end, overflow) = offset.addingReportingOverflow(UInt64(buffer.count))
        guard !overflow, end <= Geometry.fileBytesMax else {
            throw FileSystemError(.fileTooLarge, "a file has at most 2^53 bytes")
        }
        try slowDown(wait)
        let content = try loaded(ino)
        let write = { () throws(FileSystemError) in
            try self.change(
                content,
                range: offset..<end,
                wait: wait,
                keepsTimes: keepsTimes
            ) { () throws(FileSystemError) in
                try self.cache.write(ino, offset: offset, from: buffer)
            }
        }
        do throws(FileSystemError) {
            try write()
        } catch {
            guard error.code != .noSpace || wait == .allowed else { throw Self.wouldWait }
            try makeRoom(for: UInt64(buffer.count), after: error)
            try write()
        }
        return buffer.count
    }

    /// Evicts what is placed where the cache disk filled up before the evictor looked.
    ///
    /// - Throws: `error` if it is another one, or nothing could be evicted.
    private func makeRoom(
        for bytes: UInt64,
        after error: FileSystemError
    ) throws(FileSystemError) {
        guard error.code == .noSpace, try evictor.evict(bytes + Self.evictedWhenFull) > 0 else {
            throw error
        }
    }

    /// Bytes evicted beyond its own when a request finds the cache disk full: room for the next
    /// ones.
    private static let evictedWhenFull: UInt64 = 16 << 20

    /// Runs `apply` on the cache file of `content` with every block of `range` marked dirty, then
    /// records the new size and time.
    ///
    /// Whole blocks that only partly change are fetched first.
    ///
    /// `growsTo` is the size to grow to, if not the end of `range`; nothing shrinks.
    func change(
        _ content: FileContent,
        range: Range<UInt64>,
        wait: Wait,
        growsTo: UInt64? = nil,
        keepsTimes: Bool = false,
        apply: () throws(FileSystemError) -> Void
    ) throws(FileSystemError) {
        for _ in 0..<Self.fetchRoundsMax {
            let missing = try content.state.write { state throws(FileSystemError) in
                guard !state.isReaped else { throw Self.gone(content.ino) }
                let missing = Self.missingForWrite(range, in: state)
                guard missing.isEmpty else { return missing }
                let empty = try emptied(range, of: content.ino, in: &state)
                try markDirty(range, of: content.ino, in: &state) { !empty.contains($0) }
                do throws(FileSystemError) {
                    try apply()
                    DurableStep.note(.cacheBytesWritten)
                    try metadata.recordWrite(
                        content.ino,
                        growingTo: growsTo ?? range.upperBound,
                        now: keepsTimes ? nil : now()
                    )
                    DurableStep.note(.sizeRecorded)
                    try markDirty(range, of: content.ino, in: &state) { empty.contains($0) }
                } catch {
                    takeBack(empty, of: content.ino, in: state)
                    throw error
                }
                return missing
            }
            if missing.isEmpty {
                uploader.noteDirty()
                return
            }
            guard wait == .allowed else { throw Self.wouldWait }
            try fetcher.fetch(missing, of: content)
        }
        throw FileSystemError(
            .unavailable,
            "the cache is too small to hold one write; raise cache-size"
        )
    }

    /// The blocks of `range` of which the cache holds nothing that counts: holes, and clean blocks
    /// that will be overwritten whole, whose cached rest is forgotten.
    private func emptied(
        _ range: Range<UInt64>,
        of ino: InodeNumber,
        in state: inout FileContentState
    ) throws(FileSystemError) -> Set<UInt64> {
        var empty: Set<UInt64> = []
        var forgotten: [BlockKey] = []
        for (index, _) in BlockIndex.parts(of: range) {
            guard var block = state.blocks[index.rawValue] else {
                empty.insert(index.rawValue)
                continue
            }
            guard block.dirtySince == nil, !block.missing(.all).isEmpty else { continue }
            empty.insert(index.rawValue)
            guard !block.resident.isEmpty else { continue }
            block.resident = []
            state.blocks[index.rawValue] = block
            forgotten.append(BlockKey(ino, index))
        }
        if !forgotten.isEmpty {
            _ = try metadata.evict(forgotten)
            try metadata.commit()
        }
        return empty
    }

    /// After a write that was refused half-way: no byte of it is left in blocks that were `empty`,
    /// nor past the end of the file.
    private func takeBack(
        _ empty: Set<UInt64>,
        of ino: InodeNumber,
        in state: borrowing FileContentState
    ) {
        do throws(FileSystemError) {
            // Of a file that the kernel writes by itself nobody knows which bytes are not those of
            // another write.
            guard state.passage == nil else { return }
            for index in empty where state.blocks[index]?.dirtySince == nil {
                let start = BlockIndex(index).offset
                try cache.punch(ino, start..<start + UInt64(Geometry.blockBytes))
            }
            try cache.truncate(ino, to: try metadata.attributes(of: ino).size)
        } catch {
            logger.warning(
                "inode \(ino.rawValue): what a refused write left stays: \(error.message)"
            )
        }
    }

    /// Marks those blocks of `range` dirty that `isWanted`; the caller holds the content's lock for
    /// writing.
    ///
    /// Of a block that the cache holds, before its bytes are written; of any other, after.
    private func markDirty(
        _ range: Range<UInt64>,
        of ino: InodeNumber,
        in state: inout FileContentState,
        where isWanted: (UInt64) -> Bool
    ) throws(FileSystemError) {
        var mustCommit = false
        let first = BlockIndex(containing: range.lowerBound).rawValue
        let last = BlockIndex(containing: range.upperBound - 1).rawValue
        for index in first...last where isWanted(index) {
            var block = state.blocks[index] ?? .hole
            if block.dirtySince == nil || block.snapshotTaken {
                // The bytes of a clean block that is not wholly cached are written already.
                mustCommit = mustCommit || block.snapshotTaken || block.isHeld
                // Only a sync makes the block durable in the cache. Until then the metadata
                // notes no residency, so that a power cut brings back the placed version.
                block.dirtySince = try metadata.markDirty(
                    ino,
                    BlockIndex(index),
                    since: Clock.now(),
                    resident: block.isSynced ? nil : 0
                )
                block.snapshotTaken = false
                block.resident = .all
            }
            block.version += 1
            state.blocks[index] = block
        }
        if state.unsyncedSince == nil { state.unsyncedSince = Clock.monotonic() }
        if mustCommit {
            try metadata.commit()
            DurableStep.note(.dirtyMarkCommitted)
        }
    }

    /// Makes what was written durable on this host: cached bytes, then the metadata naming them.
    package func sync(
        _ ino: InodeNumber,
        dataOnly: Bool,
        wait: Wait
    ) throws(FileSystemError) {
        guard wait == .allowed else { throw Self.wouldWait }
        if try metadata.attributes(of: ino).kind == .regular { try syncContent(of: ino) }
        try metadata.sync()
    }

    /// Makes the bytes of a regular file durable on this host, if some are not; the metadata that
    /// names them only with its next sync.
    func syncBytes(of ino: InodeNumber, wait: Wait) throws(FileSystemError) {
        let content = try loaded(ino)
        guard content.hasUnsynced || passthrough.hasUnsynced(content) else { return }
        guard wait == .allowed else { throw Self.wouldWait }
        try syncContent(of: ino)
    }

    private func syncContent(of ino: InodeNumber) throws(FileSystemError) {
        let content = try known(ino)
        if try passthrough.sync(content) { return }
        try content.sync(cache, metadata)
    }

    /// Makes the names in a directory durable on this host.
    package func syncDirectory(_ ino: InodeNumber, wait: Wait) throws(FileSystemError) {
        guard wait == .allowed else { throw Self.wouldWait }
        // Whose name is durable now may already be synced by its mapping alone.
        _ = try passthrough.settleMapped()
        try metadata.sync()
    }

    // MARK: Parts

    static let wouldWait = FileSystemError(.wouldWait, "would wait")

    static func gone(_ ino: InodeNumber) -> FileSystemError {
        FileSystemError(.notFound, "inode \(ino.rawValue) was removed")
    }

    /// The time to stamp files with.
    func now() -> Timestamp { Clock.fileTime() }

    /// For telling which files were used last.
    private static var monotonicSeconds: Int64 { Int64(Clock.monotonic() / .seconds(1)) }

    /// The content of a regular file, its blocks known.
    func loaded(_ ino: InodeNumber) throws(FileSystemError) -> FileContent {
        try passthrough.written.record(ino, in: metadata)
        return try known(ino)
    }

    /// As `loaded`; of a file that the kernel writes by itself the metadata may lag behind.
    private func known(_ ino: InodeNumber) throws(FileSystemError) -> FileContent {
        let content = contents.content(of: ino)
        content.lastUse.store(Self.monotonicSeconds, ordering: .relaxed)
        try content.load(from: metadata, cachePath: cache.path(of: ino))
        return content
    }

    /// The segments of each block of `range` that are placed but not cached.
    private static func missing(
        _ range: Range<UInt64>,
        in state: borrowing FileContentState
    ) -> [FetchRequest] {
        var requests: [FetchRequest] = []
        for (index, part) in BlockIndex.parts(of: range) {
            guard let block = state.blocks[index.rawValue] else { continue }
            let mask = block.missing(SegmentMask(covering: part))
            if !mask.isEmpty { requests.append(FetchRequest(index: index, segments: mask)) }
        }
        return requests
    }

    /// As `missing`, for blocks that a change of `range` would leave partly as they were.
    private static func missingForWrite(
        _ range: Range<UInt64>,
        in state: borrowing FileContentState
    ) -> [FetchRequest] {
        var requests: [FetchRequest] = []
        for (index, part) in BlockIndex.parts(of: range) {
            guard let block = state.blocks[index.rawValue], block.dirtySince == nil,
                let location = block.location
            else { continue }
            if part.lowerBound == 0, part.upperBound >= Int(location.validBytes) { continue }
            let mask = block.missing(.all)
            if !mask.isEmpty { requests.append(FetchRequest(index: index, segments: mask)) }
        }
        return requests
    }

    /// Slows a writer in proportion to what exceeds the cap on dirty bytes.
    private func slowDown(_ wait: Wait) throws(FileSystemError) {
        let dirty = metadata.totals.dirtyBytes
        guard dirty > configuration.dirtyBytesMax else { return }
        guard wait == .allowed else { throw Self.wouldWait }
        uploader.waitForRoom(cap: configuration.dirtyBytesMax)
    }
}

extension FileContent {
    /// Reads the block rows once.
    ///
    /// Clean residency without the cache file at `cachePath` does not count; dirty residency
    /// without it is an error, not zeros.
    func load(from metadata: MetadataStore, cachePath: String) throws(FileSystemError) {
        if state.read({ $0.isLoaded }) { return }
        try state.write { state throws(FileSystemError) in
            guard !state.isLoaded else { return }
            let rows = try metadata.blocks(of: ino)
            let isCached =
                rows.contains { $0.resident != 0 || $0.dirtySince != nil }
                && WholeFile.exists(cachePath)
            for row in rows {
                let isDirty = row.dirtySince != nil
                let noted = SegmentMask(rawValue: isCached ? row.resident : 0)
                guard isCached || !isDirty else {
                    throw FileSystemError(
                        .corrupt,
                        "\(cachePath) is missing, and with it changes of inode \(ino.rawValue)"
                    )
                }
                state.blocks[row.index.rawValue] = FileContentState.Block(
                    location: row.location,
                    resident: isDirty ? .all : noted,
                    dirtySince: row.dirtySince,
                    isSynced: isDirty && noted == .all
                )
                // Acknowledged before this start, by a sync that noted it.
                if isDirty, noted == .all { state.holdsAcknowledged = true }
            }
            state.isLoaded = true
        }
    }
}

extension BlockIndex {
    var next: BlockIndex { BlockIndex(rawValue + 1) }

    /// The blocks that `range` of a file touches, each with the part of it, from its own start.
    static func parts(of range: Range<UInt64>) -> [(BlockIndex, Range<Int>)] {
        guard !range.isEmpty else { return [] }
        let first = BlockIndex(containing: range.lowerBound).rawValue
        let last = BlockIndex(containing: range.upperBound - 1).rawValue
        return (first...last).map { raw in
            let index = BlockIndex(raw)
            let start = max(range.lowerBound, index.offset) - index.offset
            let end = min(range.upperBound - index.offset, UInt64(Geometry.blockBytes))
            return (index, Int(start)..<Int(end))
        }
    }
}

extension CacheStore {
    /// Writes bytes of an array.
    func write(
        _ ino: InodeNumber,
        offset: UInt64,
        _ bytes: ArraySlice<UInt8>
    ) throws(FileSystemError) {
        // `withUnsafeBytes` of an array slice knows only untyped errors.
        let result = bytes.withUnsafeBytes { bytes -> Result<Void, FileSystemError> in
            do throws(FileSystemError) {
                return .success(try write(ino, offset: offset, from: bytes))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }
}
