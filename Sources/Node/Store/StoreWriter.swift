import Disk
import Logging
import Network
import Primitives
import SQLite
import Synchronization
import Transport
import Wire

/// The one writer of a store: takes batches of puts and deletions and makes each durable at once.
///
/// Order in a batch: records are written, their segments synced, the index committed and synced,
/// the peers answered, and only then is the space of what was removed given back.
final class StoreWriter: Sendable {
    /// Commands in a batch: enough that a disk sync is shared, few enough that the first does not
    /// wait long for the last (64 shards of 4 MiB are half a second of a fast disk).
    static let batchMax = 64
    private static let gone = NetworkError(.refused, "the provider's disk failed; see its log")

    /// A segment that takes records, and where the next one goes.
    private typealias Active = (segment: SegmentFiles.Segment, end: UInt64)

    private struct State {
        /// Where the next record goes, or `nil` if the next put begins a new segment.
        var active: Active?
        var nextSegment: UInt64
        /// Punched out or removed since the last commit.
        var punched: [ShardIndex.Place] = []
        var goneSegments: [UInt64] = []
        var canPunch = true
        let buffer = RecordBuffer()
    }

    /// A batch on its way.
    private struct Batch {
        var changes = ShardIndex.Changes()
        var segments: [UInt64: SegmentFiles.Segment] = [:]
        var answers: [(ShardStore.Completion, Result<Void, NetworkError>)] = []
        var footprint = 0
        /// Of `footprint`, what takes the place of damaged records.
        var refilled = 0
        /// Why records that were taken into the buffer are not in their segments.
        var failure: (any Error)?
    }

    private let index: ShardIndex
    private let damage: DamageLedger
    private let files: SegmentFiles
    private let directory: String
    private let capacityBytes: UInt64
    private let logger: Logger
    /// Held over the I/O of a batch: only the writer's thread takes it, and `flush` after that.
    private let state: Mutex<State>
    private let used: Atomic<UInt64>
    private let shards: Atomic<UInt64>

    init(
        recovered: StoreRecovery.Outcome,
        damage: DamageLedger,
        files: SegmentFiles,
        directory: String,
        capacityBytes: UInt64,
        logger: Logger
    ) throws {
        index = recovered.index
        self.damage = damage
        self.files = files
        self.directory = directory
        self.capacityBytes = capacityBytes
        self.logger = logger
        let active = try recovered.active.map { row in
            (segment: try files.segment(row.number), end: row.end)
        }
        state = Mutex(State(active: active, nextSegment: recovered.nextSegment))
        let totals = try index.totals()
        used = Atomic(totals.usedBytes)
        shards = Atomic(totals.shardCount)
    }

    var usedBytes: UInt64 { used.load(ordering: .relaxed) }
    var shardCount: UInt64 { shards.load(ordering: .relaxed) }

    /// Has the index made again at the next start.
    func demandRebuild() {
        try? WholeFile.replace(StoreRecovery.rebuildMark(directory), with: [])
    }

    /// Carries out a batch and answers all of it.
    func process(_ commands: [ShardStore.Command]) {
        state.withLock { state in
            var batch = Batch()
            let before = (active: state.active, next: state.nextSegment)
            for command in commands {
                switch command {
                case .put(let shard, let bytes, let range, let done):
                    let result = Result { () throws(NetworkError) in
                        try put(shard, bytes, range, &batch, &state)
                    }
                    batch.answers.append((done, result))
                case .delete(let shards, let owner, let done):
                    let result = Result { () throws(NetworkError) in
                        try delete(shards, owner, &batch)
                    }
                    batch.answers.append((done, result))
                }
            }
            let failure = commit(&batch, &state)
            if let failure { abandon(batch, before, after: failure, &state) }
            for (done, result) in batch.answers { done(failure.map { .failure($0) } ?? result) }
            if failure == nil { giveBack(batch, &state) }
        }
    }

    /// Writes down what was punched out since the last batch, and tidies the index for a stop.
    func flush() {
        state.withLock { state in
            var changes = ShardIndex.Changes()
            changes.punched = state.punched
            changes.gone = state.goneSegments
            // If it fails, the next start punches once more.
            if !changes.isEmpty { try? index.commit(changes) }
            try? index.checkpoint()
        }
    }

    // MARK: Putting

    private func put(
        _ shard: PreparedShard,
        _ bytes: [UInt8],
        _ range: Range<Int>,
        _ batch: inout Batch,
        _ state: inout State
    ) throws(NetworkError) {
        let record = shard.record
        let older = try find(record.shard, batch)
        if let older {
            try checkSame(record, older)
            // The same bytes take the place of rotten ones; a second copy of sound ones is none.
            guard damage.contains(record.shard), batch.changes.added[record.shard] == nil else {
                return
            }
        }
        let footprint = record.footprint
        let freed = batch.refilled + (older?.place.footprint ?? 0)
        guard
            Int(clamping: usedBytes) + batch.footprint + footprint - freed
                <= Int(clamping: capacityBytes)
        else {
            throw NetworkError(.full, "the provider's capacity of \(capacityBytes) bytes is used")
        }
        do {
            let free = try Host.freeBytes(directory)
            guard free >= ShardStore.diskReserveBytes + UInt64(footprint) else {
                throw NetworkError(.full, "the provider's disk is full")
            }
            let (segment, offset) = try append(shard, bytes, range, &batch, &state)
            batch.segments[segment.number] = segment
            batch.changes.ends[segment.number] = offset + UInt64(footprint)
            if let older { batch.changes.removed[record.shard] = older }
            if damage.contains(record.shard) { batch.changes.mended.insert(record.shard) }
            batch.changes.added[record.shard] = ShardIndex.Location(
                of: record,
                segment: segment.number,
                offset: offset
            )
            batch.footprint += footprint
            batch.refilled = freed
        } catch let error as NetworkError {
            throw error
        } catch let error as DiskError where error.isNoSpace {
            logger.warning("\(error)")
            throw NetworkError(.full, "the provider's disk is full")
        } catch {
            logger.error("cannot store shard \(record.shard): \(error)")
            throw Self.gone
        }
    }

    private func append(
        _ shard: PreparedShard,
        _ bytes: [UInt8],
        _ range: Range<Int>,
        _ batch: inout Batch,
        _ state: inout State
    ) throws -> (SegmentFiles.Segment, offset: UInt64) {
        let record = shard.record
        if let active = state.active,
            active.end + UInt64(record.footprint) > UInt64(SegmentFiles.segmentBytesMax)
        {
            state.active = nil
        }
        let (segment, offset) = try state.active ?? begin(&state)
        // Also if writing fails: the next record overwrites what there is of this one.
        state.active = (segment, offset)
        let header = record.encoded(salt: segment.header.salt)
        let trailer = shard.trailer.encoded(of: record, salt: segment.header.salt)
        do {
            try header.withUnsafeBytes { header in
                try bytes.withUnsafeBytes { bytes in
                    try trailer.withUnsafeBytes { trailer in
                        try state.buffer.append(
                            [header, UnsafeRawBufferPointer(rebasing: bytes[range]), trailer],
                            footprint: record.footprint,
                            at: offset,
                            in: segment
                        )
                    }
                }
            }
        } catch {
            // Those of earlier commands were in the buffer too.
            batch.failure = error
            throw error
        }
        state.active = (segment, offset + UInt64(record.footprint))
        return (segment, offset)
    }

    private func begin(_ state: inout State) throws(DiskError) -> Active {
        let number = state.nextSegment
        state.nextSegment += 1
        return (try files.create(number), UInt64(SegmentRecord.alignment))
    }

    /// The same shard may come again, when its owner has not heard our first answer.
    private func checkSame(
        _ record: SegmentRecord,
        _ location: ShardIndex.Location
    ) throws(NetworkError) {
        guard location.owner == record.owner, location.length == record.length,
            files.root(at: location) == record.root
        else {
            throw NetworkError(
                .exists,
                "another shard has the id \(record.shard.short); delete it first"
            )
        }
    }

    // MARK: Deleting

    private func delete(
        _ shards: [ShardID],
        _ owner: NodeID,
        _ batch: inout Batch
    ) throws(NetworkError) {
        var found: [(ShardID, ShardIndex.Location)] = []
        for shard in shards {
            guard let location = try find(shard, batch) else {
                if damage.contains(shard) { batch.changes.mended.insert(shard) }
                continue
            }
            guard location.owner == owner else {
                throw NetworkError(.unauthorized, "shard \(shard.short) has another owner")
            }
            found.append((shard, location))
        }
        for (shard, location) in found {
            if damage.contains(shard) { batch.changes.mended.insert(shard) }
            if let added = batch.changes.added.removeValue(forKey: shard) {
                // Brought and removed in one batch: it never was; its space is freed all the same.
                batch.changes.wasted.append(added.place)
                batch.footprint -= added.place.footprint
            } else {
                batch.changes.removed[shard] = location
            }
        }
    }

    /// Where a shard lies for the command at hand, with what the batch did before it.
    private func find(
        _ shard: ShardID,
        _ batch: Batch
    ) throws(NetworkError) -> ShardIndex.Location? {
        if let added = batch.changes.added[shard] { return added }
        if batch.changes.removed[shard] != nil { return nil }
        do throws(SQLiteError) {
            return try index.find(shard)
        } catch {
            if error.isCorrupt { demandRebuild() }
            logger.error("the index failed: \(error)")
            throw Self.gone
        }
    }

    // MARK: Committing

    /// - Returns: why nothing of the batch counts, or `nil`.
    private func commit(_ batch: inout Batch, _ state: inout State) -> NetworkError? {
        var changes = batch.changes
        // Never written down as freed before they were; see `giveBack`.
        changes.punched = state.punched
        changes.gone = state.goneSegments
        guard !changes.isEmpty || batch.failure != nil else { return nil }
        do {
            if let failure = batch.failure { throw failure }
            try state.buffer.write()
            for (number, segment) in batch.segments {
                guard let end = changes.ends[number] else { continue }
                // Nothing of an attempt that failed stays behind the last record.
                try segment.file.truncate(to: end)
                try segment.file.syncData()
            }
            try damage.commit(changes)
        } catch let error as DiskError where error.isNoSpace {
            return NetworkError(.full, "the provider's disk is full")
        } catch let error as SQLiteError where error.isFull {
            return NetworkError(.full, "the provider's disk is full")
        } catch {
            if let error = error as? SQLiteError, error.isCorrupt { demandRebuild() }
            logger.error("a batch of \(batch.answers.count) was not stored: \(error)")
            return Self.gone
        }
        state.punched = []
        state.goneSegments = []
        let used =
            Int(batch.footprint) - changes.removed.values.reduce(0) { $0 + $1.place.footprint }
        let shards = changes.added.count - changes.removed.count
        self.used.store(UInt64(clamping: Int(clamping: usedBytes) + used), ordering: .relaxed)
        self.shards.store(
            UInt64(clamping: Int(clamping: shardCount) + shards),
            ordering: .relaxed
        )
        return nil
    }

    /// Takes back what a batch wrote that does not count.
    private func abandon(
        _ batch: Batch,
        _ before: (active: Active?, next: UInt64),
        after failure: NetworkError,
        _ state: inout State
    ) {
        state.buffer.forget()
        state.active = nil
        if let active = before.active {
            try? active.segment.file.truncate(to: active.end)
            // A segment whose sync failed is not written to again, because the kernel forgets
            // what it could not write once it has reported it.
            if failure.code == .full { state.active = active }
        }
        for number in before.next..<state.nextSegment { try? files.remove(number) }
    }

    /// Punches out what the committed batch removed, and removes segments that hold nothing more.
    private func giveBack(_ batch: Batch, _ state: inout State) {
        let places = batch.changes.removed.values.map(\.place) + batch.changes.wasted
        guard !places.isEmpty else { return }
        for place in places {
            do {
                let isFreed = try files.punch(place)
                state.punched.append(place)
                if !isFreed, state.canPunch {
                    state.canPunch = false
                    logger.warning("\(directory): this file system cannot free parts of files")
                    logger.warning("space comes back a whole segment of 256 MiB at a time")
                }
            } catch let error as DiskError where error.isNotFound {
                // The segment is lost, and its space with it.
                state.punched.append(place)
            } catch {
                // Its row in `freed` stays, so the next start tries again.
                logger.warning("space is not given back: \(error)")
            }
        }
        let touched = Set(places.map(\.segment))
        guard let rows = try? index.segments() else { return }
        for row in rows where row.live == 0 && touched.contains(row.number) {
            guard row.number != state.active?.segment.number else { continue }
            do throws(DiskError) {
                try files.remove(row.number)
                state.goneSegments.append(row.number)
            } catch {
                logger.warning("\(error)")
            }
        }
    }
}
