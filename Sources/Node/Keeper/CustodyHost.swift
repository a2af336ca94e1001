import Auditor
import Disk
import Logging
import Network
import Primitives
import Proofs
import Sealing
import Synchronization
import Transport

/// Audits and repairs the delegated volumes that nobody holds, each with a custodian of its own.
///
/// One thread ticks them all; what waits for the network runs on one crew that they share.
final class CustodyHost: Sendable {
    /// How often the thread looks: seldom as long as there are no delegated volumes to look after.
    private static let interval = Duration.seconds(1)
    private static let idleInterval = Duration.seconds(5)

    private struct Running {
        let custodian: Custodian
        let grant: Grant
    }

    private struct State {
        var custodians: [DelegationKey: Running] = [:]
        /// Custodians that end, which may wait for providers.
        var ending: Set<DelegationKey> = []
        /// Why a volume is not looked after, so that it is logged once.
        var failures: [DelegationKey: String] = [:]
        var isStopping = false
    }

    private let directory: String
    private let configuration: CustodyConfiguration
    private let services: KeeperServices
    private let logger: Logger
    private let crew = WorkCrew(limit: WorkCrew.usualLimit)
    private let state = Condition(State())
    private let thread = Mutex<Disk.Thread?>(nil)

    /// Order books are in `directory`.
    init(
        directory: String,
        configuration: CustodyConfiguration,
        services: KeeperServices,
        logger: Logger
    ) throws(NodeError) {
        self.directory = directory
        self.configuration = configuration
        self.services = services
        self.logger = logger
        do throws(DiskError) {
            try Directory.make(directory)
            try removeStrayBooks()
        } catch {
            throw NodeError(error)
        }
    }

    func start() throws(NodeError) {
        do throws(DiskError) {
            let thread = try Disk.Thread.spawn("keeper-custody") { [self] in run() }
            self.thread.withLock { $0 = thread }
        } catch {
            throw NodeError(error)
        }
    }

    /// Ends all custodians.
    ///
    /// Blocks until what they do is done or given up.
    func stop() {
        state.update { $0.isStopping = true }
        thread.withLock { thread in
            defer { thread = nil }
            return thread
        }?.join()
        for key in state.withLock({ Array($0.custodians.keys) }) { end(key, handingOver: false) }
        _ = state.wait { $0.ending.isEmpty ? true : nil }
    }

    /// What is known of a volume that is looked after; `nil` of one that is not.
    func status(of key: DelegationKey) -> CustodyStatus? {
        state.withLock { $0.custodians[key]?.custodian }?.status
    }

    private func run() {
        var interval = Self.interval
        while true {
            let isStopping = state.wait(for: interval) { $0.isStopping ? true : nil }
            if isStopping != nil { return }
            settle(now: services.now())
            let custodians = state.withLock { $0.custodians.values.map(\.custodian) }
            for custodian in custodians { custodian.tick() }
            interval = custodians.map(\.pause).min() ?? pauseWithoutVolumes
        }
    }

    /// Where epochs are short, those of a volume whose owner goes are not to be missed.
    private var pauseWithoutVolumes: Duration {
        Duration.seconds(services.beacons.epochSeconds) / 60 >= Self.idleInterval
            ? Self.idleInterval : Self.interval
    }

    /// Starts and ends custodians as owners come and go.
    private func settle(now: Timestamp) {
        var wanted: [DelegationKey: Delegation] = [:]
        var known: Set<DelegationKey> = []
        for (delegation, isHeld) in services.delegations.delegations() {
            known.insert(delegation.key)
            if !isHeld, now < delegation.grant.expires { wanted[delegation.key] = delegation }
        }
        for (key, running) in state.withLock({ $0.custodians })
        where wanted[key]?.grant != running.grant {
            end(key, handingOver: known.contains(key))
        }
        for (key, delegation) in wanted
        where state.withLock({ $0.custodians[key] == nil && !$0.ending.contains(key) }) {
            begin(delegation)
        }
    }

    private func begin(_ delegation: Delegation) {
        let key = delegation.key
        let logger = logger
        do {
            let identity = CustodyIdentity(
                volume: key.volume,
                ownerKey: delegation.grant.ownerKey,
                signer: services.identity,
                grant: delegation.grant,
                repairKey: delegation.repairKey,
                keepers: [services.identity.publicKey]
            )
            let network = KeeperNetwork(
                owner: key.owner,
                grant: delegation.grant,
                services: services
            )
            let book = try OrderBook(
                path: bookPath(key),
                identity: identity,
                network: network,
                configuration: configuration,
                logger: logger,
                now: services.now
            )
            let custodian = Custodian(
                identity: identity,
                configuration: configuration,
                book: book,
                source: DelegatedStripes(key: key, services: services),
                network: network,
                crew: crew,
                logger: logger,
                now: services.now
            )
            state.withLock { state in
                state.custodians[key] = Running(custodian: custodian, grant: delegation.grant)
                state.failures[key] = nil
            }
            logger.info("looking after \(key), whose owner is away")
        } catch {
            let reason = "\(error)"
            let isNews = state.withLock { state -> Bool in
                defer { state.failures[key] = reason }
                return state.failures[key] != reason
            }
            if isNews { logger.error("\(key) cannot be looked after: \(reason)") }
        }
    }

    /// Ends a custodian on a thread of its own, because that may wait for providers.
    private func end(_ key: DelegationKey, handingOver: Bool) {
        let running = state.withLock { state -> Running? in
            guard let running = state.custodians.removeValue(forKey: key) else { return nil }
            state.ending.insert(key)
            return running
        }
        guard let running else { return }
        logger.info("\(key) is \(handingOver ? "looked after by its owner" : "let go")")
        let work: @Sendable () -> Void = { [self] in
            if handingOver { running.custodian.handOver() }
            running.custodian.stop(flushing: handingOver)
            finish(key)
        }
        do throws(DiskError) {
            try Disk.Thread.spawn("custody-end", work)
        } catch {
            work()
        }
    }

    private func finish(_ key: DelegationKey) {
        if !services.delegations.isDelegated(key) { removeBook(key) }
        state.update { state in
            state.ending.remove(key)
            state.failures[key] = nil
        }
    }

    // MARK: Books

    private static let bookSuffix = ".db"

    private func bookPath(_ key: DelegationKey) -> String {
        "\(directory)/\(key.name)\(Self.bookSuffix)"
    }

    private func removeBook(_ key: DelegationKey) {
        for suffix in ["", "-wal", "-shm"] { try? WholeFile.remove(bookPath(key) + suffix) }
    }

    /// Removes books of volumes that were undelegated while nobody looked after them.
    private func removeStrayBooks() throws(DiskError) {
        let known = Set(services.delegations.delegations().map(\.delegation.key.name))
        for name in try Directory.list(directory) {
            let stem = name.split(separator: ".", maxSplits: 1).first.map(String.init) ?? name
            if !known.contains(stem) { try WholeFile.remove(directory + "/" + name) }
        }
    }
}

/// A delegated volume's stripes for its custodian.
struct DelegatedStripes: StripeSource {
    let key: DelegationKey
    let services: KeeperServices

    private var store: DelegationStore { services.delegations }

    func stripes(after: StripeID?, limit: Int) throws -> [StripeManifest] {
        try store.stripes(of: key, after: after, limit: limit)
    }

    func stripe(_ id: StripeID) throws -> StripeManifest? {
        try store.stripe(id, of: key)
    }

    func moveShard(_ stripe: StripeID, index: Int, from: NodeID, to: NodeID) throws -> Bool {
        try store.moveShard(
            stripe,
            of: key,
            index: index,
            from: from,
            to: to,
            now: services.now()
        )
    }
}
