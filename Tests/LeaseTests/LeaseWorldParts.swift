import Lease
import Network
import Primitives
import Transport

/// A clock that runs too fast or too slow, and may stand still.
struct LeaseClock {
    private var offset: Duration
    private let rate: Double
    private var stoppedAt: Duration?

    init(offset: Duration, rate: Double) {
        self.offset = offset
        self.rate = rate
    }

    func time(at now: Duration) -> Duration { offset + (stoppedAt ?? now) * rate }

    mutating func stop(at now: Duration) { stoppedAt = stoppedAt ?? now }

    mutating func goOn(at now: Duration) {
        guard let stoppedAt else { return }
        offset -= (now - stoppedAt) * rate
        self.stoppedAt = nil
    }
}

/// Actions by time; of two at once the one added first.
struct EventQueue {
    struct Event {
        let at: Duration
        let number: Int
        let action: () -> Void
    }

    private var heap: [Event] = []
    private var count = 0

    mutating func add(at time: Duration, _ action: @escaping () -> Void) {
        count += 1
        heap.append(Event(at: time, number: count, action: action))
        var index = heap.count - 1
        while index > 0, isBefore(index, (index - 1) / 2) {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    mutating func next(before end: Duration) -> Event? {
        guard let first = heap.first, first.at < end else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var index = 0
        while true {
            let children = [2 * index + 1, 2 * index + 2].filter { $0 < heap.count }
            guard let least = children.min(by: isBefore), isBefore(least, index) else { break }
            heap.swapAt(least, index)
            index = least
        }
        return first
    }

    private func isBefore(_ one: Int, _ other: Int) -> Bool {
        (heap[one].at, heap[one].number) < (heap[other].at, heap[other].number)
    }
}

/// How often things happened, so that a test can tell that they do.
struct LeaseCounts {
    enum Key: CaseIterable {
        case grants, takeovers, losses, returns, refusals, restarts, sleeps, crashes, heads
        case fencedHeads
    }

    private(set) var values: [Key: Int] = [:]

    mutating func add(_ key: Key, _ count: Int = 1) { values[key, default: 0] += count }

    mutating func add(_ other: LeaseCounts) {
        for (key, count) in other.values { add(key, count) }
    }
}

/// A keeper: its promise in memory and on disk, and the newest head.
final class LeaseKeeper {
    private let clock: LeaseClock
    private var lease: VolumeLease?
    /// What a crash leaves.
    private var durable: VolumeLease?
    var head: VolumeHead?
    private(set) var isUp = true

    init(_ clock: LeaseClock) { self.clock = clock }

    func crash(forgetting: Bool) {
        isUp = false
        lease = nil
        if forgetting { durable = nil }
    }

    func start(at now: Duration) {
        guard !isUp else { return }
        isUp = true
        lease = durable
        lease?.heardAt = clock.time(at: now)
    }

    var term: UInt64 { max(lease?.term ?? 0, head?.term ?? 0) }

    /// Answers, unless it crashes meanwhile.
    func hold(_ request: LeaseRequest, in world: LeaseWorld) -> LeaseState? {
        guard isUp else { return nil }
        let now = clock.time(at: world.now)
        let headTerm = head?.term ?? 0
        let present = lease
        let outcome =
            request.term == 0
            ? .refused
            : VolumeLease.outcome(
                of: request,
                present: lease,
                headTerm: headTerm,
                at: now,
                world.keeperTimes
            )
        switch outcome {
        case .granted(let new):
            lease = new
            // A crash before it is written, or before it is answered.
            let isLost = !world.isCalm && world.chance(2)
            if !isLost || world.chance(50) { durable = new }
            guard !isLost else {
                crash(forgetting: false)
                let keeper = self
                world.after(world.milliseconds(10...20_000)) { keeper.start(at: world.now) }
                return nil
            }
            world.count(.grants)
            if let present, present.holder != new.holder, !present.isReleased {
                world.count(.takeovers)
            }
        case .renewed(let new): lease = new
        case .refused: if request.term > 0 { world.count(.refusals) }
        }
        return VolumeLease.state(
            for: request,
            lease: lease,
            headTerm: headTerm,
            at: now,
            world.keeperTimes
        )
    }

    func release(_ holder: LeaseHolder, _ term: UInt64) {
        guard isUp, lease?.holder == holder, lease?.term == term else { return }
        lease?.isReleased = true
        durable = lease
    }

    /// Takes a head, or says why not.
    func put(_ new: VolumeHead, in world: LeaseWorld) -> Bool {
        guard isUp else { return false }
        var newestTerm = lease?.term ?? 0
        if world.flaw == .headsAreNotFenced { newestTerm = 0 }
        if let refusal = new.refusal(after: head, newestTerm: newestTerm) {
            if refusal.code == .superseded { world.count(.fencedHeads) }
            return false
        }
        head = new
        return true
    }
}

/// A mount: the machine of its lease, and what it publishes.
final class LeaseMount {
    let number: Int
    var machine: LeaseMachine
    var clock: LeaseClock
    /// Tells apart what was sent before a crash.
    private(set) var life = 0
    var isAsleep = false
    /// Whether its user does nothing.
    var isQuiet = false
    /// What came while it slept.
    private var inbox: [() -> Void] = []
    /// Its newest head, of the term that it was made or asked for under.
    var newest: (term: UInt64, head: VolumeHead?)?
    var inquiry: HeadInquiry?
    private var last = LeaseMachine.State.idle

    init(_ number: Int, _ machine: LeaseMachine, _ clock: LeaseClock) {
        self.number = number
        self.machine = machine
        self.clock = clock
    }

    func restart(_ machine: LeaseMachine) {
        self.machine = machine
        life += 1
        inbox = []
        newest = nil
        inquiry = nil
        last = .idle
    }

    /// Does something at once, or when it is awake again.
    func receive(_ action: @escaping () -> Void) {
        if isAsleep { inbox.append(action) } else { action() }
    }

    func wake() {
        let actions = inbox
        inbox = []
        for action in actions { action() }
    }

    func note(in world: LeaseWorld, _ time: Duration) {
        let state = machine.state(at: time)
        switch (last, state) {
        case (.unknown, .held): world.count(.returns)
        case (.held, .lost), (.unknown, .lost): world.count(.losses)
        default: break
        }
        last = state
    }
}
