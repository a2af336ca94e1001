import Disk
import Logging
import Metadata
import Network
import Primitives
import Sealing
import Synchronization
import Transport
import Wire

/// Brings the metadata to the network, so that the volume can be had back without this host.
///
/// What the journal has gathered is placed as a piece, soon after the change; pieces are merged
/// with those before that are not much longer, so that each change is sent a few times only,
/// however many come after it, and there are few pieces. When the journal has grown to half of
/// the last base, all rows are placed anew as the next base. A head that names the pieces is
/// registered with the keepers.
final class CheckpointWriter: Sendable {
    /// A journal shorter than this is no reason for a new base, and one longer than that is,
    /// however large the last was: it is merged in memory, which takes ten times as much.
    private static let journalBytesMin: UInt64 = 4 << 20
    private static let journalBytesMax: UInt64 = 16 << 20
    /// A piece is merged with the new one if it is at most so many times as long.
    private static let mergedRatio = 2
    /// Looked at without any change, in case one was not noticed.
    private static let idleTick: Duration = .seconds(60)
    /// How often it is looked whether this machine is the writer by now, if something is to be
    /// published.
    private static let uninvitedTick: Duration = .seconds(10)
    /// Pause after a head could not be placed or registered.
    private static let retryPause: Duration = .seconds(5)
    /// How long a caller waits for a head.
    private static let patience: Duration = .seconds(120)

    private struct State {
        var isStopping = false
        /// Requests so far, those of them that a head answers, and what came of the last.
        var asked: UInt64 = 0
        var answered: UInt64 = 0
        var snapshots: [SnapshotWish] = []
        var outcome: Result<UInt64, FileSystemError> = .success(0)
        var status = CheckpointStatus()
        /// Whether a head is made that has all of before this opening: one that a crash kept from
        /// being registered may lack what was committed after it.
        var coversPast = false
        /// Whether there is something of before a crash that the newest head may lack.
        var hasUncoveredPast = false
    }

    private let configuration: VolumeConfiguration
    private let settings: VolumeConfiguration.Checkpoints
    private let metadata: MetadataStore
    private let network: any StorageNetwork
    private let placer: StripePlacer
    private let custody: VolumeCustody?
    private let logger: Logger
    private let state = Condition(State())
    private let thread = Mutex<Thread?>(nil)

    init(
        configuration: VolumeConfiguration,
        settings: VolumeConfiguration.Checkpoints,
        metadata: MetadataStore,
        network: any StorageNetwork,
        meters: Meters,
        custody: VolumeCustody?,
        logger: Logger
    ) {
        self.configuration = configuration
        self.settings = settings
        self.metadata = metadata
        self.network = network
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

    /// Begins the journal, if that was not done, and looks how far heads are.
    func prepare() throws(FileSystemError) {
        try metadata.beginCheckpoints()
        let saved = try metadata.checkpointState()
        let time = try saved.decodedHead()?.time
        let through = saved.parts.first { $0.piece == CheckpointPart.index }?.last ?? 0
        let hasUncoveredPast = !metadata.wasCleanlyClosed && saved.lastRow > through
        state.update { state in
            state.hasUncoveredPast = hasUncoveredPast
            state.status.registered = saved.registered
            state.status.time = saved.registered > 0 ? time : nil
            state.status.behindBlocks = saved.behind
        }
    }

    func start() throws(FileSystemError) {
        do {
            let started = try Thread.spawn("checkpoint") { [self] in run() }
            thread.withLock { $0 = started }
        } catch {
            throw FileSystemError(.inputOutput, error.description)
        }
    }

    /// Ends the thread; what a head lacks is brought to the network before, if that can be done.
    func stop() {
        state.update { $0.isStopping = true }
        metadata.wakeWaiters()
        thread.withLock { $0 }?.join()
    }

    /// Looks again whether this machine is the writer.
    func noteWriter() { state.update { _ in } }

    var status: CheckpointStatus { state.withLock { $0.status } }

    /// Waits until keepers have a head of the volume as it is now, and keeps that head if
    /// `snapshot` is given.
    ///
    /// - Returns: Its version.
    /// - Throws: `unavailable`, with the reason, if there is none within two minutes.
    func checkpoint(keeping snapshot: SnapshotWish? = nil) throws(FileSystemError) -> UInt64 {
        let number = state.update { state in
            state.asked += 1
            if let snapshot { state.snapshots.append(snapshot) }
            return state.asked
        }
        metadata.wakeWaiters()
        let outcome = state.wait(for: Self.patience) { state -> Result<UInt64, FileSystemError>? in
            state.answered >= number ? state.outcome : nil
        }
        guard let outcome else {
            throw FileSystemError(
                .unavailable,
                "no head within two minutes: \(status.trouble ?? "the network is slow")"
            )
        }
        return try outcome.get()
    }

    // MARK: The thread

    private func run() {
        Thread.lowerPriority()
        while true {
            let seen = metadata.changeCount
            let isStopping = state.withLock { $0.isStopping }
            if !isStopping, !isAsked, !isDue {
                metadata.waitForChange(after: seen, for: Self.idleTick) { [self] in
                    state.withLock { $0.isStopping || $0.asked != $0.answered }
                }
                continue
            }
            if !isAsked, !configuration.mayPublish() {
                if isStopping { return }
                _ = state.wait(for: Self.uninvitedTick) { [configuration] state -> Void? in
                    state.isStopping || state.asked != state.answered
                        || configuration.mayPublish() ? () : nil
                }
                continue
            }
            if !isStopping {
                // Others will follow the first change.
                let pause = status.trouble == nil ? settings.interval : Self.retryPause
                _ = state.wait(for: pause) { $0.isStopping || $0.asked != $0.answered ? () : nil }
            }
            answer()
            if isStopping { return }
        }
    }

    private var isAsked: Bool { state.withLock { $0.asked != $0.answered } }

    private var isDue: Bool {
        let (status, lacksPast) = state.withLock { state in
            let hasPast = state.hasUncoveredPast || state.status.through > 0
            return (state.status, hasPast && !state.coversPast)
        }
        return !status.isFenced
            && (metadata.lastSubstantialRow > status.through || status.isPending
                || status.registered == 0 || hasCaughtUp(behind: status.behindBlocks)
                || lacksPast)
    }

    /// Whether blocks that the newest head calls behind are not any more: those that became holes
    /// leave no other trace, and a recovery would cut their files.
    private func hasCaughtUp(behind: Int) -> Bool {
        behind > 0 && metadata.totals.dirtyBlocks == 0
    }

    /// Makes a head if there is reason to, and tells who waits.
    private func answer() {
        let (asked, wishes) = state.withLock { state in
            defer { state.snapshots = [] }
            return (state.asked, state.snapshots)
        }
        let outcome: Result<UInt64, FileSystemError>
        do throws(FileSystemError) {
            outcome = .success(try makeHead(wishes))
            state.update { $0.status.trouble = nil }
        } catch {
            outcome = .failure(error)
            logger.warning("the metadata is not placed yet: \(error.message)")
            state.update { $0.status.trouble = error.message }
        }
        state.update { state in
            state.answered = asked
            state.outcome = outcome
        }
    }

    /// Registers what is whole already, then places what came after it.
    private func makeHead(_ wishes: [SnapshotWish]) throws(FileSystemError) -> UInt64 {
        guard !status.isFenced else {
            throw FileSystemError(.stale, "another machine writes to the volume now")
        }
        guard configuration.mayPublish() else { throw FileSystemError.notWriter }
        var saved = try metadata.checkpointState()
        if let head = try saved.decodedHead(), head.version > saved.registered {
            // Keepers take none of an older term: what it has is placed, and the next has it too.
            guard head.term == settings.term() else { return try place(saved, wishes) }
            try register(head, saved)
            saved = try metadata.checkpointState()
        }
        let index = saved.parts.filter { $0.piece == CheckpointPart.index }
        let through = index.first?.last ?? 0
        let kept = try metadata.snapshots().first { $0.version == saved.registered }
        let isCurrent =
            wishes.allSatisfy { kept == nil || $0.name.isEmpty || $0.name == kept?.name }
            && saved.registered > 0 && !saved.needsBase && !hasCaughtUp(behind: saved.behind)
            && max(saved.lastSubstantialRow, 0) <= through
            && (state.withLock { $0.coversPast } || saved.lastRow <= through)
        if isCurrent {
            state.update { state in
                state.status.through = max(through, 1)
                state.coversPast = true
            }
            if kept == nil, let wish = wishes.first(where: { !$0.name.isEmpty }) ?? wishes.first {
                let time = try saved.decodedHead()?.time ?? Clock.now()
                try metadata.putSnapshot(
                    wish.row(saved.registered, time, index.map(\.location))
                )
                // That it is kept must be found too.
                _ = try place(try metadata.checkpointState(), [])
            }
            return saved.registered
        }
        return try place(saved, wishes)
    }

    // MARK: Placing

    private func place(
        _ saved: CheckpointState,
        _ wishes: [SnapshotWish]
    ) throws(FileSystemError) -> UInt64 {
        let stripes = try CheckpointStripes(
            configuration: configuration,
            metadata: metadata,
            placer: placer
        )
        let head: VolumeHead
        do throws(FileSystemError) {
            let old = saved.parts.filter { $0.piece != CheckpointPart.index }
            let base = old.filter { $0.piece == CheckpointPart.base }
            let baseBytes = base.reduce(UInt64(0)) { $0 + UInt64($1.location.plainBytes) }
            let journalBytes = try metadata.journalBytes()
            let isBaseDue =
                base.isEmpty || saved.needsBase
                || journalBytes
                    > min(Self.journalBytesMax, max(Self.journalBytesMin, baseBytes / 2))
            let (cut, kept, new) =
                isBaseDue
                ? try placeBase(in: stripes) : try placePiece(behind: old, in: stripes)
            head = try finish(cut, saved, kept: kept, new: new, stripes, wishes)
        } catch {
            try stripes.abandon()
            throw error
        }
        // From here on its stripes are placed, whatever keepers say.
        state.update { $0.coversPast = true }
        try register(head, try metadata.checkpointState())
        return head.version
    }

    private typealias Placed = (cut: CheckpointCut, kept: [CheckpointPart], new: [CheckpointPart])

    /// Places every row anew.
    ///
    /// By way of a file: what reads the database keeps its log from being moved, and providers may
    /// be slow.
    private func placeBase(in stripes: CheckpointStripes) throws(FileSystemError) -> Placed {
        let spool = try CheckpointSpool(beside: configuration.metadataPath)
        defer { spool.remove() }
        let cut = try metadata.cutBase { chunk throws(FileSystemError) in try spool.append(chunk) }
        var locations: [BlockLocation] = []
        try spool.forEachPart { part throws(FileSystemError) in
            locations += try stripes.add(part)
        }
        return (cut, [], Self.parts(of: CheckpointPart.base, through: cut.last, locations))
    }

    /// Places what came since the last piece, and with it those before that are not much longer.
    private func placePiece(
        behind old: [CheckpointPart],
        in stripes: CheckpointStripes
    ) throws(FileSystemError) -> Placed {
        let cut = try metadata.cut()
        var kept = old
        var first = (old.map(\.last).max() ?? 0) + 1
        var records = try metadata.journal(after: first - 1, through: cut.last)
        var bytes = records.count
        while let last = kept.last, last.piece != CheckpointPart.base {
            let piece = kept.filter { $0.piece == last.piece }
            let length = piece.reduce(0) { $0 + Int($1.location.plainBytes) }
            guard length <= Self.mergedRatio * bytes else { break }
            bytes += length
            first = last.piece
            kept.removeAll { $0.piece == last.piece }
        }
        if kept.count < old.count {
            records = try metadata.journal(after: first - 1, through: cut.last)
        }
        let locations = try stripes.add(records)
        return (cut, kept, Self.parts(of: first, through: cut.last, locations))
    }

    private static func parts(
        of piece: Int64,
        through last: Int64,
        _ locations: [BlockLocation]
    ) -> [CheckpointPart] {
        locations.enumerated().map { number, location in
            CheckpointPart(piece: piece, part: number, last: last, location: location)
        }
    }

    /// Places the index, and makes the head durable here.
    private func finish(
        _ cut: CheckpointCut,
        _ saved: CheckpointState,
        kept: [CheckpointPart],
        new: [CheckpointPart],
        _ stripes: CheckpointStripes,
        _ wishes: [SnapshotWish]
    ) throws(FileSystemError) -> VolumeHead {
        let time = Clock.now()
        let parts = kept + new
        let wish = wishes.first { !$0.name.isEmpty } ?? wishes.first
        var known: [CheckpointStripe] = []
        for id in Set(kept.map(\.location.stripe)).sorted(by: { $0.hex < $1.hex }) {
            known.append(CheckpointStripe(try metadata.stripe(id)))
        }
        known += try stripes.records()
        let index = CheckpointIndex(
            version: cut.version,
            time: time,
            name: configuration.name,
            pieces: Self.pieces(parts),
            stripes: known,
            behind: cut.behind,
            kept: wish
        )
        let locations = try stripes.add(index.encoded)
        try stripes.flush()
        let named = Set(known.map(\.manifest.id))
        let place = CheckpointPlace(
            index: locations,
            stripes: try stripes.records().filter { !named.contains($0.manifest.id) }
        )
        let head = try makeHead(cut.version, time, place, after: try saved.decodedHead())
        let all = new + Self.parts(of: CheckpointPart.index, through: cut.last, locations)
        let kept = Set(kept)
        try metadata.completeCheckpoint(
            NewCheckpoint(
                version: cut.version,
                stripes: stripes.placed,
                parts: all,
                replaced: saved.parts.filter { !kept.contains($0) },
                head: head.encoded,
                behind: cut.behind.count,
                snapshot: wish?.row(cut.version, time, locations)
            )
        )
        for id in stripes.placed { custody?.notePlaced(id) }
        state.update { state in
            state.status.isPending = true
            state.status.behindBlocks = cut.behind.count
        }
        return head
    }

    private static func pieces(_ parts: [CheckpointPart]) -> [CheckpointPiece] {
        Dictionary(grouping: parts, by: \.piece).sorted { $0.key < $1.key }.map { first, parts in
            CheckpointPiece(
                first: first,
                last: parts.first?.last ?? first,
                parts: parts.sorted { $0.part < $1.part }.map(\.location)
            )
        }
    }

    private func makeHead(
        _ version: UInt64,
        _ time: Timestamp,
        _ place: CheckpointPlace,
        after previous: VolumeHead?
    ) throws(FileSystemError) -> VolumeHead {
        let body = try HeadBody.seal(place, key: configuration.key.checkpointKey)
        do throws(SealingError) {
            return try VolumeHead(
                volume: configuration.id,
                version: version,
                time: time,
                term: settings.term(),
                previous: previous?.digest ?? .noHead,
                body: body,
                signedBy: settings.owner
            )
        } catch {
            throw FileSystemError(.inputOutput, "cannot sign a head: \(error)")
        }
    }

    // MARK: Registering

    private func register(
        _ head: VolumeHead,
        _ saved: CheckpointState
    ) throws(FileSystemError) {
        let result = HeadRegister.register(head, at: network)
        for refusal in result.refusals {
            logger.info("keeper \(refusal.keeper.short) has no new head: \(refusal.error.message)")
        }
        // Who goes on from the newest head that more than half of the keepers know may not find one
        // that fewer have: it is no reason to give up what the head before needs.
        guard result.isByMajority else {
            state.update { state in
                state.status.isPending = true
                if result.isRefusedForGood { state.status.isFenced = true }
            }
            let reason =
                result.refusals.first.map { "keeper \($0.keeper.short): \($0.error.message)" }
                ?? "none is known"
            throw FileSystemError(
                result.isRefusedForGood ? .stale : .unavailable,
                "\(result.taken) of \(result.of) keepers took the head, and more than half must:"
                    + " \(reason)"
            )
        }
        let through = saved.parts.first { $0.piece == CheckpointPart.index }?.last ?? 0
        let base = saved.parts.first { $0.piece == CheckpointPart.base }?.last
        try metadata.noteRegistered(head.version, through: through, forgettingThrough: base)
        DurableStep.note(.headRegistered)
        state.update { state in
            state.status.registered = head.version
            state.status.through = max(through, 1)
            state.status.time = head.time
            state.status.isPending = false
        }
    }
}
