import Auditor
import Disk
import Logging
import Metadata
import Network
import Primitives
import Proofs
import Sealing
import Synchronization
import Transport

/// Lets a keeper audit and repair the volume while nobody has it open, and keeps it away meanwhile.
///
/// While the volume is open the keeper is *held* every ten seconds. At the first hold, and after
/// every gap in which it may have gone to work:
///   1. its repairs are taken over into the metadata,
///   2. it gets a grant and the repair key, which opens no contents,
///   3. its list of stripes is compared by the digests of 256 buckets, and made equal.
/// Then it is told of stripes that are placed, moved or gone, a few seconds later, and the rest
/// before the volume is closed. A keeper that is away costs a question now and then.
final class Delegation: Sendable {
    /// How long changes are gathered.
    private static let batchPause: Duration = .seconds(3)
    /// How long closing the volume waits for the keeper to take what is queued.
    private static let flushTime: Duration = .seconds(10)
    /// What a keeper may do for, in seconds; it lapses if the owner never comes back.
    private static let grantSeconds: Int64 = 90 * 86_400
    /// A grant is renewed when less than this is left of it.
    private static let renewSeconds = 30.0 * 86_400

    private struct State {
        var isStopping = false
        /// Whether the keeper has the grant and our list.
        var isDelegated = false
        /// Why it has not, if it should.
        var trouble: String?
    }

    /// What only the thread uses.
    private struct Progress {
        /// When the keeper was held last (monotonic).
        var heldAt: Duration?
        /// When that was tried last; while the keeper is away nothing else is.
        var triedAt: Duration?
        var isAway = true
        /// When what it was granted ends.
        var grantedUntil: Timestamp?
        /// Whether its list may differ from ours by more than what is queued.
        var needsComparison = true
        /// Not wanted, and taken back: nothing is left to do.
        var isOver = false
    }

    let keeper: NodeID
    private let volume: VolumeID
    private let code: ErasureCode
    private let repairKey: RepairKey
    private let owner: SigningKey
    private let isWanted: Bool
    private let stripes: MetadataStripes
    private let custodian: Custodian
    private let network: any StorageNetwork
    private let logger: Logger
    private let state = Condition(State())
    private let thread = Mutex<Thread?>(nil)

    init(
        of configuration: VolumeConfiguration,
        to keeper: NodeID,
        owner: SigningKey,
        isWanted: Bool,
        stripes: MetadataStripes,
        custodian: Custodian,
        network: any StorageNetwork,
        logger: Logger
    ) {
        self.keeper = keeper
        volume = configuration.id
        code = configuration.code
        repairKey = configuration.key.repairKey
        self.owner = owner
        self.isWanted = isWanted
        self.stripes = stripes
        self.custodian = custodian
        self.network = network
        self.logger = logger
    }

    /// Whether the keeper would go on if the volume were closed now.
    var isDelegated: Bool { state.withLock { $0.isDelegated } }

    /// Why it would not although it should.
    var trouble: String? { state.withLock { $0.trouble } }

    func start() throws(FileSystemError) {
        do throws(DiskError) {
            let started = try Thread.spawn("delegation") { [self] in run() }
            thread.withLock { $0 = started }
        } catch {
            throw FileSystemError(error)
        }
    }

    /// Ends the thread once the keeper knows what is queued, or does not take it in time.
    func stop() {
        state.update { $0.isStopping = true }
        thread.withLock { $0 }?.join()
    }

    // MARK: The thread

    private func run() {
        Thread.lowerPriority()
        var progress = Progress()
        while !progress.isOver {
            do throws(FileSystemError) {
                try turn(&progress)
                state.withLock { $0.trouble = nil }
            } catch {
                if error.code == .unavailable { progress.isAway = true }
                note(error)
            }
            let isStopping = state.wait(for: Self.batchPause) { $0.isStopping ? true : nil }
            if isStopping == true { break }
        }
        if isDelegated { flush(&progress) }
    }

    private func note(_ error: FileSystemError) {
        let isNew = state.withLock { state in
            defer { state.trouble = error.message }
            return state.trouble == nil
        }
        if isNew { logger.warning("keeper \(keeper.short): \(error.message)") }
    }

    private func turn(_ progress: inout Progress) throws(FileSystemError) {
        if isHoldDue(progress) { try meet(&progress) }
        guard isDelegated, !progress.isAway else { return }
        try tellChanges(&progress, deadline: nil)
    }

    private func flush(_ progress: inout Progress) {
        do throws(FileSystemError) {
            try tellChanges(&progress, deadline: Clock.monotonic() + Self.flushTime)
        } catch {
            logger.warning("keeper \(keeper.short) gets the rest later: \(error.message)")
        }
    }

    private func isHoldDue(_ progress: Progress) -> Bool {
        guard let triedAt = progress.triedAt else { return true }
        return Clock.monotonic() - triedAt >= HoldVolume.interval
    }

    // MARK: Meeting the keeper

    /// Holds the keeper, and settles what has come between us and it.
    private func meet(_ progress: inout Progress) throws(FileSystemError) {
        let before = progress.heldAt
        let known = try hold(&progress)
        let gap = before.map { Clock.monotonic() - $0 }
        if !isDelegated || gap.map({ $0 > HoldVolume.lasts }) ?? true {
            progress.needsComparison = true
        }
        if let known { try takeOverRepairs(upTo: known.repairs, &progress) }
        guard isWanted else {
            if known != nil { _ = try ask(Undelegate(volume: volume)) }
            progress.isOver = true
            return
        }
        var theirs = known
        let now = Clock.now()
        let rest = progress.grantedUntil.map { $0.seconds(since: now) } ?? 0
        if known == nil || rest < Self.renewSeconds { theirs = try delegate(&progress) }
        guard progress.needsComparison, let theirs else { return }
        try compare(with: theirs.digests, &progress)
        progress.needsComparison = false
        state.withLock { $0.isDelegated = true }
    }

    /// Keeps the keeper away for a while; `nil` if the volume was not delegated to it.
    @discardableResult
    private func hold(_ progress: inout Progress) throws(FileSystemError) -> DelegationState? {
        progress.triedAt = Clock.monotonic()
        let request = network.ask(HoldVolume(volume: volume), ofKeeper: keeper)
        defer { progress.heldAt = progress.isAway ? progress.heldAt : Clock.monotonic() }
        do throws(NetworkError) {
            let state = try request.wait(for: HoldVolume.timeout)
            progress.isAway = false
            return state
        } catch {
            progress.isAway = error.code != .notFound
            guard !progress.isAway else { throw FileSystemError(.unavailable, error.message) }
            state.withLock { $0.isDelegated = false }
            return nil
        }
    }

    private func delegate(_ progress: inout Progress) throws(FileSystemError) -> DelegationState {
        let now = Clock.now()
        let until = Timestamp(seconds: now.seconds + Self.grantSeconds, nanoseconds: 0)
        let grant: Grant
        do throws(SealingError) {
            grant = try Grant(
                volume: volume,
                grantee: keeper,
                rights: [.audit, .repair],
                issued: now,
                expires: until,
                signedBy: owner
            )
        } catch {
            throw FileSystemError(.inputOutput, "cannot sign a grant: \(error)")
        }
        let theirs = try ask(Delegate(grant: grant, repairKey: repairKey, code: code))
        progress.grantedUntil = until
        return theirs
    }

    /// Takes the keeper's moves of shards over, oldest first.
    private func takeOverRepairs(
        upTo number: UInt64,
        _ progress: inout Progress
    ) throws(FileSystemError) {
        var applied = try stripes.metadata.repairsApplied(of: keeper)
        // A keeper that counts anew has lost what it had; taking all over again does no harm.
        if number < applied { applied = 0 }
        while applied < number {
            let page = try ask(FetchRepairs(volume: volume, after: applied)).repairs
            if !page.isEmpty {
                try takeOver(page)
                logger.notice("took over \(page.count) repairs of keeper \(keeper.short)")
            }
            // Numbers may begin anywhere and have gaps; none came while the keeper is held.
            applied = max(applied, page.last?.number ?? number)
            try stripes.metadata.setRepairsApplied(of: keeper, applied)
            try keepHolding(&progress)
        }
    }

    private func takeOver(_ repairs: [RepairRecord]) throws(FileSystemError) {
        let moves = repairs.map { repair in
            ShardMove(
                stripe: repair.stripe,
                index: Int(repair.index),
                from: repair.from,
                to: repair.to
            )
        }
        let moved = try stripes.metadata.moveShards(moves)
        for (repair, isMoved) in zip(repairs, moved) {
            if isMoved {
                custodian.noteMoved(repair)
            } else {
                try dropCopy(of: repair)
            }
        }
    }

    /// The keeper has brought back a shard that nothing needs: the stripe is gone meanwhile.
    private func dropCopy(of repair: RepairRecord) throws(FileSystemError) {
        let stripe = try stripes.metadata.placedStripe(repair.stripe)
        let holders = stripe?.shards.filter { $0.shard == repair.shard }.map(\.provider) ?? []
        guard !holders.contains(repair.to), let root = Digest(bytes: Self.noRoot) else { return }
        try stripes.metadata.keepGarbage(
            ShardRecord(
                index: Int(repair.index),
                shard: repair.shard,
                provider: repair.to,
                root: root
            ),
            shardBytes: stripe?.shardBytes ?? 0,
            code: code,
            under: StripeBuilder.newID(StripeID.self)
        )
    }

    /// The root of a shard that is to be deleted is of no interest.
    private static let noRoot = [UInt8](repeating: 0, count: Digest.byteCount)

    // MARK: The list of stripes

    /// Makes the keeper's list what ours is, where digests of it differ.
    private func compare(
        with theirs: BucketDigests,
        _ progress: inout Progress
    ) throws(FileSystemError) {
        var ours = BucketDigests()
        var last: StripeID?
        while true {
            let page = try stripes.metadata.placedStripes(
                after: last,
                limit: MetadataStripes.pageMax
            )
            for record in page { ours.add(StripeManifest(record)) }
            guard let end = page.last else { break }
            guard !isStopping else {
                throw FileSystemError(.closed, "its list is compared at the next mount")
            }
            last = end.id
            try keepHolding(&progress)
        }
        for bucket in ours.differing(from: theirs) {
            let pages = ReplaceBucket.pages(
                volume: volume,
                bucket: bucket,
                stripes: try stripes.stripes(inBucket: bucket)
            )
            for page in pages { _ = try ask(page) }
            try keepHolding(&progress)
        }
    }

    /// Tells the keeper of stripes that are new, moved or gone.
    private func tellChanges(
        _ progress: inout Progress,
        deadline: Duration?
    ) throws(FileSystemError) {
        let (changed, isOverflown) = stripes.changes.take()
        if isOverflown { progress.needsComparison = true }
        guard !changed.isEmpty else { return }
        do throws(FileSystemError) {
            var upserts: [StripeManifest] = []
            var removed: [StripeID] = []
            for id in changed {
                if let record = try stripes.metadata.placedStripe(id) {
                    upserts.append(StripeManifest(record))
                } else {
                    removed.append(id)
                }
            }
            for part in PutStripes.split(volume: volume, upserts: upserts, removed: removed) {
                _ = try ask(part, deadline: deadline)
            }
        } catch {
            stripes.changes.note(changed)
            throw error
        }
    }

    // MARK: Asking

    private var isStopping: Bool { state.withLock { $0.isStopping } }

    /// Holds the keeper if it is time, in the middle of longer work.
    private func keepHolding(_ progress: inout Progress) throws(FileSystemError) {
        if isHoldDue(progress) { try hold(&progress) }
    }

    private func ask<Query: KeeperQuery>(
        _ query: Query,
        deadline: Duration? = nil
    ) throws(FileSystemError) -> Query.Answer {
        let rest = deadline.map { max($0 - Clock.monotonic(), .zero) } ?? Query.timeout
        do throws(NetworkError) {
            return try network.ask(query, ofKeeper: keeper).wait(for: min(rest, Query.timeout))
        } catch {
            if error.code == .notFound { state.withLock { $0.isDelegated = false } }
            throw FileSystemError(.unavailable, error.message)
        }
    }
}
