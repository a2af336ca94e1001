import Disk
import Logging
import Primitives
import SQLite
import Wire

/// Brings segments and index into agreement at a start, whatever the last run died of.
///
/// It reads the index's small tables and the ends of segments, not the shards; only when the index
/// is missing or damaged does it read all record headers.
struct StoreRecovery {
    /// What the store goes on with.
    struct Outcome {
        let index: ShardIndex
        /// The segment that the next record goes to, if one has room.
        let active: ShardIndex.SegmentRow?
        let nextSegment: UInt64
    }

    /// Rows that a rebuild commits at once.
    private static let rebuildBatch = 4096
    /// Newest segments whose shards a rebuild reads too: only there can a record be whose bytes
    /// were not yet synced, since a batch touches two segments at most.
    private static let verifiedSegments = 2

    let directory: String
    let files: SegmentFiles
    let logger: Logger

    private var indexPath: String { directory + "/index.db" }

    /// A file that is there if the index must be made again.
    static func rebuildMark(_ directory: String) -> String { directory + "/index.damaged" }

    func run() throws -> Outcome {
        let numbers = try files.numbers()
        let (index, isNew) = try openIndex(hasSegments: !numbers.isEmpty)
        if isNew, !numbers.isEmpty { try rebuild(index, numbers) }
        try punchFreed(index)
        try reconcile(index, numbers)
        let rows = try index.segments()
        let room = UInt64(SegmentFiles.segmentBytesMax)
        let last = rows.last.flatMap { row -> ShardIndex.SegmentRow? in
            guard row.end < room, row.number >= (numbers.last ?? 0), isWhole(row) else {
                return nil
            }
            return row
        }
        let highest = max(rows.last?.number ?? 0, try files.numbers().last ?? 0)
        return Outcome(index: index, active: last, nextSegment: highest + 1)
    }

    // MARK: The index

    private func openIndex(hasSegments: Bool) throws -> (ShardIndex, isNew: Bool) {
        let mark = Self.rebuildMark(directory)
        if WholeFile.exists(indexPath), !WholeFile.exists(mark) {
            do throws(SQLiteError) {
                return (try ShardIndex(path: indexPath, create: false), false)
            } catch {
                guard error.isCorrupt else { throw error }
                logger.warning("the index is damaged and is made again: \(error)")
                // Until the new one is whole.
                try WholeFile.replace(mark, with: [])
            }
        } else if hasSegments {
            logger.warning("\(indexPath) is missing or damaged and is made again of the segments")
            try WholeFile.replace(mark, with: [])
        }
        for suffix in ["", "-wal", "-shm", "-journal"] {
            try WholeFile.remove(indexPath + suffix)
        }
        return (try ShardIndex(path: indexPath, create: true), true)
    }

    private func rebuild(_ index: ShardIndex, _ numbers: [UInt64]) throws {
        var found = 0
        for (position, number) in numbers.enumerated() {
            guard let segment = try open(number) else { continue }
            let isRecent = position >= numbers.count - Self.verifiedSegments
            var scan = SegmentScan(segment: segment, verifiesShards: isRecent)
            var changes = ShardIndex.Changes()
            while let (offset, record) = try scan.next() {
                try note(record, at: offset, of: number, in: index, &changes)
                found += 1
                if changes.added.count >= Self.rebuildBatch {
                    changes.ends[number] = scan.position
                    try index.commit(changes)
                    changes = ShardIndex.Changes()
                }
            }
            changes.ends[number] = max(scan.lastEnd, UInt64(SegmentRecord.alignment))
            try index.commit(changes)
            if isRecent {
                try segment.file.truncate(to: max(scan.lastEnd, UInt64(SegmentRecord.alignment)))
            }
        }
        try WholeFile.remove(Self.rebuildMark(directory))
        logger.notice("the index was made again: \(found) shards in \(numbers.count) segments")
    }

    /// Of two records of one shard the later counts.
    private func note(
        _ record: SegmentRecord,
        at offset: UInt64,
        of segment: UInt64,
        in index: ShardIndex,
        _ changes: inout ShardIndex.Changes
    ) throws {
        if let older = changes.added.removeValue(forKey: record.shard) {
            try files.punch(older.place)
        } else if let older = try index.find(record.shard) {
            changes.removed[record.shard] = older
        }
        changes.added[record.shard] = ShardIndex.Location(
            of: record,
            segment: segment,
            offset: offset
        )
    }

    // MARK: Agreement

    private func punchFreed(_ index: ShardIndex) throws {
        let freed = try index.freed()
        guard !freed.isEmpty else { return }
        for place in freed where WholeFile.exists(files.path(place.segment)) {
            do {
                try files.punch(place)
            } catch {
                logger.warning("space is not given back: \(error)")
            }
        }
        var changes = ShardIndex.Changes()
        changes.punched = freed
        try index.commit(changes)
    }

    /// Takes in whole records after a segment's committed end, cuts off the rest, and removes
    /// segments that hold nothing.
    private func reconcile(_ index: ShardIndex, _ numbers: [UInt64]) throws {
        let rows = Dictionary(uniqueKeysWithValues: try index.segments().map { ($0.number, $0) })
        var changes = ShardIndex.Changes()
        for number in numbers {
            guard let segment = try open(number) else {
                if let row = rows[number], row.live > 0 {
                    try index.noteLost(segment: number, behind: 0, .corrupt)
                }
                continue
            }
            let size = try segment.file.size()
            let end = rows[number]?.end ?? UInt64(SegmentRecord.alignment)
            if size > end {
                try adopt(segment, from: end, index)
            } else if rows[number] == nil {
                changes.ends[number] = end
            } else if size < end {
                logger.error(
                    "\(files.path(number)) has lost its end: \(size) bytes instead of \(end)"
                )
                try index.noteLost(segment: number, behind: size, .missing)
            }
        }
        for row in rows.values where !numbers.contains(row.number) {
            if row.live > 0 {
                logger.error("\(files.path(row.number)) is missing; its shards are lost")
                try index.noteLost(segment: row.number, behind: 0, .missing)
            } else {
                changes.gone.append(row.number)
            }
        }
        for row in try index.segments() where row.live == 0 && row.number != numbers.last {
            try files.remove(row.number)
            changes.gone.append(row.number)
        }
        if !changes.isEmpty { try index.commit(changes) }
    }

    /// Records that were written, perhaps synced, and never committed: what is whole is kept, since
    /// its owner may have been told so by an index that a bad disk lost.
    private func adopt(
        _ segment: SegmentFiles.Segment,
        from end: UInt64,
        _ index: ShardIndex
    ) throws {
        var scan = SegmentScan(segment: segment, from: end, verifiesShards: true)
        var changes = ShardIndex.Changes()
        var newEnd = end
        while let (offset, record) = try scan.next(), offset == newEnd {
            newEnd = scan.position
            if try index.find(record.shard) == nil {
                changes.added[record.shard] = ShardIndex.Location(
                    of: record,
                    segment: segment.number,
                    offset: offset
                )
            }
        }
        changes.ends[segment.number] = newEnd
        try segment.file.truncate(to: newEnd)
        try segment.file.syncData()
        try index.commit(changes)
        if !changes.added.isEmpty {
            logger.notice("took in \(changes.added.count) shards written before the last stop")
        }
    }

    private func isWhole(_ row: ShardIndex.SegmentRow) -> Bool {
        (try? files.segment(row.number).file.size()) == row.end
    }

    /// Opens a segment; a damaged one is reported and left alone, another node's is refused.
    private func open(_ number: UInt64) throws -> SegmentFiles.Segment? {
        do {
            return try files.segment(number)
        } catch let error as DamagedSegment {
            // Made by a run that died before its header was durable: nothing is in it.
            let size = (try? Descriptor(opening: files.path(number)).size()) ?? 0
            if size <= UInt64(SegmentHeader.byteCount) {
                try files.remove(number)
            } else {
                logger.error("\(error); its shards cannot be read")
            }
            return nil
        }
    }
}
