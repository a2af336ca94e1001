import Primitives

/// A mount's side of a writer lease: what to ask which keeper when, and whether it has the lease.
///
/// Pure: it is told the time, on a clock that also counts while the machine sleeps, and what
/// keepers answer, and says what to send. Each answer counts from when its question was sent, which
/// is before the keeper's own time began. The lease is *held* while more than half of the keepers
/// have granted it for times that are not over. To get it:
///   1. all keepers are asked how the lease stands; if it cannot be had, nothing changes anywhere,
///   2. it is claimed under a term above all that were seen,
///   3. what was granted is given back if that is not more than half; then all again, a few times.
/// While it is held it is renewed. What was cut off until that was over asks how it stands, and
/// once more than half answer, under the same term: if so many grant it again, nobody else had it
/// meanwhile. With fewer it is not renewed, so that keepers which only this mount reaches do not
/// keep it from one that reaches enough. Once so many have promised newer terms that
/// this cannot be any more, it is lost.
package struct LeaseMachine: Sendable {
    /// A message to a keeper.
    package struct Sending: Hashable, Sendable {
        /// What is said.
        package enum Message: Hashable, Sendable {
            /// Its answer is given to `receive`, or that there is none.
            case hold(LeaseRequest)
            /// The answer is of no interest.
            case release(holder: LeaseHolder, term: UInt64)
        }

        /// Index of the keeper.
        package let keeper: Int
        package let message: Message
        /// Names the question in `receive`.
        package let number: UInt64
    }

    /// How the lease stands as far as the mount knows.
    package enum State: Hashable, Sendable {
        /// Never asked for, not had, or given back.
        case idle
        /// Being asked for.
        case acquiring
        /// Nobody else has it before `until`, on the machine's clock.
        case held(term: UInt64, until: Duration)
        /// Keepers are out of reach; the last term may still be ours.
        case unknown(term: UInt64)
        /// Another mount has, or had, a newer term.
        case lost(to: String, term: UInt64)
    }

    /// A question to all keepers, and what they said.
    struct Round: Sendable {
        let sentAt: Duration
        /// By keeper; `nil` for one that gave none.
        var answers: [Int: LeaseState?] = [:]
        /// When more than half had answered.
        var quorumAt: Duration?

        var answered: [LeaseState] { answers.values.compactMap { $0 } }
    }

    enum Phase: Sendable {
        case idle
        /// Before a try, from `at` on.
        case waiting(at: Duration)
        case probing(Round)
        case claiming(Round, term: UInt64)
        case holding(term: UInt64)
        case lost(to: String, term: UInt64)
    }

    /// What one keeper has promised under the present term.
    struct Promise: Sendable {
        /// When the question was sent that it granted last.
        var grantedAt: Duration?
        /// It has a term that excludes ours.
        var refusal: LeaseState?
    }

    /// How often a claim is tried that is not granted though it seemed free: others try too.
    static let triesMax = 4
    /// More than any clock of a machine shows: 30,000 years.
    static let forever = Duration.seconds(1 << 40)
    /// How long to wait before another try, at most, times the number of tries so far.
    static let pauseMaxMilliseconds: UInt64 = 500

    let keepers: Int
    package let holder: LeaseHolder
    let predecessor: LeaseHolder?
    let label: String
    let times: LeaseTimes
    var random: SeededGenerator

    var phase = Phase.idle
    var promises: [Promise]
    /// Questions under way, by number.
    var questions: [UInt64: (keeper: Int, term: UInt64, sentAt: Duration)] = [:]
    var questionsSent: UInt64 = 0
    /// The newest term that each keeper named.
    var terms: [UInt64]
    /// The term claimed last.
    var ownTerm: UInt64 = 0
    var lastHeldTerm: UInt64 = 0
    /// The next term is above it, whatever keepers say.
    var termFloor: UInt64 = 0
    var isTakeover = false
    var tries = 0
    /// When all were asked to renew last, or how the lease stands.
    var renewedAt = Duration.zero
    /// Keepers that said how the lease stands since then, while it is unknown whether it is ours.
    var reached: Set<Int> = []
    /// Why the lease was not had; for the caller of `acquire`.
    package internal(set) var failure: LeaseFailure?

    /// A machine for a network of so many keepers; `seed` decides pauses alone.
    ///
    /// `predecessor` is a holder that is known to be over, `nil` for none.
    package init(
        keepers: Int,
        holder: LeaseHolder,
        predecessor: LeaseHolder? = nil,
        label: String,
        seed: UInt64,
        times: LeaseTimes = LeaseTimes()
    ) {
        self.keepers = keepers
        self.holder = holder
        self.predecessor = predecessor
        self.label = label
        self.times = times
        random = SeededGenerator(seed: seed)
        promises = Array(repeating: Promise(), count: keepers)
        terms = Array(repeating: 0, count: keepers)
    }

    /// More than half of the keepers.
    package var majority: Int { keepers / 2 + 1 }

    // MARK: What is known

    package func state(at now: Duration) -> State {
        switch phase {
        case .idle: return .idle
        case .waiting, .probing, .claiming: return .acquiring
        case .holding(let term):
            guard let until = heldUntil, until > now else { return .unknown(term: term) }
            return .held(term: term, until: until)
        case .lost(let label, let term): return .lost(to: label, term: term)
        }
    }

    /// Until when no other mount can get the lease; `nil` without it.
    package var heldUntil: Duration? {
        guard case .holding = phase else { return nil }
        // Where nobody keeps leases nobody can take one.
        guard keepers > 0 else { return Self.forever }
        let ends = promises.compactMap(\.grantedAt).sorted(by: >)
        guard ends.count >= majority else { return nil }
        return ends[majority - 1] + times.timeToLive - times.margin
    }

    /// The term of the lease that is held, or was; 0 before the first.
    package var term: UInt64 {
        switch phase {
        case .holding(let term): term
        case .idle, .waiting, .probing, .claiming, .lost: lastHeldTerm
        }
    }

    // MARK: What is wanted

    /// Begins to ask for the lease, unless that is under way or it is held.
    ///
    /// `isTakeover` takes it from a holder that is silent for the time to live. The term will be
    /// above `floor`, 0...`LeaseTimes.termMax`: one that this mount knows, and keepers that were
    /// put back may not. It ends with the state `held`, or `idle` and a `failure`.
    package mutating func acquire(isTakeover: Bool, above floor: UInt64 = 0, at now: Duration) {
        switch state(at: now) {
        case .acquiring, .held: return
        case .idle, .unknown, .lost: break
        }
        self.isTakeover = isTakeover
        termFloor = max(termFloor, floor)
        failure = nil
        tries = 0
        phase = keepers > 0 ? .waiting(at: now) : .holding(term: 0)
    }

    /// Gives the lease back, or up.
    ///
    /// - Returns: what keepers are told, who can do without.
    package mutating func release() -> [Sending] {
        defer { phase = .idle }
        switch phase {
        case .idle: return []
        case .waiting, .probing:
            failure = .cancelled
            return []
        case .claiming:
            failure = .cancelled
            return giveBack()
        case .holding, .lost: return giveBack()
        }
    }
}
