import Lease
import Primitives
import Testing

/// One machine, and keepers that answer as a test says.
@Suite struct LeaseMachineTests {
    private static let none = LeaseState(
        term: 0,
        holder: .nobody,
        label: "",
        standing: .free,
        secondsLeft: 0,
        isYours: false
    )

    private static func machine(keepers: Int = 3) -> LeaseMachine {
        LeaseMachine(keepers: keepers, holder: RuledKeeper.holder(1), label: "me", seed: 1)
    }

    private static func yours(_ term: UInt64) -> LeaseState {
        LeaseState(
            term: term,
            holder: RuledKeeper.holder(1),
            label: "me",
            standing: .held,
            secondsLeft: 30,
            isYours: true
        )
    }

    private static func rivals(
        _ term: UInt64,
        _ standing: LeaseStanding = .held
    ) -> LeaseState {
        LeaseState(
            term: term,
            holder: RuledKeeper.holder(2),
            label: "rival",
            standing: standing,
            secondsLeft: 9,
            isYours: false
        )
    }

    /// Has the machine send what is due, and keepers answer that; `nil` for no answer.
    ///
    /// - Returns: the terms asked for.
    @discardableResult
    private func round(
        _ machine: inout LeaseMachine,
        at second: Int,
        _ answers: [LeaseState?],
        answeredAt: Int? = nil
    ) -> Set<UInt64> {
        var terms: Set<UInt64> = []
        let sendings = machine.tick(at: .seconds(second))
        for sending in sendings {
            guard case .hold(let request) = sending.message else { continue }
            terms.insert(request.term)
            machine.receive(
                sending.number,
                answers[sending.keeper],
                at: .seconds(answeredAt ?? second)
            )
        }
        return terms
    }

    /// A machine that has the lease since second 0.
    private func holding(_ machine: inout LeaseMachine, keepers: Int = 3) {
        machine.acquire(isTakeover: false, at: .zero)
        round(&machine, at: 0, Array(repeating: Self.none, count: keepers))
        round(&machine, at: 0, Array(repeating: Self.yours(1), count: keepers))
    }

    @Test func itAsksBeforeItClaims() {
        var machine = Self.machine()
        machine.acquire(isTakeover: false, at: .zero)
        #expect(round(&machine, at: 0, [Self.rivals(4, .free), Self.none, nil]) == [0])
        #expect(machine.state(at: .zero) == .acquiring)
        #expect(round(&machine, at: 1, [Self.yours(5), nil, Self.yours(5)]) == [5])
        #expect(machine.state(at: .zero) == .held(term: 5, until: .seconds(29)))
    }

    @Test func timeCountsFromTheQuestion() {
        var machine = Self.machine(keepers: 1)
        machine.acquire(isTakeover: false, at: .zero)
        round(&machine, at: 0, [Self.none])
        round(&machine, at: 10, [Self.yours(1)], answeredAt: 14)
        #expect(machine.heldUntil == .seconds(38))
        #expect(machine.state(at: .seconds(38)) == .unknown(term: 1))
    }

    @Test(arguments: [LeaseStanding.held, .lapsed])
    func aLeaseOfAnotherIsNotClaimed(standing: LeaseStanding) {
        var machine = Self.machine()
        machine.acquire(isTakeover: false, at: .zero)
        let rival = Self.rivals(4, standing)
        round(&machine, at: 0, [Self.none, rival, rival])
        #expect(machine.tick(at: .seconds(1)).isEmpty)
        #expect(machine.state(at: .seconds(1)) == .idle)
        #expect(machine.failure == .inUse(rival))
    }

    @Test func aLapsedLeaseIsTakenOverIfThatIsAskedFor() {
        var machine = Self.machine(keepers: 1)
        machine.acquire(isTakeover: true, at: .zero)
        round(&machine, at: 0, [Self.rivals(4, .lapsed)])
        #expect(round(&machine, at: 1, [Self.yours(5)]) == [5])
    }

    @Test func tooFewAnswersAreNone() {
        var machine = Self.machine()
        machine.acquire(isTakeover: false, at: .zero)
        round(&machine, at: 0, [Self.none, nil, nil])
        #expect(machine.tick(at: .zero).isEmpty)
        #expect(machine.failure == .outOfReach(answered: 1, of: 3))
    }

    @Test func keepersThatNeverAnswerAreNotWaitedForLong() {
        var machine = Self.machine()
        machine.acquire(isTakeover: false, at: .zero)
        #expect(machine.tick(at: .zero).count == 3)
        #expect(machine.nextTick == .seconds(5))
        #expect(machine.tick(at: .seconds(5)).isEmpty)
        #expect(machine.failure == .outOfReach(answered: 0, of: 3))
    }

    @Test func aTermThatIsOutOfAllReasonIsNotBelieved() {
        var machine = Self.machine()
        machine.acquire(isTakeover: false, at: .zero)
        let liar = Self.rivals(LeaseTimes.termMax, .free)
        round(&machine, at: 0, [liar, Self.rivals(4, .free), Self.rivals(7, .free)])
        #expect(round(&machine, at: 0, [nil, nil, nil]) == [8])
    }

    @Test func whatIsNotEnoughIsGivenBack() {
        var machine = Self.machine()
        machine.acquire(isTakeover: false, at: .zero)
        round(&machine, at: 0, [Self.none, Self.none, Self.none])
        round(&machine, at: 0, [Self.yours(1), Self.rivals(1), Self.rivals(1)])
        let releases = machine.tick(at: .zero).map(\.message)
        let release = LeaseMachine.Sending.Message.release(
            holder: RuledKeeper.holder(1),
            term: 1
        )
        #expect(releases == [release, release, release])
        // And looks again: by then the rival has it.
        let rival = Self.rivals(1)
        #expect(round(&machine, at: 2, [Self.none, rival, rival]) == [0])
        #expect(machine.tick(at: .seconds(2)).isEmpty)
        #expect(machine.failure == .inUse(rival))
    }

    @Test func itRenewsInTimeAndMoreOftenIfTooFewAnswer() {
        var machine = Self.machine()
        holding(&machine)
        #expect(machine.nextTick == .seconds(10))
        round(&machine, at: 10, [Self.yours(1), nil, nil])
        #expect(machine.nextTick == .seconds(13))
        round(&machine, at: 13, [nil, Self.yours(1), nil])
        #expect(machine.heldUntil == .seconds(38))
        #expect(machine.nextTick == .seconds(16))
        round(&machine, at: 16, [Self.yours(1), Self.yours(1), nil])
        #expect(machine.nextTick == .seconds(26))
    }

    @Test func afterSilenceItHoldsAgainUnderItsTerm() {
        var machine = Self.machine()
        holding(&machine)
        for second in stride(from: 10, to: 40, by: 3) {
            round(&machine, at: second, [nil, nil, nil])
        }
        #expect(machine.state(at: .seconds(39)) == .unknown(term: 1))
        #expect(round(&machine, at: 40, [Self.yours(1), nil, Self.yours(1)]) == [0])
        #expect(machine.state(at: .seconds(40)) == .unknown(term: 1))
        #expect(machine.nextTick.map { $0 <= .seconds(40) } == true)
        #expect(round(&machine, at: 40, [Self.yours(1), nil, Self.yours(1)]) == [1])
        #expect(machine.state(at: .seconds(40)) == .held(term: 1, until: .seconds(68)))
    }

    /// One keeper that this mount alone reaches must not keep the lease from a mount that reaches
    /// the other two.
    @Test func whatIsNotHeldAnyMoreIsNotRenewedAtTooFewKeepers() {
        var machine = Self.machine()
        holding(&machine)
        for second in stride(from: 10, to: 28, by: 3) {
            #expect(round(&machine, at: second, [Self.yours(1), nil, nil]) == [1])
        }
        for second in stride(from: 28, to: 60, by: 3) {
            #expect(round(&machine, at: second, [Self.yours(1), nil, nil]) == [0])
        }
        // The others have a newer term by then.
        round(&machine, at: 61, [Self.rivals(2), nil, Self.rivals(2)])
        #expect(machine.state(at: .seconds(61)) == .unknown(term: 1))
        round(&machine, at: 61, [Self.rivals(2), nil, Self.rivals(2)])
        #expect(machine.state(at: .seconds(61)) == .lost(to: "rival", term: 2))
    }

    @Test func theTermIsAboveOneThatKeepersForgot() {
        var machine = Self.machine()
        machine.acquire(isTakeover: false, above: 9, at: .zero)
        round(&machine, at: 0, [Self.rivals(4, .free), Self.none, Self.none])
        #expect(round(&machine, at: 1, [nil, Self.yours(10), Self.yours(10)]) == [10])
        #expect(machine.term == 10)
    }

    @Test func itIsLostOnceTooManyPromisedNewerTerms() {
        var machine = Self.machine()
        holding(&machine)
        round(&machine, at: 10, [Self.rivals(2), Self.yours(1), Self.yours(1)])
        #expect(machine.state(at: .seconds(10)) == .held(term: 1, until: .seconds(38)))
        round(&machine, at: 20, [nil, Self.rivals(2), nil])
        #expect(machine.state(at: .seconds(20)) == .lost(to: "rival", term: 2))
        #expect(machine.heldUntil == nil)
        #expect(machine.term == 1)
        #expect(machine.nextTick == nil)
    }

    @Test func whatIsGivenBackIsNotHeld() {
        var machine = Self.machine()
        holding(&machine)
        #expect(machine.release().count == 3)
        #expect(machine.state(at: .seconds(1)) == .idle)
        #expect(machine.heldUntil == nil)
        #expect(machine.tick(at: .seconds(60)).isEmpty)
    }

    @Test func withoutKeepersNobodyTakesIt() {
        var machine = Self.machine(keepers: 0)
        machine.acquire(isTakeover: false, at: .zero)
        guard case .held(0, _) = machine.state(at: .seconds(1 << 30)) else {
            Issue.record("it is not held")
            return
        }
    }
}
