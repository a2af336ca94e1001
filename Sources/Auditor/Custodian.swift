import Disk
package import Logging
package import Network
package import Primitives
import Proofs
import Reliability
import Synchronization
import Transport

/// Looks after a volume: audits its orders, rebuilds what is lost, drains who leaves.
///
/// A thread ticks once a second and decides; what waits for the network runs on a `WorkCrew`. All
/// that must survive is in the book, so that a custodian can end and begin anywhere. It works
/// without a keeper too: then nothing is challenged, and repairs follow from what else is seen.
package final class Custodian: Sendable {
    /// Audits under way at once.
    static let auditsMax = 4
    /// Stripes repaired at once.
    static let repairsMax = 2

    /// Orders amended at once.
    private static let amendmentsMax = 4

    /// Work of which one at a time runs.
    enum Job: Hashable {
        case amend(NodeID)
        case compact
        case beacon
        case scores
        case tell
        case probe
        case doubts
        case copies

        var isAmendment: Bool { if case .amend = self { true } else { false } }
    }

    struct State {
        var view = NetworkView.empty
        var lookedAt: Timestamp?
        /// Providers that answered no challenge, not even the second.
        var unreachableSince: [NodeID: Timestamp] = [:]

        var agenda = AuditAgenda()
        var plannedVersion = -1
        var beaconDue: Timestamp?
        var keeperScores: [NodeID: Score] = [:]
        var scoresDue: Timestamp?
        var tellDue: Timestamp?
        var reportedSequences: [OrderID: UInt64] = [:]
        var historiesSavedAt: Timestamp?

        /// Orders whose shards are asked for one by one, and where to go on.
        var probes: [OrderID: Int] = [:]
        var doubts: [Doubt] = []

        var scan: StripeScan?
        var scannedAt: Timestamp?
        /// Providers that hold shards of the volume, as of the last scan and what was placed since.
        var holders: Set<NodeID> = []
        /// No further scan begins before, in seconds as long as the last one took.
        var scanRestsUntil: Timestamp?
        var mustScan = true
        var scannedLosses = 0
        var concerns = ConcernQueue()
        var working: Set<StripeID> = []
        var copiesDue: Timestamp?
        var treesDroppedAt: Timestamp?

        var audits = 0
        var repairs = 0
        var jobs: Set<Job> = []

        var bucket: TokenBucket
        /// Another custodian removes copies now.
        var isHandedOver = false
        var repairsDone: UInt64 = 0
        var repairedBytes: UInt64 = 0
        /// What is wrong, by subject; said once in the log.
        var remarks: [String: String] = [:]
        var status = CustodyStatus()
        var statusAt: Timestamp?
        var worst: [CustodyStripe] = []
        var shardsMissing = 0
    }

    struct Doubt: Hashable {
        let stripe: StripeID
        let index: Int
    }

    package let book: OrderBook
    let identity: CustodyIdentity
    let configuration: CustodyConfiguration
    let source: any StripeSource
    let network: any StorageNetwork
    let logger: Logger
    let now: @Sendable () -> Timestamp
    let auditor: OrderAuditor
    let beacons: BeaconFollower
    let repairer: Repairer
    let state: Mutex<State>
    /// Reads and puts since the last tick: how many went well, how many not.
    let transfers = Mutex<[NodeID: (good: Int, bad: Int)]>([:])
    private let crew: WorkCrew
    private let life = Condition(Life())
    private let thread = Mutex<Thread?>(nil)

    private struct Life {
        var isStopping = false
        var running = 0
    }

    /// `crew` runs what waits for the network; several custodians may share one.
    package init(
        identity: CustodyIdentity,
        configuration: CustodyConfiguration = CustodyConfiguration(),
        book: OrderBook,
        source: any StripeSource,
        network: any StorageNetwork,
        crew: WorkCrew = WorkCrew(limit: WorkCrew.usualLimit),
        logger: Logger,
        now: @escaping @Sendable () -> Timestamp = { Clock.now() }
    ) {
        self.identity = identity
        self.configuration = configuration
        self.book = book
        self.source = source
        self.network = network
        self.crew = crew
        self.logger = logger
        self.now = now
        auditor = OrderAuditor(book: book, configuration: configuration, logger: logger)
        beacons = BeaconFollower(book: book, network: network, logger: logger)
        let meter = RepairMeter()
        repairer = Repairer(
            identity: identity,
            book: book,
            source: source,
            network: network,
            logger: logger,
            spent: { meter.add($0) }
        )
        self.meter = meter
        state = Mutex(
            State(bucket: TokenBucket(bytesPerSecond: configuration.repairBytesPerSecond))
        )
        // The owner may have looked after the volume meanwhile, and knows of all moves.
        if identity.grant != nil { handOver() }
    }

    let meter: RepairMeter

    // MARK: Life

    /// How long to wait until the next `tick`: a second, or five where epochs are long and nothing
    /// is going on.
    package var pause: Duration {
        let isBusy = state.withLock { state in
            !state.jobs.isEmpty || !state.probes.isEmpty || !state.doubts.isEmpty
                || !state.working.isEmpty || state.scan != nil || state.mustScan
        }
        guard !isBusy, life.withLock({ $0.running == 0 }),
            let block = beacons.newest, block.epochSeconds >= Self.longEpochSeconds
        else { return .seconds(1) }
        return .seconds(5)
    }

    /// Epochs in which five seconds do not matter.
    private static let longEpochSeconds: UInt32 = 300

    /// Starts the thread that ticks; not needed where `tick` is called otherwise.
    package func start() throws(CustodyError) {
        do throws(DiskError) {
            let thread = try Thread.spawn("custodian") { [self] in
                while life.wait(for: pause, until: { $0.isStopping ? true : nil }) == nil {
                    tick()
                }
            }
            self.thread.withLock { $0 = thread }
        } catch {
            throw CustodyError(.storage, "the custodian cannot start: \(error)")
        }
    }

    /// Ends the thread and gives what is under way some seconds; amends what is queued if
    /// `flushing`, at providers that are up.
    package func stop(flushing: Bool = true) {
        life.update { $0.isStopping = true }
        thread.withLock { thread in
            defer { thread = nil }
            return thread
        }?.join()
        _ = life.wait(for: .seconds(5)) { $0.running == 0 ? true : nil }
        if flushing {
            let view = state.withLock { $0.view }
            for provider in book.queuesDue(at: now().adding(seconds: 3600))
            where view.isReachable(provider) {
                book.flush(provider)
            }
        }
        if state.withLock({ $0.isHandedOver }) { handOver() }
        foldTransfers(at: now())
        book.saveHistories()
    }

    var isStopping: Bool { life.withLock { $0.isStopping } }

    /// Runs work on the crew; `false` if nobody is free.
    func run(_ name: String, _ work: @escaping @Sendable () -> Void) -> Bool {
        life.withLock { $0.running += 1 }
        let isRunning = crew.run(name) { [self] in
            work()
            life.update { $0.running -= 1 }
        }
        if !isRunning { life.update { $0.running -= 1 } }
        return isRunning
    }

    /// Runs a job of which one at a time runs, unless it does already.
    func runOnce(_ job: Job, _ name: String, _ work: @escaping @Sendable () -> Void) {
        guard state.withLock({ $0.jobs.insert(job).inserted }) else { return }
        let isRunning = run(name) { [self] in
            work()
            _ = state.withLock { $0.jobs.remove(job) }
        }
        if !isRunning { _ = state.withLock { $0.jobs.remove(job) } }
    }

    // MARK: Ticking

    /// Seconds between two savings of what was seen of providers.
    private static let historiesInterval = 300.0
    /// Seconds after which an order's tree leaves memory.
    private static let treeAge = 120.0

    /// Does what is due; cheap if nothing is.
    package func tick() {
        let time = now()
        look(at: time)
        foldTransfers(at: time)
        for provider in book.queuesDue(at: time) {
            // Providers that hang do not keep the crew from everything else.
            guard state.withLock({ $0.jobs.count(where: \.isAmendment) }) < Self.amendmentsMax
            else { break }
            runOnce(.amend(provider), "amend") { [self] in book.flush(provider) }
        }
        compactOrders(at: time)
        if configuration.audits { tickAudits(at: time) }
        tellReceipts(at: time)
        probeShards()
        checkDoubts()
        scanStripes(at: time)
        repairStripes(at: time)
        tidyCopies(at: time)
        housekeep(at: time)
        refreshStatus(at: time)
    }

    /// Takes tombstones out of orders, one order at a time.
    private func compactOrders(at time: Timestamp) {
        let due = book.compactionsDue(at: time)
        guard !due.isEmpty, !isStopping else { return }
        let view = state.withLock { $0.view }
        runOnce(.compact, "compact") { [self] in
            for (provider, order) in due where view.isReachable(provider) && !isStopping {
                // A probe goes through the entries by position.
                guard state.withLock({ $0.probes[order] == nil }) else { continue }
                book.compact(provider) { !isStopping }
                state.withLock { state in
                    if state.probes[order] != nil { state.probes[order] = 0 }
                }
            }
        }
    }

    private func housekeep(at time: Timestamp) {
        let (mustSave, mustDrop) = state.withLock { state -> (Bool, Bool) in
            let mustSave = Self.isOver(state.historiesSavedAt, Self.historiesInterval, time)
            if mustSave { state.historiesSavedAt = time }
            let mustDrop = Self.isOver(state.treesDroppedAt, Self.treeAge, time)
            if mustDrop { state.treesDroppedAt = time }
            return (mustSave, mustDrop)
        }
        if mustSave { book.saveHistories() }
        if mustDrop { book.dropIdleTrees(olderThan: Self.treeAge) }
    }

    /// Whether so many seconds have passed; a clock that was set back counts as if.
    static func isOver(_ last: Timestamp?, _ seconds: Double, _ time: Timestamp) -> Bool {
        guard let last else { return true }
        return time < last || time.seconds(since: last) >= seconds
    }

    func remark(_ subject: String, _ text: String?) {
        let isNews = state.withLock { state -> Bool in
            guard state.remarks[subject] != text else { return false }
            state.remarks[subject] = text
            return text != nil
        }
        if isNews, let text { logger.warning("\(text)") }
    }
}

/// Counts the bytes that repairs read and write.
final class RepairMeter: Sendable {
    private let bytes = Mutex(0)

    func add(_ count: Int) { bytes.withLock { $0 += count } }

    /// What came since it was asked last.
    func take() -> Int {
        bytes.withLock { bytes in
            defer { bytes = 0 }
            return bytes
        }
    }
}
