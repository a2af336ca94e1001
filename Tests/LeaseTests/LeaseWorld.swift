import Lease
import Network
import Primitives
import Sealing
import Testing

/// What of the design a world breaks on purpose, so that a test shows that it would be seen.
enum Flaw: CaseIterable, Sendable {
    case none
    /// Keepers forget their promises when they restart.
    case keepersForget
    /// Keepers give a lease to others before its holder takes it to be over.
    case keepersHurry
    /// Holders count on a lease for longer than keepers keep it for them.
    case holdersOverstay
    /// The clocks of holders stand still while their machines sleep.
    case clocksStopInSleep
    /// Keepers take heads of any term.
    case headsAreNotFenced
}

/// Mounts of one volume and the keepers between them, in virtual time, from one seed: messages are
/// lost, late, doubled and out of order, keepers restart, machines sleep and crash, links fail.
///
/// After every event it is checked that at most one mount counts on the lease, and at the end that
/// no head that more than half of the keepers ever took was passed over by a later writer.
final class LeaseWorld {
    /// How long things go wrong.
    private static let length = Duration.seconds(900)

    let seed: UInt64
    let flaw: Flaw
    var random: SeededGenerator
    private(set) var now = Duration.zero
    private var events = EventQueue()
    var keepers: [LeaseKeeper] = []
    var mounts: [LeaseMount] = []
    /// Pairs of mount and keeper that cannot reach each other.
    private var cuts: [[Int]] = []
    private(set) var isCalm = false
    var history = HeadHistory()
    private(set) var counts = LeaseCounts()
    private(set) var complaints: [String] = []
    /// Of a hundred messages.
    private let lost: UInt64
    private let late: UInt64
    let key: SigningKey
    let volume: VolumeID

    init(seed: UInt64, flaw: Flaw = .none) throws {
        self.seed = seed
        self.flaw = flaw
        random = SeededGenerator(seed: seed)
        key = try SigningKey(seed: Array(repeating: 7, count: SigningKey.seedBytes))
        volume = try #require(VolumeID(bytes: Array(repeating: 5, count: VolumeID.byteCount)))
        lost = random.next() % 20
        late = 2 + random.next() % 25
        for _ in 0..<(1 + Int(random.next() % 5)) { keepers.append(LeaseKeeper(clock())) }
        for number in 0..<(2 + Int(random.next() % 2)) {
            mounts.append(LeaseMount(number, machine(number), clock()))
        }
    }

    // MARK: Chance

    func chance(_ percent: UInt64) -> Bool { random.next() % 100 < percent }

    func milliseconds(_ range: ClosedRange<UInt64>) -> Duration {
        let width = range.upperBound - range.lowerBound + 1
        return .milliseconds(Int64(range.lowerBound + random.next() % width))
    }

    /// Up to 2 % too fast or too slow.
    private func clock() -> LeaseClock {
        LeaseClock(
            offset: .seconds(Int64(random.next() % 100_000)),
            rate: 1 + (Double(random.next() % 401) - 200) / 10_000
        )
    }

    func machine(_ number: Int, after predecessor: LeaseHolder? = nil) -> LeaseMachine {
        var times = LeaseTimes()
        if flaw == .holdersOverstay { times.margin = .seconds(-5) }
        return LeaseMachine(
            keepers: keepers.count,
            holder: LeaseHolder(bytes: random.bytes(LeaseHolder.byteCount)) ?? .nobody,
            predecessor: predecessor,
            label: "mount \(number)",
            seed: random.next(),
            times: times
        )
    }

    var keeperTimes: LeaseTimes {
        var times = LeaseTimes()
        if flaw == .keepersHurry {
            times.timeToLive = .seconds(15)
            times.reservation = .seconds(5)
        }
        return times
    }

    // MARK: Events

    func after(_ delay: Duration, _ action: @escaping () -> Void) {
        events.add(at: now + delay, action)
    }

    /// Carries a message between a mount and a keeper, perhaps.
    func carry(_ mount: Int, _ keeper: Int, _ deliver: @escaping () -> Void) {
        let copies = isCalm ? 1 : chance(lost) ? 0 : chance(4) ? 2 : 1
        for _ in 0..<copies {
            let isLate = !isCalm && chance(late)
            after(milliseconds(isLate ? 1000...60_000 : 1...200)) { [self] in
                if !cuts.contains([mount, keeper]) { deliver() }
            }
        }
    }

    private func run(until end: Duration) {
        while let event = events.next(before: end) {
            now = event.at
            event.action()
            check()
        }
        now = end
    }

    private func check() {
        let holders = mounts.filter { mount in
            if case .held = mount.machine.state(at: mount.clock.time(at: now)) { return true }
            return false
        }
        if holders.count > 1 {
            complain("mounts \(holders.map(\.number)) count on the lease at once")
        }
    }

    func complain(_ what: String) {
        if complaints.count < 5 { complaints.append("seed \(seed), at \(now): \(what)") }
    }

    func count(_ what: LeaseCounts.Key) { counts.add(what) }

    // MARK: A run

    /// Lets everything go wrong for a while, then sees that a mount gets the lease.
    func run() {
        for mount in mounts {
            live(mount)
            use(mount)
        }
        makeTrouble()
        run(until: Self.length)
        settle()
        complaints += history.complaints(majority: keepers.count / 2 + 1).prefix(5).map {
            "seed \(seed): \($0)"
        }
    }

    private func settle() {
        isCalm = true
        cuts = []
        for keeper in keepers { keeper.start(at: now) }
        for mount in mounts {
            mount.isAsleep = false
            mount.isQuiet = true
        }
        // All that is late has come.
        run(until: now + .seconds(60))
        let last = mounts[0]
        for mount in mounts where mount !== last { crash(mount) }
        last.machine.acquire(isTakeover: true, at: last.clock.time(at: now))
        run(until: now + .seconds(20))
        last.machine.acquire(isTakeover: true, at: last.clock.time(at: now))
        run(until: now + .seconds(40))
        last.machine.acquire(isTakeover: true, at: last.clock.time(at: now))
        run(until: now + .seconds(20))
        if case .held = last.machine.state(at: last.clock.time(at: now)) { return }
        complain("the last mount does not get the lease: \(last.machine)")
    }

    /// Its thread, which comes late at times.
    private func live(_ mount: LeaseMount) {
        after(milliseconds(chance(2) ? 500...4000 : 20...300)) { [self] in
            if !mount.isAsleep {
                mount.wake()
                let time = mount.clock.time(at: now)
                for sending in mount.machine.tick(at: time) { send(sending, of: mount) }
                mount.note(in: self, time)
            }
            live(mount)
        }
    }

    /// What its user does.
    private func use(_ mount: LeaseMount) {
        after(milliseconds(100...8000)) { [self] in
            if !mount.isAsleep, !mount.isQuiet { act(mount) }
            use(mount)
        }
    }

    private func act(_ mount: LeaseMount) {
        let time = mount.clock.time(at: now)
        switch mount.machine.state(at: time) {
        case .idle, .lost:
            if chance(40) { mount.machine.acquire(isTakeover: chance(30), at: time) }
        case .acquiring: break
        case .held:
            if chance(8) {
                for sending in mount.machine.release() { send(sending, of: mount) }
            } else {
                publish(mount)
            }
        case .unknown:
            // Who goes on although it should not does no harm either.
            if chance(20) { publish(mount) }
            if chance(5) { mount.machine.acquire(isTakeover: chance(30), at: time) }
        }
    }

    private func makeTrouble() {
        after(milliseconds(200...12_000)) { [self] in
            if !isCalm { cause() }
            makeTrouble()
        }
    }

    private func cause() {
        let mount = mounts[Int(random.next() % UInt64(mounts.count))]
        let keeper = Int(random.next() % UInt64(keepers.count))
        switch random.next() % 12 {
        case 0..<3: cuts.append([mount.number, keeper])
        case 3: for index in keepers.indices { cuts.append([mount.number, index]) }
        case 4..<7: cuts = cuts.filter { _ in chance(30) }
        case 7:
            keepers[keeper].crash(forgetting: flaw == .keepersForget)
            after(milliseconds(10...20_000)) { [self] in
                keepers[keeper].start(at: now)
                count(.restarts)
            }
        case 8:
            let clockStops = flaw == .clocksStopInSleep
            mount.isAsleep = true
            let length = milliseconds(1000...90_000)
            if clockStops { mount.clock.stop(at: now) }
            after(length) { [self] in
                if clockStops { mount.clock.goOn(at: now) }
                mount.isAsleep = false
                count(.sleeps)
            }
        case 9: if chance(50) { crash(mount) }
        default: break
        }
    }

    private func crash(_ mount: LeaseMount) {
        let predecessor = chance(50) ? mount.machine.holder : nil
        mount.restart(machine(mount.number, after: predecessor))
        count(.crashes)
    }
}
