import Auditor
import Disk
import Logging
import Metadata
import Network
import Primitives
import Sealing
import Synchronization
import Transport
import Wire

/// Has providers keep the shards that locked snapshots need, and keepers their heads, until the
/// locks end, on a thread of its own.
///
/// Who was told is written down, so that nothing is told twice, and a kill costs nothing.
final class Retainer: Sendable {
    /// How often it is looked whether there are new locks, if nobody says so.
    private static let tick: Duration = .seconds(60)
    /// How often somebody who has not promised yet is asked again.
    private static let retryTick: Duration = .seconds(5)
    /// How often locks that are whole are looked at: shards may have moved.
    private static let recheckSeconds: Int64 = 3600
    /// Stripes whose shards are asked for at once: 1,536 shards of a code of 6.
    private static let stripesMax = 256

    /// How far one lock is.
    struct Progress: Sendable {
        /// Seconds since 1970.
        let until: Int64
        /// Shards that the snapshot needs, and those of them that are retained.
        var needed = 0
        var retained = 0
        /// Stripes of which too few shards are retained.
        var short = 0
        /// Keepers that keep the head, and all.
        var keepers = 0
        let keepersOf: Int
        var checked: Int64 = 0

        init(until: Int64, keepersOf: Int) {
            self.until = until
            self.keepersOf = keepersOf
        }

        /// Whether nobody can undo it: more than half of the keepers have the head, and of each
        /// stripe enough shards are retained.
        var isLocked: Bool { short == 0 && needed > 0 && keepers > keepersOf / 2 }
        /// Whether all have promised.
        var isWhole: Bool { isLocked && retained == needed && keepers == keepersOf }

        var share: Double {
            guard !isLocked else { return 1 }
            return min(0.99, Double(retained + keepers) / Double(max(1, needed + keepersOf)))
        }
    }

    private struct State {
        var isStopping = false
        var mustLook = true
        var progress: [UInt64: Progress] = [:]
    }

    private let configuration: VolumeConfiguration
    private let settings: VolumeConfiguration.Checkpoints
    private let metadata: MetadataStore
    private let network: any StorageNetwork
    private let retention: ShardRetention
    private let custody: VolumeCustody?
    private let logger: Logger
    private let state = Condition(State())
    private let thread = Mutex<Thread?>(nil)

    /// `nil` if the volume has no heads.
    init?(
        configuration: VolumeConfiguration,
        metadata: MetadataStore,
        network: any StorageNetwork,
        retention: ShardRetention,
        custody: VolumeCustody?,
        logger: Logger
    ) {
        guard let settings = configuration.checkpoints else { return nil }
        self.configuration = configuration
        self.settings = settings
        self.metadata = metadata
        self.network = network
        self.retention = retention
        self.custody = custody
        self.logger = logger
    }

    func start() throws(FileSystemError) {
        do {
            let started = try Thread.spawn("retain") { [self] in run() }
            thread.withLock { $0 = started }
        } catch {
            throw FileSystemError(.inputOutput, error.description)
        }
    }

    func stop() {
        state.update { $0.isStopping = true }
        thread.withLock { $0 }?.join()
    }

    /// Looks at once: there is a new lock.
    func look() { state.update { $0.mustLook = true } }

    /// How much of a snapshot's lock is promised, 1 if enough is; `nil` if that is not known, or
    /// it is not locked.
    func share(of version: UInt64) -> Double? {
        state.withLock { $0.progress[version]?.share }
    }

    // MARK: The thread

    private func run() {
        Thread.lowerPriority()
        while true {
            let isPending = state.withLock { state in
                state.progress.values.contains { !$0.isWhole }
            }
            let tick = isPending ? Self.retryTick : Self.tick
            let isStopping = state.wait(for: tick) { state -> Bool? in
                state.isStopping || state.mustLook ? state.isStopping : nil
            }
            if isStopping ?? false { return }
            state.update { $0.mustLook = false }
            // Another machine's snapshots are its own business.
            guard configuration.mayPublish() else { continue }
            do throws(FileSystemError) {
                try keepLocks()
            } catch {
                logger.warning("snapshots are not locked yet: \(error.message)")
            }
        }
    }

    private var isStopping: Bool { state.withLock { $0.isStopping } }

    private func keepLocks() throws(FileSystemError) {
        let now = Clock.now().seconds
        let locked = try metadata.snapshots().filter { $0.lockEnd > now }
            // What is told of a longer lock need not be told of a shorter one.
            .sorted { $0.lockEnd > $1.lockEnd }
        let versions = Set(locked.map(\.version))
        state.withLock { state in
            state.progress = state.progress.filter { versions.contains($0.key) }
        }
        for snapshot in locked {
            let known = state.withLock { $0.progress[snapshot.version] }
            if let known, known.isWhole, known.until == snapshot.lockEnd,
                now - known.checked < Self.recheckSeconds
            {
                continue
            }
            try keepLock(of: snapshot, now: now)
            if isStopping { return }
        }
        try retention.withBook { (book) throws(CustodyError) in try book.forget(before: now) }
    }

    private func keepLock(of snapshot: SnapshotRow, now: Int64) throws(FileSystemError) {
        let until = snapshot.lockEnd
        var progress = Progress(until: until, keepersOf: network.keeperIDs.count)
        try forEachPage(of: snapshot) { stripes throws(FileSystemError) in
            progress.count(stripes, try retained(stripes, until: until))
        }
        note(progress, of: snapshot)
        // Providers retain what is under order, and entries wait for others to be amended with.
        if progress.retained < progress.needed { custody?.book.flush() }
        var away: Set<NodeID> = []
        let before = progress
        (progress.needed, progress.retained, progress.short) = (0, 0, 0)
        try forEachPage(of: snapshot) { stripes throws(FileSystemError) in
            try tell(stripes, until: until, away: &away)
            progress.count(stripes, try retained(stripes, until: until))
            var shown = progress
            // Until all is told, what is behind counts as it was.
            shown.needed = max(before.needed, progress.needed)
            shown.retained = max(before.retained, progress.retained)
            shown.short = max(1, progress.short)
            note(shown, of: snapshot)
        }
        guard !isStopping else { return }
        progress.keepers = try keepHead(of: snapshot)
        progress.checked = now
        note(progress, of: snapshot)
        guard progress.isLocked, !before.isLocked else { return }
        logger.info("snapshot \(snapshot.version) is locked by \(progress.retained) shards")
    }

    private func note(_ progress: Progress, of snapshot: SnapshotRow) {
        state.withLock { $0.progress[snapshot.version] = progress }
    }

    private func forEachPage(
        of snapshot: SnapshotRow,
        _ body: ([StripeRecord]) throws(FileSystemError) -> Void
    ) throws(FileSystemError) {
        var last: StripeID?
        while !isStopping {
            let page = try metadata.placedStripes(
                after: last,
                limit: Self.stripesMax,
                neededBy: snapshot.version
            )
            if !page.isEmpty { try body(page) }
            guard page.count == Self.stripesMax, let end = page.last else { return }
            last = end.id
        }
    }

    // MARK: Shards

    /// Of each shard of `stripes`, one after the other, whether it is retained for long enough.
    private func retained(
        _ stripes: [StripeRecord],
        until: Int64
    ) throws(FileSystemError) -> [Bool] {
        let copies = stripes.flatMap(\.shards).map { Copy(shard: $0.shard, provider: $0.provider) }
        let times = try retention.withBook { (book) throws(CustodyError) in
            try book.retention(of: copies)
        }
        return times.map { $0 >= until }
    }

    /// Tells providers of the shards that are not retained yet; those that do not answer are not
    /// asked again before the next turn.
    private func tell(
        _ stripes: [StripeRecord],
        until: Int64,
        away: inout Set<NodeID>
    ) throws(FileSystemError) {
        let known = try retained(stripes, until: until)
        let missing = zip(stripes.flatMap(\.shards), known).filter { !$1 }.map(\.0)
        let up = (try? network.providers())?.filter(\.isUp).map(\.id) ?? []
        let asked = Dictionary(grouping: missing, by: \.provider)
            .filter { up.contains($0.key) && !away.contains($0.key) }
            .map { provider, shards in
                let ids = Array(shards.map(\.shard).prefix(RetainShards.shardsMax))
                return (provider, ids, retention.ask(ids, at: provider, until: until))
            }
        for (provider, ids, answer) in asked {
            let times: [Int64]
            do throws(NetworkError) {
                times = try answer.wait(for: RetainShards.timeout).times
            } catch {
                logger.debug("provider \(provider.short) locks nothing yet: \(error)")
                away.insert(provider)
                continue
            }
            guard times.count == ids.count else { continue }
            let promised = zip(ids, times).map { (shard: $0, until: $1) }
            try retention.withBook { (book) throws(CustodyError) in
                try book.note(promised, at: provider)
            }
        }
    }

    // MARK: Heads

    /// Gives keepers the snapshot's head.
    ///
    /// - Returns: How many have it.
    private func keepHead(of snapshot: SnapshotRow) throws(FileSystemError) -> Int {
        let (version, until) = (snapshot.version, snapshot.lockEnd)
        let have = try retention.withBook { (book) throws(CustodyError) in
            try book.keepers(of: version, until: until)
        }
        let keepers = network.keeperIDs
        let missing = keepers.filter { !have.contains($0) }
        guard !missing.isEmpty else { return keepers.count }
        let query = RetainHead(head: try head(of: snapshot), until: until)
        let answers = missing.map { ($0, network.ask(query, ofKeeper: $0)) }
        for (keeper, answer) in answers {
            do throws(NetworkError) {
                let kept = try answer.wait(for: RetainHead.timeout).until
                guard kept >= until else { continue }
            } catch {
                logger.info("keeper \(keeper.short) does not keep head \(version): \(error)")
                continue
            }
            try retention.withBook { (book) throws(CustodyError) in
                try book.note(keeper, keeps: version, until: until)
            }
        }
        return try retention.withBook { (book) throws(CustodyError) in
            Set(try book.keepers(of: version, until: until)).intersection(keepers).count
        }
    }

    /// The head that keepers are asked to keep: made of the snapshot, with the places of its
    /// index's stripes as they are now, since the bytes of the head that was registered are gone.
    private func head(of snapshot: SnapshotRow) throws(FileSystemError) -> VolumeHead {
        let known = try retention.withBook { (book) throws(CustodyError) in
            try book.head(snapshot.version)
        }
        if let known, let head = try? VolumeHead(decoding: known) { return head }
        do {
            let place = try CheckpointPlace(decoding: snapshot.contents)
            var stripes: [CheckpointStripe] = []
            for id in Set(place.index.map(\.stripe)) {
                stripes.append(CheckpointStripe(try metadata.stripe(id)))
            }
            let head = try VolumeHead(
                volume: configuration.id,
                version: snapshot.version,
                time: snapshot.time,
                term: 0,
                previous: .noHead,
                body: try HeadBody.seal(
                    CheckpointPlace(index: place.index, stripes: stripes),
                    key: configuration.key.checkpointKey
                ),
                signedBy: settings.owner
            )
            try retention.book.put(head: head.encoded, of: snapshot.version)
            return head
        } catch let error as FileSystemError {
            throw error
        } catch {
            throw FileSystemError(.corrupt, "snapshot \(snapshot.version): \(error)")
        }
    }
}

extension Retainer.Progress {
    /// Adds stripes, and of each of their shards whether it is retained.
    mutating func count(_ stripes: [StripeRecord], _ isRetained: [Bool]) {
        var shards = isRetained[...]
        for stripe in stripes {
            let held = shards.prefix(stripe.shards.count).count { $0 }
            shards = shards.dropFirst(stripe.shards.count)
            needed += stripe.shards.count
            retained += held
            if held < Self.enough(of: stripe.code) { short += 1 }
        }
    }

    /// Shards of a stripe that must be retained: those that it takes, and half of the others, so
    /// that some may still be lost.
    private static func enough(of code: ErasureCode) -> Int { code.k + (code.m + 1) / 2 }
}

extension SnapshotRow {
    /// When its lock ends, in seconds since 1970; 0 if it has none.
    fileprivate var lockEnd: Int64 { lockedUntil?.seconds ?? 0 }
}
