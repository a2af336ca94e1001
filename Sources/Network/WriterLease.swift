import Disk
package import Lease
package import Logging
package import Primitives
package import Transport
import Sealing
import Synchronization
import Wire

/// A mount's lease to write a volume, from more than half of the keepers (`docs/lease.md`).
///
/// A thread of its own renews it. It guards what is published, not what is written: heads carry
/// its term, and keepers refuse those of a writer that has lost it, however late they come.
package final class WriterLease: Sendable {
    /// Why `acquire` failed.
    package struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        package let reason: LeaseFailure
        /// What a keeper that gave no answer said last, if one did.
        package let keeperError: NetworkError?

        package var description: String {
            if case .outOfReach = reason, let keeperError { return "\(reason): \(keeperError)" }
            return "\(reason)"
        }
    }

    private struct State {
        var machine: LeaseMachine
        /// Something has changed that the thread has not looked at.
        var isNews = false
        var isStopping = false
        var keeperError: NetworkError?
    }

    /// How long `release` waits for keepers to hear of it: without that they wait themselves.
    private static let releasePatience = Duration.seconds(2)
    /// How long `acquire` waits before it asks again.
    private static let pause = Duration.seconds(1)

    package let volume: VolumeID
    package let holder: LeaseHolder
    private let network: any StorageNetwork
    private let keepers: [NodeID]
    private let logger: Logger
    private let onLoss: @Sendable (_ label: String, _ term: UInt64) -> Void
    private let state: Condition<State>
    /// Until when it is held, for `isHeld`; changed with `state` locked.
    private let heldUntil = Mutex(Duration.zero)
    private let thread = Mutex<Disk.Thread?>(nil)

    /// Asks nobody yet.
    ///
    /// `holder`: `nil` for a new one. `predecessor`: the holder of an earlier mount that is known
    /// to be over, as after a crash of this host; its lease need not run out. `label` is what
    /// other mounts show to people, such as the host's name. `onLoss` is called once for each loss
    /// to another mount, on the lease's thread, with that mount's label and term; it must not call
    /// `release`.
    package init(
        volume: VolumeID,
        holder: LeaseHolder? = nil,
        predecessor: LeaseHolder? = nil,
        label: String,
        network: any StorageNetwork,
        logger: Logger,
        times: LeaseTimes = LeaseTimes(),
        onLoss: @escaping @Sendable (_ label: String, _ term: UInt64) -> Void = { _, _ in }
    ) {
        self.volume = volume
        self.holder = holder ?? .random()
        self.network = network
        keepers = network.keeperIDs
        self.logger = logger
        self.onLoss = onLoss
        state = Condition(
            State(
                machine: LeaseMachine(
                    keepers: keepers.count,
                    holder: self.holder,
                    predecessor: predecessor,
                    label: LeaseHolder.label(label),
                    seed: LeaseHolder.randomBytes().reduce(0) { $0 << 8 | UInt64($1) },
                    times: times
                )
            )
        )
    }

    // MARK: What is known

    /// Whether no other mount can have the lease at this moment; cheap.
    package var isHeld: Bool { Clock.sinceBoot() < heldUntil.withLock { $0 } }

    /// The term of the lease that is held, or was: what heads carry; 0 before the first, and where
    /// there are no keepers.
    package var term: UInt64 { state.withLock { $0.machine.term } }

    /// How it stands; `until` of `held` is on `Clock.sinceBoot`.
    package var status: LeaseMachine.State {
        let now = Clock.sinceBoot()
        return state.withLock { $0.machine.state(at: now) }
    }

    // MARK: Getting it and giving it back

    /// Gets the lease under a new term, and renews it from then on.
    ///
    /// Blocks until more than half of the keepers have granted it, at most some seconds, or
    /// `patience` if that is more and the lease is in use or keepers are out of reach. `isTakeover`
    /// takes it from a mount that is silent for its time to live. Then ask for the newest head,
    /// until the survey is fenced (`HeadSurvey.isFenced`), before anything is published: another
    /// mount may have had the lease before. The term will be above `floor`. After a loss it may be
    /// called again. One caller at a time; after a failure nothing is left to release.
    package func acquire(
        isTakeover: Bool = false,
        above floor: UInt64 = 0,
        waitingFor patience: Duration = .zero
    ) throws(Failure) {
        let deadline = Clock.sinceBoot() + patience
        try start()
        while true {
            let begin = Clock.sinceBoot()
            state.update { state in
                state.keeperError = nil
                state.machine.acquire(isTakeover: isTakeover, above: floor, at: begin)
                noteChange(of: &state)
            }
            let failure = state.wait { state -> LeaseFailure?? in
                let now = Clock.sinceBoot()
                guard state.machine.state(at: now) != .acquiring else { return nil }
                return .some(state.machine.failure)
            }
            guard let failure else { return }
            let keeperError = state.withLock { $0.keeperError }
            let isOver = failure == .cancelled || Clock.sinceBoot() + Self.pause > deadline
            guard !isOver else {
                release()
                throw Failure(reason: failure, keeperError: keeperError)
            }
            _ = state.wait(for: Self.pause) { $0.isStopping ? true : nil }
        }
    }

    /// Gives the lease back, so that another mount gets it at once.
    ///
    /// Blocks until keepers know, 2 s at most. What is not published yet stays so.
    package func release() {
        let sendings = state.update { state -> [LeaseMachine.Sending] in
            state.isStopping = true
            defer { noteChange(of: &state) }
            return state.machine.release()
        }
        thread.withLock { thread in
            defer { thread = nil }
            return thread
        }?.join()
        let deadline = Clock.sinceBoot() + Self.releasePatience
        let answers = sendings.compactMap { sending -> Pending<Nothing>? in
            guard case .release(let holder, let term) = sending.message else { return nil }
            let query = ReleaseLease(volume: volume, holder: holder, term: term)
            return network.ask(query, ofKeeper: keepers[sending.keeper])
        }
        for answer in answers {
            do throws(NetworkError) {
                _ = try answer.wait(for: max(deadline - Clock.sinceBoot(), .zero))
            } catch {
                logger.info("a keeper lets the writer lease lapse: \(error)")
            }
        }
    }

    private func start() throws(Failure) {
        let isRunning = thread.withLock { $0 != nil }
        guard !isRunning else { return }
        state.withLock { $0.isStopping = false }
        do throws(DiskError) {
            let started = try Disk.Thread.spawn("writer-lease") { [self] in run() }
            thread.withLock { $0 = started }
        } catch {
            throw Failure(
                reason: .cancelled,
                keeperError: NetworkError(.refused, "no thread for the writer lease: \(error)")
            )
        }
    }

    // MARK: The thread

    private func run() {
        var told = LeaseMachine.State.idle
        while true {
            let now = Clock.sinceBoot()
            // Whoever acquires waits for what this changes.
            let (sendings, status, next) = state.update { state in
                let sendings = state.machine.tick(at: now)
                noteChange(of: &state)
                state.isNews = false
                return (sendings, state.machine.state(at: now), state.machine.nextTick)
            }
            for sending in sendings { send(sending) }
            tell(status, after: told)
            told = status
            var pause = next.map { $0 - now } ?? .seconds(3600)
            if case .held(_, let until) = status { pause = min(pause, until - now) }
            let isStopping = state.wait(for: pause) { state -> Bool? in
                state.isStopping ? true : state.isNews ? false : nil
            }
            if isStopping == true { return }
        }
    }

    private func send(_ sending: LeaseMachine.Sending) {
        let keeper = keepers[sending.keeper]
        switch sending.message {
        case .hold(let request):
            network.ask(HoldLease(volume: volume, request: request), ofKeeper: keeper)
                .whenDone { [weak self] outcome in self?.receive(sending.number, outcome) }
        case .release(let holder, let term):
            let query = ReleaseLease(volume: volume, holder: holder, term: term)
            // Whoever does not hear of it finds out by itself.
            _ = network.ask(query, ofKeeper: keeper)
        }
    }

    private func receive(_ number: UInt64, _ outcome: Result<LeaseState, NetworkError>) {
        let now = Clock.sinceBoot()
        state.update { state in
            switch outcome {
            case .success(let answer): state.machine.receive(number, answer, at: now)
            case .failure(let error):
                state.machine.receive(number, nil, at: now)
                state.keeperError = error
            }
            noteChange(of: &state)
        }
    }

    private func noteChange(of state: inout State) {
        state.isNews = true
        let until = state.machine.heldUntil ?? .zero
        heldUntil.withLock { $0 = until }
    }

    private func tell(_ status: LeaseMachine.State, after told: LeaseMachine.State) {
        switch (told, status) {
        case (.held(let before, _), .held(let term, _)) where before == term: return
        case (_, .held(let term, _)):
            logger.info("volume \(volume.short): writer lease held, term \(term)")
        case (.unknown, .unknown): return
        case (_, .unknown(let term)):
            logger.warning(
                """
                volume \(volume.short): too few keepers renew the writer lease of term \(term); \
                nothing is published until they do
                """
            )
        case (.lost, .lost): return
        case (_, .lost(let label, let term)):
            logger.error("volume \(volume.short): \"\(label)\" took the writer lease, term \(term)")
            onLoss(label, term)
        case (_, .idle), (_, .acquiring): return
        }
    }
}

extension LeaseHolder {
    /// A new holder.
    package static func random() -> LeaseHolder {
        guard let holder = LeaseHolder(bytes: randomBytes()) else {
            preconditionFailure("a holder has 16 bytes")
        }
        return holder
    }

    static func randomBytes() -> [UInt8] {
        Simulation.current?.randomBytes(byteCount) ?? SecureRandom.bytes(byteCount)
    }

    /// As much of `text` as makes a label.
    static func label(_ text: String) -> String {
        var label = ""
        for character in text {
            let isFit = String(character).isLabel
            guard label.utf8.count + character.utf8.count <= labelBytesMax else { break }
            if isFit { label.append(character) }
        }
        return label
    }
}
