import Control
import Disk
import Glibc
import Home
import Lease
import Logging
import Network
import Primitives
import Sealing
import Synchronization
import Volume

/// A mount's part in who writes the volume: it gets the writer lease, finds the head to go on from,
/// and says whether heads may be published (`docs/lease.md`).
final class VolumeWriter: Sendable {
    /// Whether this machine writes the volume.
    enum Standing: Hashable, Sendable {
        case held
        /// Keepers are out of reach, or were not asked yet: nothing is published until they are.
        case unknown
        /// Another machine does: nothing is changed any more.
        case lost(to: String)
    }

    /// How the newest head stands to what is here.
    enum Finding: Sendable {
        case same
        /// Another machine has made it.
        case newer(VolumeHead)
        /// Keepers that would tell are out of reach.
        case unknown
    }

    private struct State {
        var isStopping = false
        var lostTo: String?
        var onLoss: (@Sendable () -> Void)?
    }

    /// How often it is tried to get the lease while keepers are out of reach.
    private static let retryPause = Duration.seconds(10)
    /// How long a take-over waits for the other to be silent for long enough.
    private static let takeoverPatience = LeaseTimes().timeToLive + .seconds(5)
    /// How often keepers are asked for the newest head at once, and the pause between.
    private static let surveysMax = 3
    private static let surveyPause = Duration.seconds(1)

    private let directory: VolumeDirectory
    private let network: RemoteNetwork
    private let identity: SigningKey
    private let options: MountOptions
    private let logger: Logger
    private let lease: WriterLease
    /// Whether the newest head is one that was made here, since the lease is held.
    private let isConfirmed = Atomic(false)
    private let hasLost = Atomic(false)
    private let state = Condition(State())
    private let thread = Mutex<Disk.Thread?>(nil)

    /// Asks nobody yet.
    init(
        _ directory: VolumeDirectory,
        network: RemoteNetwork,
        identity: SigningKey,
        options: MountOptions,
        logger: Logger
    ) throws(HomeError) {
        self.directory = directory
        self.network = network
        self.identity = identity
        self.options = options
        self.logger = logger
        let holders = try directory.chooseHolders()
        let losing = Losing()
        lease = WriterLease(
            volume: directory.id,
            holder: holders.present,
            predecessor: holders.predecessor,
            label: Self.hostName(),
            network: network,
            logger: logger,
            onLoss: { label, _ in losing.writer.withLock { $0 }?.lose(to: label) }
        )
        losing.writer.withLock { $0 = self }
    }

    /// Lets the lease know its writer, which knows the lease.
    private final class Losing: Sendable {
        let writer = Mutex<VolumeWriter?>(nil)
    }

    private static func hostName() -> String {
        var name = [CChar](repeating: 0, count: LeaseHolder.labelBytesMax + 1)
        guard gethostname(&name, name.count - 1) == 0 else { return "" }
        return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    // MARK: What is known

    /// Whether heads may be published at this moment; cheap.
    var mayPublish: Bool { isConfirmed.load(ordering: .acquiring) && lease.isHeld }

    /// Whether another machine has taken the volume; cheap.
    var isLost: Bool { hasLost.load(ordering: .acquiring) }

    /// What heads carry.
    var term: UInt64 { lease.term }

    var standing: Standing {
        if let label = state.withLock({ $0.lostTo }) { return .lost(to: label) }
        return mayPublish ? .held : .unknown
    }

    // MARK: Beginning

    /// Gets the lease, unless keepers are out of reach.
    ///
    /// - Throws: `already`, naming the host that has it, if another machine does.
    func acquire() throws(ControlFailure) {
        do throws(WriterLease.Failure) {
            try acquireLease(waitingFor: options.takesOver ? Self.takeoverPatience : .zero)
        } catch {
            switch error.reason {
            case .inUse(let state): throw refusal(state)
            case .termsUsedUp: throw ControlFailure(.failed, "\(error)")
            case .outOfReach, .cancelled:
                logger.warning("\(error); nothing is published until the writer lease is held")
            }
        }
    }

    private func acquireLease(
        waitingFor patience: Duration,
        above floor: UInt64 = 0
    ) throws(WriterLease.Failure) {
        try lease.acquire(isTakeover: options.takesOver, above: floor, waitingFor: patience)
        do throws(HomeError) {
            try directory.confirm(lease.holder)
        } catch {
            logger.warning("\(error.message); after a crash the writer lease has to run out")
        }
    }

    private func refusal(_ state: LeaseState) -> ControlFailure {
        let name = directory.name
        let holder = state.label.isEmpty ? "another machine" : "\"\(state.label)\""
        let what =
            state.standing == .lapsed
            ? "was in use by \(holder), which is silent: take it over with -o takeover, or mount it"
                + " with -o ro; it is free in \(state.secondsLeft) s"
            : "is in use by \(holder): unmount it there, mount it here with -o ro, or with"
                + " -o takeover once that machine is gone"
        return ControlFailure(.already, "volume '\(name)' \(what)")
    }

    /// Asks for the newest head, and compares it with what `engine` has.
    ///
    /// - Throws: `corrupt` if keepers have gone back and that is not accepted, naming one.
    func find(for engine: VolumeEngine) throws(ControlFailure) -> Finding {
        let seen = engine.status().checkpoints?.registered ?? 0
        guard lease.isHeld else {
            // Nothing is published, and the volume is as it is here; but who went back is named.
            tell(survey(after: seen))
            return .unknown
        }
        for attempt in 0..<Self.surveysMax {
            if attempt > 0, isStopped(within: Self.surveyPause) { return .unknown }
            let survey = survey(after: seen)
            guard survey.isFenced(before: lease.term) || network.keeperIDs.isEmpty else { continue }
            tell(survey)
            return try judge(survey, engine)
        }
        return .unknown
    }

    private func survey(after seen: UInt64) -> HeadSurvey {
        HeadRegister.newest(
            of: directory.id,
            owner: identity.publicKey.nodeID,
            at: network,
            atLeast: seen
        )
    }

    /// Names keepers that have another head than the newest, and registers the volume with those
    /// that have none: it was made while they were away, or they have lost it.
    private func tell(_ survey: HeadSurvey) {
        for (keeper, finding) in survey.findings {
            switch finding {
            case .forked, .invalid, .rolledBack:
                logger.error("keeper \(keeper.short) \(finding)")
            case .behind:
                logger.warning("keeper \(keeper.short) \(finding): it was away, put back, or lies")
            case .missing where survey.newest != nil:
                logger.warning("keeper \(keeper.short) \(finding): the volume is registered anew")
                do throws(HomeError) {
                    try directory.register(at: [keeper], of: network, as: identity)
                } catch {
                    logger.warning("keeper \(keeper.short): \(error.message)")
                }
            case .missing, .current, .unreachable: break
            }
        }
    }

    private func judge(
        _ survey: HeadSurvey,
        _ engine: VolumeEngine
    ) throws(ControlFailure) -> Finding {
        let comparison: HeadComparison
        do throws(FileSystemError) {
            comparison = try engine.compare(with: survey.newest)
        } catch {
            throw ControlFailure(error)
        }
        switch comparison {
        case .same: return .same
        case .newer: return survey.newest.map { .newer($0) } ?? .same
        case .rolledBack(let seen):
            let keepers = survey.findings.filter {
                if case .unreachable = $0.finding { false } else { true }
            }
            let who = keepers.map { "keeper \($0.keeper.short) \($0.finding)" }
                .joined(separator: ", ")
            let what =
                "keepers have gone back behind head \(seen) of volume '\(directory.name)', which"
                + " this machine has seen: \(who)"
            guard options.acceptsRollback else {
                throw ControlFailure(
                    .corrupt,
                    "\(what); put them right, or go on from what is here with -o accept-rollback"
                )
            }
            logger.error("\(what); going on from what is here, as told")
            try outdo(engine)
            return .same
        }
    }

    /// Gets the lease under a term above that of what is here, which keepers that went back do not
    /// know: else what is published from now on would not count as newer than what it goes on from.
    private func outdo(_ engine: VolumeEngine) throws(ControlFailure) {
        let term: UInt64
        do throws(FileSystemError) {
            term = try engine.lastHeadTerm()
        } catch {
            throw ControlFailure(error)
        }
        guard lease.term <= term, !network.keeperIDs.isEmpty else { return }
        lease.release()
        do throws(WriterLease.Failure) {
            try acquireLease(waitingFor: .zero, above: term)
        } catch {
            throw ControlFailure(.unreachable, "\(error)")
        }
    }

    /// Lets heads be published: the newest is one that `engine` has.
    func confirm(_ engine: VolumeEngine) {
        isConfirmed.store(true, ordering: .releasing)
        engine.noteWriter()
    }

    /// Has `body` called once another machine has taken the volume; at once if that is so.
    func onLoss(_ body: @escaping @Sendable () -> Void) {
        let isLost = state.update { state in
            state.onLoss = body
            return state.lostTo != nil
        }
        if isLost { body() }
    }

    private func lose(to label: String) {
        isConfirmed.store(false, ordering: .releasing)
        hasLost.store(true, ordering: .releasing)
        let body = state.update { state in
            state.lostTo = label
            return state.onLoss
        }
        logger.error(
            """
            volume \(directory.name) is written by "\(label)" now: it can only be read here; \
            mount it again to go on
            """
        )
        body?()
    }

    // MARK: Going on

    /// Goes on asking for the lease, on a thread of its own, until it is held.
    func pursue(for engine: VolumeEngine) throws(ControlFailure) {
        do throws(DiskError) {
            let started = try Disk.Thread.spawn("writer") { [self] in run(engine) }
            thread.withLock { $0 = started }
        } catch {
            throw ControlFailure(error)
        }
    }

    private func run(_ engine: VolumeEngine) {
        while !isStopped(within: Self.retryPause) {
            if isLost { return }
            do throws(WriterLease.Failure) {
                if !lease.isHeld { try acquireLease(waitingFor: .zero) }
            } catch {
                // Who has it now has what we have not published.
                if case .inUse(let state) = error.reason { return lose(to: state.label) }
                continue
            }
            do throws(ControlFailure) {
                switch try find(for: engine) {
                case .same: return confirm(engine)
                case .newer: return lose(to: "another machine")
                case .unknown: continue
                }
            } catch {
                return logger.error("\(error.message)")
            }
        }
    }

    private func isStopped(within time: Duration) -> Bool {
        state.wait(for: time) { $0.isStopping ? true : nil } ?? false
    }

    /// Gives the lease back; blocks until keepers know, some seconds at most.
    ///
    /// Once nothing more is published.
    func stop() {
        state.update { state in
            state.isStopping = true
            state.onLoss = nil
        }
        let running = thread.withLock { $0 }
        if running != nil { lease.release() }
        running?.join()
        lease.release()
    }
}

extension VolumeWriter.Standing: CustomStringConvertible {
    var description: String {
        switch self {
        case .held: "held"
        case .unknown: "unknown"
        case .lost(let label): "lost to \(label)"
        }
    }
}
