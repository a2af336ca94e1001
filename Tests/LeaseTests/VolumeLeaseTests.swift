import Lease
import Primitives
import Testing
import Wire

/// A keeper's promises as a test asks for them: the rules and nothing else.
struct RuledKeeper {
    let times = LeaseTimes()
    var lease: VolumeLease?
    var headTerm: UInt64 = 0

    static func holder(_ number: UInt8) -> LeaseHolder {
        LeaseHolder(bytes: Array(repeating: number, count: LeaseHolder.byteCount)) ?? .nobody
    }

    /// Asks as holder `number`, at `second`.
    mutating func ask(
        _ number: UInt8,
        term: UInt64,
        at second: Int,
        isTakeover: Bool = false
    ) -> LeaseState {
        let request = LeaseRequest(
            holder: Self.holder(number),
            label: "host \(number)",
            term: term,
            isTakeover: isTakeover
        )
        let now = Duration.seconds(second)
        switch VolumeLease.outcome(
            of: request,
            present: lease,
            headTerm: headTerm,
            at: now,
            times
        ) {
        case .granted(let new), .renewed(let new): lease = new
        case .refused: break
        }
        return VolumeLease.state(
            for: request,
            lease: lease,
            headTerm: headTerm,
            at: now,
            times
        )
    }

    mutating func release(_ number: UInt8, term: UInt64) {
        guard lease?.holder == Self.holder(number), lease?.term == term else { return }
        lease?.isReleased = true
    }
}

@Suite struct VolumeLeaseTests {
    @Test func theFirstWhoAsksGetsIt() {
        var keeper = RuledKeeper()
        let state = keeper.ask(1, term: 1, at: 0)
        #expect(state.isYours)
        #expect(state.standing == .held)
        #expect(state.term == 1)
        #expect(state.secondsLeft == 30)
        #expect(state.label == "host 1")
    }

    @Test func nobodyElseGetsItWhileItLives() {
        var keeper = RuledKeeper()
        _ = keeper.ask(1, term: 1, at: 0)
        for isTakeover in [false, true] {
            let state = keeper.ask(2, term: 2, at: 29, isTakeover: isTakeover)
            #expect(!state.isYours)
            #expect(state.holder == RuledKeeper.holder(1))
            #expect(state.label == "host 1")
            #expect(state.secondsLeft == 1)
        }
    }

    @Test func renewalsKeepIt() {
        var keeper = RuledKeeper()
        for second in stride(from: 0, through: 300, by: 29) {
            #expect(keeper.ask(1, term: 1, at: second).isYours)
            #expect(!keeper.ask(2, term: 2, at: second + 28, isTakeover: true).isYours)
        }
    }

    @Test func aSilentHolderLosesItToATakeoverAtOnceAndToOthersLater() {
        var keeper = RuledKeeper()
        _ = keeper.ask(1, term: 1, at: 0)
        let lapsed = keeper.ask(2, term: 2, at: 30)
        #expect(!lapsed.isYours)
        #expect(lapsed.standing == .lapsed)
        #expect(lapsed.secondsLeft == 30)
        var other = keeper
        #expect(other.ask(2, term: 2, at: 30, isTakeover: true).isYours)
        #expect(!keeper.ask(2, term: 2, at: 59).isYours)
        #expect(keeper.ask(2, term: 2, at: 60).isYours)
    }

    @Test func aHolderThatComesBackInTimeFindsIt() {
        var keeper = RuledKeeper()
        _ = keeper.ask(1, term: 1, at: 0)
        #expect(keeper.ask(1, term: 1, at: 45).isYours)
        // Nobody came meanwhile: also long after it was free.
        #expect(keeper.ask(1, term: 1, at: 500).isYours)
        #expect(!keeper.ask(2, term: 2, at: 501, isTakeover: true).isYours)
    }

    @Test func whatIsGivenBackIsFreeAtOnceAndNotRenewed() {
        var keeper = RuledKeeper()
        _ = keeper.ask(1, term: 1, at: 0)
        keeper.release(1, term: 1)
        #expect(!keeper.ask(1, term: 1, at: 1).isYours)
        #expect(keeper.ask(1, term: 0, at: 1).standing == .free)
        #expect(keeper.ask(2, term: 2, at: 1).isYours)
    }

    @Test func aTermIsGrantedToOneHolderOnly() {
        var keeper = RuledKeeper()
        _ = keeper.ask(1, term: 3, at: 0)
        keeper.release(1, term: 3)
        #expect(!keeper.ask(2, term: 3, at: 1).isYours)
        #expect(!keeper.ask(2, term: 2, at: 1).isYours)
        #expect(keeper.ask(2, term: 4, at: 1).isYours)
        // The old holder is fenced off for good.
        #expect(!keeper.ask(1, term: 3, at: 500).isYours)
        #expect(keeper.ask(1, term: 3, at: 500).term == 4)
    }

    @Test func itsHolderMayRaiseTheTerm() {
        var keeper = RuledKeeper()
        _ = keeper.ask(1, term: 1, at: 0)
        #expect(keeper.ask(1, term: 5, at: 1).isYours)
        // What was under way under the old term is late.
        #expect(!keeper.ask(1, term: 1, at: 2).isYours)
        #expect(keeper.ask(1, term: 5, at: 2).isYours)
    }

    @Test func aHeadOfANewerTermIsALeaseThatOthersGranted() {
        var keeper = RuledKeeper()
        keeper.headTerm = 7
        #expect(!keeper.ask(1, term: 6, at: 0).isYours)
        #expect(keeper.ask(1, term: 0, at: 0).term == 7)
        // Its holder gets it here too.
        #expect(keeper.ask(2, term: 7, at: 0).isYours)
    }

    @Test func askingChangesNothing() {
        var keeper = RuledKeeper()
        #expect(keeper.ask(1, term: 0, at: 0).standing == .free)
        #expect(keeper.lease == nil)
        _ = keeper.ask(1, term: 1, at: 0)
        let lease = keeper.lease
        #expect(keeper.ask(1, term: 0, at: 10).isYours)
        #expect(!keeper.ask(2, term: 0, at: 10, isTakeover: true).isYours)
        #expect(keeper.lease == lease)
    }

    @Test func termsBeyondTheHighestAreRefused() {
        var keeper = RuledKeeper()
        #expect(!keeper.ask(1, term: LeaseTimes.termMax + 1, at: 0).isYours)
        #expect(keeper.ask(1, term: LeaseTimes.termMax, at: 0).isYours)
    }
}
