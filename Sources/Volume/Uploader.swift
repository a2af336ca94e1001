import Cache
import Disk
import Logging
import Metadata
import Network
import Primitives
import Sealing
import Synchronization

/// Carries dirty blocks to the providers, oldest first, packed into stripes.
///
/// Durable steps, in this order, for the blocks of one stripe:
///   1. the stripe and its shards are recorded as being placed (committed),
///   2. every shard is acknowledged by its provider, which synced it,
///   3. one transaction: stripe placed, locations set, dirty marks cleared whose token is still
///      the one the snapshot was taken under,
///   4. that transaction is made durable; only then does memory call a block clean, so that
///      nothing is evicted which a power cut could make dirty again.
/// A crash before 3 leaves the blocks dirty and the shards as garbage that is deleted later.
final class Uploader: Sendable {
    /// How often age is looked at while something is dirty.
    private static let tick: Duration = .milliseconds(250)
    /// How often anything is looked at while nothing is; only a bound, a change ends the waiting.
    private static let idleTick: Duration = .seconds(60)
    /// Pause after a stripe could not be placed.
    private static let retryPause: Duration = .seconds(2)
    /// Blocks considered for one stripe; a stripe of 4+2 takes 4,096 files of 4 KiB.
    private static let batchMax = 4096
    /// Memory for stripes under way, all upload threads together, if the code allows two.
    private static let memoryMax = 64 << 20
    /// Longest pause of a writer above the dirty cap, a write.
    private static let writerPause: Duration = .milliseconds(100)
    /// A drain without any progress for so long gives up.
    private static let stallMax: Duration = .seconds(60)

    private struct Key: Hashable {
        let ino: InodeNumber
        let index: BlockIndex
    }

    /// What the threads and those who wait for them share.
    private struct State {
        var isStopping = false
        /// How many callers want everything placed now.
        var drains = 0
        /// Blocks that some thread works on, and their bytes.
        var claimed: [Key: UInt32] = [:]
        var claimedBytes: UInt64 = 0
        /// Stripes completed, for those who wait for progress.
        var completed: UInt64 = 0
        /// Threads that have stripes on record as placed, but not in memory yet; by a number that
        /// grows.
        var completing: Set<UInt64> = []
        var lastCompleting: UInt64 = 0
        /// Not before this (monotonic) after a failure.
        var pausedUntil: Duration = .zero
        var placingBytes: UInt64 = 0
    }

    /// One dirty block under an upload's snapshot.
    private struct Snapshot {
        let content: FileContent
        let index: BlockIndex
        let version: UInt64
        let token: Timestamp
        let sealed: StripeBuilder.SealedBlock
        /// XXH3-64 of the plain bytes.
        let checksum: UInt64
        var plainBytes: UInt64 { UInt64(sealed.location.plainBytes) }
    }

    private let configuration: VolumeConfiguration
    private let metadata: MetadataStore
    private let cache: CacheStore
    private let contents: ContentTable
    private let placer: StripePlacer
    private let meters: Meters
    private let custody: VolumeCustody?
    private let logger: Logger
    private let state = Condition(State())
    /// The oldest mark, and since when (monotonic) it is seen as that.
    private let watch = Mutex<(oldest: Timestamp, since: Duration)>((.epoch, .zero))
    private let progresses = Mutex<[Key: StripeProgress]>([:])
    private let threads = Mutex<[Thread]>([])

    init(
        configuration: VolumeConfiguration,
        metadata: MetadataStore,
        cache: CacheStore,
        contents: ContentTable,
        network: any StorageNetwork,
        meters: Meters,
        custody: VolumeCustody?,
        logger: Logger
    ) {
        self.configuration = configuration
        self.metadata = metadata
        self.cache = cache
        self.contents = contents
        self.meters = meters
        self.custody = custody
        self.logger = logger
        placer = StripePlacer(
            network: network,
            metadata: metadata,
            meters: meters,
            custody: custody,
            logger: logger
        )
    }

    func start() throws(FileSystemError) {
        let count = max(
            1,
            min(2, Self.memoryMax / StripeBuilder.memoryBytes(configuration.code))
        )
        for number in 0..<count {
            let builder = try StripeBuilder(code: configuration.code)
            let owned = UncheckedBox(builder)
            do {
                let thread = try Thread.spawn("upload-\(number)") { [self] in run(owned.value) }
                threads.withLock { $0.append(thread) }
            } catch {
                throw FileSystemError(.inputOutput, error.description)
            }
        }
    }

    /// Ends the threads; a stripe under way is finished or given up within its own timeouts.
    func stop() {
        state.update { $0.isStopping = true }
        metadata.wakeWaiters()
        for thread in threads.withLock({ $0 }) { thread.join() }
    }

    // MARK: For the engine

    /// Wakes a thread if there is enough for a whole stripe; age is looked at by the clock.
    func noteDirty() {
        if metadata.totals.dirtyBytes >= UInt64(configuration.code.stripeBytesMax) {
            state.update { _ in }
        }
    }

    /// Keeps a writer waiting while dirty bytes exceed `cap`, for a bounded time.
    func waitForRoom(cap: UInt64) {
        _ = state.wait(for: Self.writerPause) { [metadata] _ -> Bool? in
            metadata.totals.dirtyBytes <= cap ? true : nil
        }
    }

    /// Bytes in stripes that are being placed.
    var placingBytes: UInt64 { state.withLock { $0.placingBytes } }

    /// "placing j/n" for the least placed of `blocks`, or `nil` if one of them is not under way.
    func progress(of ino: InodeNumber, blocks: [BlockIndex]) -> String? {
        progresses.withLock { progresses in
            var least: (Int, Int)?
            for index in blocks {
                guard let progress = progresses[Key(ino: ino, index: index)] else { return nil }
                let done = progress.acknowledged.load(ordering: .relaxed)
                if done <= least?.0 ?? .max { least = (done, progress.shardCount) }
            }
            return least.map { "placing \($0)/\($1)" }
        }
    }

    /// Uploads until all that is dirty now is placed.
    ///
    /// `report` is called on every step with the bytes still dirty.
    ///
    /// - Throws: `unavailable`, with the reason, if nothing moved for a minute or time is up.
    func drain(
        seconds: Double = .infinity,
        report: (UInt64) -> Void
    ) throws(FileSystemError) {
        let target = metadata.totals.newestToken
        let deadline = seconds.isFinite ? Clock.monotonic() + .seconds(seconds) : nil
        state.update { state in
            state.drains += 1
            state.pausedUntil = .zero
        }
        defer { state.update { $0.drains -= 1 } }
        var progressAt = Clock.monotonic()
        var seen = state.withLock { $0.completed }
        while true {
            guard let oldest = metadata.totals.oldestDirty, oldest <= target else {
                return waitForCompleting()
            }
            guard !configuration.isSuperseded() else {
                throw FileSystemError(
                    .unavailable,
                    "another machine writes to the volume now; mount it again to go on"
                )
            }
            report(metadata.totals.dirtyBytes)
            let before = seen
            seen =
                state.wait(for: .milliseconds(200)) { state -> UInt64? in
                    state.completed != before ? state.completed : nil
                } ?? before
            let now = Clock.monotonic()
            if seen != before { progressAt = now }
            let isLate = deadline.map { now > $0 } ?? false
            if isLate || now - progressAt > Self.stallMax {
                let reason = meters.lastError ?? "no provider has answered in time"
                throw FileSystemError(
                    .unavailable,
                    "\(metadata.totals.dirtyBytes) bytes are not placed: \(reason)"
                )
            }
        }
    }

    /// Waits until memory, too, calls clean what is on record as placed by now.
    private func waitForCompleting() {
        let now = state.withLock { $0.completing }
        _ = state.wait { $0.completing.isDisjoint(with: now) ? true : nil }
    }

    // MARK: Threads

    private func run(_ builder: StripeBuilder) {
        Thread.lowerPriority()
        while !isStopping {
            let seen = metadata.changeCount
            guard isDue else {
                if isNothingDirty {
                    metadata.waitForChange(after: seen, for: Self.idleTick) { isStopping }
                }
                // Not at every change: age is looked at by the clock.
                _ = state.wait(for: Self.tick) { [self] state -> Bool? in
                    state.isStopping || (isDue(state) && hasUnclaimed(state)) ? true : nil
                }
                continue
            }
            do throws(FileSystemError) {
                let worked = try uploadStripe(builder)
                meters.setLastError(nil)
                if !worked {
                    // All that is dirty is being placed by the other thread.
                    _ = state.wait(for: Self.tick) { [self] state -> Bool? in
                        state.isStopping || hasUnclaimed(state) ? true : nil
                    }
                }
            } catch {
                meters.setLastError(error.message)
                logger.warning("a stripe is not placed, will be tried again: \(error.message)")
                state.update { $0.pausedUntil = Clock.monotonic() + Self.retryPause }
            }
        }
    }

    private var isStopping: Bool { state.withLock { $0.isStopping } }

    private var isNothingDirty: Bool {
        let totals = metadata.totals
        return totals.dirtyBytes == 0 && totals.oldestDirty == nil
    }

    private var isDue: Bool { state.withLock { isDue($0) } }

    /// Whether there is reason to upload now: enough for a stripe, old enough, or asked for.
    private func isDue(_ state: borrowing State) -> Bool {
        let totals = metadata.totals
        guard totals.dirtyBytes > 0 || totals.oldestDirty != nil else { return false }
        // No head would ever name it.
        guard !configuration.isSuperseded() else { return false }
        guard Clock.monotonic() >= state.pausedUntil else { return false }
        if state.drains > 0 { return true }
        // What the other thread has claimed is on its way, and no reason for a stripe of our own.
        let unclaimed = totals.dirtyBytes - min(totals.dirtyBytes, state.claimedBytes)
        if unclaimed >= UInt64(configuration.code.stripeBytesMax) { return true }
        guard let oldest = oldestUnclaimed(state) else { return false }
        return Clock.now().seconds(since: oldest) >= configuration.dirtyAgeSeconds
            || watched(oldest) >= .seconds(configuration.dirtyAgeSeconds)
    }

    /// How long the block dirty since `oldest` is the oldest, on the clock that nobody sets: after
    /// the wall clock was set back, marks lie in its future.
    private func watched(_ oldest: Timestamp) -> Duration {
        let now = Clock.monotonic()
        return watch.withLock { watch in
            if watch.oldest != oldest { watch = (oldest, now) }
            return now - watch.since
        }
    }

    /// Since when the oldest block that nobody works on is dirty.
    private func oldestUnclaimed(_ state: borrowing State) -> Timestamp? {
        if state.claimed.isEmpty { return metadata.totals.oldestDirty }
        let oldest = try? metadata.dirtyBlocks(limit: state.claimed.count + 1)
        for block in oldest ?? [] {
            let key = Key(ino: block.key.ino, index: block.key.index)
            if state.claimed[key] == nil { return block.since }
        }
        return nil
    }

    private func hasUnclaimed(_ state: borrowing State) -> Bool {
        metadata.totals.dirtyBlocks > state.claimed.count
    }

    /// Fills one stripe and places it; `false` if there was nothing to take.
    private func uploadStripe(_ builder: StripeBuilder) throws(FileSystemError) -> Bool {
        try placer.checkProviders(for: configuration.code)
        builder.reset()
        let claimed = try claim()
        guard !claimed.isEmpty else { return false }
        var unused = claimed
        defer { release(unused) }
        var snapshots: [Snapshot] = []
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Geometry.blockBytes,
            alignment: 4096
        )
        defer { buffer.deallocate() }
        for key in claimed {
            guard let taken = try takeIfThere(key, into: builder, buffer: buffer) else { continue }
            guard let snapshot = taken.snapshot else { break }
            snapshots.append(snapshot)
        }
        let taken = Set(snapshots.map { Key(ino: $0.content.ino, index: $0.index) })
        release(unused.filter { !taken.contains($0) })
        unused = unused.filter { taken.contains($0) }
        try place(snapshots, builder: builder)
        return true
    }

    /// Picks dirty blocks that nobody works on, oldest first, about a stripe's worth.
    private func claim() throws(FileSystemError) -> [Key] {
        let skipped = state.withLock { $0.claimed.count }
        let candidates = try metadata.dirtyBlocks(limit: Self.batchMax + skipped)
        return state.update { state in
            var keys: [Key] = []
            var bytes = 0
            for candidate in candidates where keys.count < Self.batchMax {
                let key = Key(ino: candidate.key.ino, index: candidate.key.index)
                guard state.claimed[key] == nil else { continue }
                state.claimed[key] = candidate.bytes
                state.claimedBytes += UInt64(candidate.bytes)
                keys.append(key)
                // Twice a stripe: compression may make room for more than one.
                bytes += Int(candidate.bytes)
                if bytes >= 2 * configuration.code.stripeBytesMax { break }
            }
            return keys
        }
    }

    private func release(_ keys: [Key]) {
        guard !keys.isEmpty else { return }
        state.update { state in
            for key in keys {
                state.claimedBytes -= UInt64(state.claimed.removeValue(forKey: key) ?? 0)
            }
        }
    }

    /// The outcome of `take`: a snapshot, or none because the stripe is full.
    private struct Taken {
        let snapshot: Snapshot?
    }

    /// As `take`; `nil` also if the file was removed since it was claimed, which must not keep
    /// other files waiting.
    private func takeIfThere(
        _ key: Key,
        into builder: StripeBuilder,
        buffer: UnsafeMutableRawBufferPointer
    ) throws(FileSystemError) -> Taken? {
        do throws(FileSystemError) {
            return try take(key, into: builder, buffer: buffer)
        } catch {
            guard error.code == .notFound else { throw error }
            return nil
        }
    }

    /// Seals a block as it is now; `nil` if it is not dirty any more.
    private func take(
        _ key: Key,
        into builder: StripeBuilder,
        buffer: UnsafeMutableRawBufferPointer
    ) throws(FileSystemError) -> Taken? {
        let content = contents.content(of: key.ino)
        try content.load(from: metadata, cachePath: cache.path(of: content.ino))
        guard let fileKey = try fileKey(of: content) else { return nil }
        let found = try content.state.write {
            state throws(FileSystemError) -> (Int, UInt64, Timestamp, UInt64)? in
            guard var block = state.blocks[key.index.rawValue], let token = block.dirtySince,
                !state.isReaped
            else { return nil }
            guard let size = try metadata.attributesIfPresent(of: key.ino)?.size else { return nil }
            guard size > key.index.offset else {
                // A mark whose write never made the file longer: a crash came between, or a
                // refusal.
                try metadata.removeBlocks(key.ino, key.index..<key.index.next)
                state.blocks[key.index.rawValue] = nil
                return nil
            }
            let plain = Int(min(UInt64(Geometry.blockBytes), size - key.index.offset))
            guard builder.hasRoom(plainBytes: plain) else { return (0, 0, token, 0) }
            let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[..<plain])
            try cache.read(key.ino, offset: key.index.offset, into: bytes)
            let checksum = XXH3.hash64(UnsafeRawBufferPointer(bytes))
            block.snapshotTaken = true
            block.snapshotChecksum = checksum
            state.blocks[key.index.rawValue] = block
            return (plain, block.version, token, checksum)
        }
        guard let (plain, version, token, checksum) = found else { return nil }
        guard plain > 0 else { return Taken(snapshot: nil) }
        let sealed = try builder.add(
            UnsafeRawBufferPointer(rebasing: buffer[..<plain]),
            key: fileKey
        )
        return Taken(
            snapshot: Snapshot(
                content: content,
                index: key.index,
                version: version,
                token: token,
                sealed: sealed,
                checksum: checksum
            )
        )
    }

    /// The file's key, made at its first upload; `nil` if the file is gone.
    ///
    /// Under the content's lock from the look to the keeping: two threads that upload parts of
    /// one new file must not each make a key.
    private func fileKey(of content: FileContent) throws(FileSystemError) -> FileKey? {
        if let key = content.state.read({ $0.fileKey }) { return key }
        return try content.state.write { state throws(FileSystemError) in
            do throws(FileSystemError) {
                let known = try state.openKey(
                    of: content.ino,
                    in: metadata,
                    under: configuration.key
                )
                if let known { return known }
                let key = FileKey.random()
                try metadata.setFileKey(wrap(key, for: content.ino), of: content.ino)
                state.fileKey = key
                return key
            } catch {
                guard error.code == .notFound else { throw error }
                return nil
            }
        }
    }

    private func wrap(_ key: FileKey, for ino: InodeNumber) throws(FileSystemError) -> [UInt8] {
        do throws(SealingError) {
            return try configuration.key.wrap(key, for: ino)
        } catch {
            throw FileSystemError(.inputOutput, "cannot wrap a file key: \(error)")
        }
    }

    private func place(
        _ snapshots: [Snapshot],
        builder: StripeBuilder
    ) throws(FileSystemError) {
        let zero = snapshots.filter(\.sealed.isZero)
        let solid = snapshots.filter { !$0.sealed.isZero }
        for snapshot in zero { try makeHole(snapshot) }
        guard !solid.isEmpty else {
            state.update { $0.completed += 1 }
            return
        }
        let bytes = solid.reduce(0) { $0 + $1.plainBytes }
        let progress = StripeProgress(shardCount: configuration.code.n)
        let keys = solid.map { Key(ino: $0.content.ino, index: $0.index) }
        state.update { $0.placingBytes += bytes }
        progresses.withLock { all in for key in keys { all[key] = progress } }
        defer {
            progresses.withLock { all in for key in keys { all[key] = nil } }
            state.update { $0.placingBytes -= bytes }
        }
        let ids = (0..<configuration.code.n).map { _ in ShardNames.newID(of: configuration.id) }
        let shards = try builder.finish(shards: ids, key: configuration.key)
        let record = try placer.begin(
            builder.stripe,
            code: configuration.code,
            payloadBytes: builder.payloadBytes,
            ids: ids,
            roots: shards.map(\.root)
        )
        do throws(FileSystemError) {
            try placer.place(record, bytes: shards.map(\.bytes), progress: progress)
        } catch {
            try metadata.abandonStripe(record.id)
            throw error
        }
        try complete(solid, of: record)
    }

    /// Makes those files durable here whose cache file is to tell, after a power cut, what they
    /// hold: it must not be older than what is placed.
    private func makeDurable(_ snapshots: [Snapshot]) throws(FileSystemError) {
        var inodes = Set<InodeNumber>()
        for snapshot in snapshots where snapshot.content.state.read({ $0.isTrustedWhole }) {
            inodes.insert(snapshot.content.ino)
        }
        for ino in inodes.sorted(by: { $0.rawValue < $1.rawValue }) { try cache.sync(ino) }
    }

    /// Records a stripe as placed, durably, and then its blocks as clean in memory.
    private func complete(
        _ snapshots: [Snapshot],
        of stripe: StripeRecord
    ) throws(FileSystemError) {
        let number = state.update { state in
            state.lastCompleting += 1
            state.completing.insert(state.lastCompleting)
            return state.lastCompleting
        }
        defer { state.update { _ = $0.completing.remove(number) } }
        try makeDurable(snapshots)
        try metadata.completeStripe(
            stripe.id,
            blocks: snapshots.map {
                PlacedBlock(
                    key: Metadata::BlockKey($0.content.ino, $0.index),
                    location: $0.sealed.location.holding(checksum: $0.checksum),
                    token: $0.token
                )
            }
        )
        DurableStep.note(.stripeRecorded)
        try metadata.sync()
        DurableStep.note(.stripeSynced)
        for snapshot in snapshots {
            snapshot.content.state.write { state in
                guard var block = state.blocks[snapshot.index.rawValue],
                    block.version == snapshot.version, block.dirtySince == snapshot.token
                else { return }
                block.location = snapshot.sealed.location.holding(checksum: snapshot.checksum)
                block.dirtySince = nil
                block.snapshotTaken = false
                block.isSynced = false
                state.blocks[snapshot.index.rawValue] = block
                if state.blocks.values.allSatisfy({ $0.dirtySince == nil }) {
                    state.holdsAcknowledged = false
                }
            }
        }
        DurableStep.note(.blocksCleaned)
        custody?.notePlaced(stripe.id)
        state.update { $0.completed += 1 }
    }

    /// A block of zeros becomes a hole, unless it changed since; its cached bytes are zeros too.
    private func makeHole(_ snapshot: Snapshot) throws(FileSystemError) {
        try snapshot.content.state.write { state throws(FileSystemError) in
            guard let block = state.blocks[snapshot.index.rawValue],
                block.version == snapshot.version, block.dirtySince == snapshot.token
            else { return }
            try metadata.removeBlocks(
                snapshot.content.ino,
                snapshot.index..<snapshot.index.next
            )
            state.blocks[snapshot.index.rawValue] = nil
        }
    }
}

/// Carries a value that is not `Sendable` into the one thread that will use it.
private struct UncheckedBox<Value>: @unchecked Sendable {
    // SAFETY: the thread that makes the box gives the value away and never touches it again.
    let value: Value

    init(_ value: Value) { self.value = value }
}
