import Disk
import Primitives
import Synchronization

/// Lets exactly one thread of a world run at a time, chosen by the seed, in virtual time.
///
/// The running thread has the baton. It gives it on in `yield`, `wait` and `end` and nowhere else,
/// so between two of these it is alone. Time passes a little at each switch and each disk
/// operation; when all wait, it jumps to the first deadline or timer.
final class Scheduler: Sendable {
    private struct Timer {
        let at: UInt64
        let number: Int
        let machine: SimulatedMachine
        let name: String
        let body: @Sendable () -> Void
    }

    private struct State {
        /// In the order in which they were made.
        var threads: [WorldThread] = []
        var running: WorldThread?
        var timers: [Timer] = []
        /// Nanoseconds since the beginning.
        var now: UInt64 = 0
        var limit = UInt64.max
        var threadsMade = 0
        var timersMade = 0
        var switches = 0
        var failure: SimulationFailure?
        var idle: [Carrier] = []
        var trace = TraceRecorder()
        /// Who goes on.
        var choices: SeededGenerator
        /// How long things take.
        var costs: SeededGenerator
        /// What the program draws.
        var draws: SeededGenerator
    }

    private enum Next {
        case thread(WorldThread)
        /// All have ended, or nobody can go on.
        case nobody
    }

    /// In 16 of how many switch points the running thread goes on: each world has its own, since
    /// some races need long runs of one thread and others a change at each point.
    private let stickiness: UInt64
    private let state: Mutex<State>
    /// Posted when nobody is left to run.
    private let finished = Baton()

    /// A switch costs up to this much virtual time.
    private static let switchNanosecondsMax: UInt64 = 8_000

    init(seed: UInt64) {
        var seeds = SeededGenerator(seed: seed)
        stickiness = [2, 8, 14][Int(seeds.next() % 3)]
        state = Mutex(
            State(
                choices: SeededGenerator(seed: seeds.next()),
                costs: SeededGenerator(seed: seeds.next()),
                draws: SeededGenerator(seed: seeds.next())
            )
        )
    }

    deinit {
        for carrier in state.withLock({ $0.idle }) { carrier.dismiss() }
    }

    // MARK: From outside the world

    /// Runs until all threads have ended; the calling thread is none of them.
    ///
    /// `limit`: virtual time that may pass.
    func run(limit: Duration) throws(SimulationFailure) {
        let first = state.withLock { state -> Next in
            state.limit = state.now &+ Self.nanoseconds(limit)
            return choose(&state, current: nil)
        }
        guard case .thread(let thread) = first else { return }
        thread.carrier.baton.post()
        try waitForTheEnd()
    }

    /// Real seconds between two looks at whether anything moves, and looks without a switch after
    /// which nothing does: one minute, longer than any computation between two switch points.
    private static let watchSeconds = 5
    private static let watchesMax = 12

    private func waitForTheEnd() throws(SimulationFailure) {
        var switches = -1
        var watches = 0
        while !finished.wait(seconds: Self.watchSeconds) {
            let now = state.withLock { $0.switches }
            watches = now == switches ? watches + 1 : 0
            switches = now
            if watches >= Self.watchesMax { throw .stuck(report: report) }
        }
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    /// Who waits where, a line for each thread.
    var report: String { state.withLock { Self.report($0) } }

    private static func report(_ state: State) -> String {
        var lines = state.threads.map { thread in
            let place =
                switch thread.status {
                case _ where thread === state.running: "runs"
                case .ready: "could run"
                case .ended: "has ended"
                case .waiting(_, let what, let deadline):
                    "waits for \(what)" + (deadline.map { ", until \($0) ns" } ?? "")
                }
            let life = thread.processLife
            return "  #\(thread.number) \(thread.name) of \(thread.machine.name), life "
                + "\(life.number)\(life.isOver ? " (over)" : ""): \(place)"
        }
        lines.append("  at \(state.now) ns; the last events:")
        lines += state.trace.trace.last.suffix(20).map { "    " + $0 }
        return lines.joined(separator: "\n")
    }

    func keepWholeTrace() { state.withLock { $0.trace.keepsAll = true } }

    var trace: SimulationTrace { state.withLock { $0.trace.trace } }

    // MARK: Threads

    /// A new thread, ready to be chosen.
    @discardableResult
    func make(
        _ name: String,
        on machine: SimulatedMachine,
        life: ProcessLife,
        _ body: @escaping @Sendable () -> Void
    ) -> WorldThread {
        state.withLock { make(name, on: machine, life: life, &$0, body) }
    }

    private func make(
        _ name: String,
        on machine: SimulatedMachine,
        life: ProcessLife,
        _ state: inout State,
        _ body: @escaping @Sendable () -> Void
    ) -> WorldThread {
        let carrier: Carrier
        do throws(DiskError) {
            if let idle = state.idle.popLast() { carrier = idle } else { carrier = try Carrier() }
        } catch {
            preconditionFailure("\(SimulationFailure.noThread(error.description))")
        }
        state.threadsMade += 1
        let thread = WorldThread(
            name,
            number: state.threadsMade,
            on: machine,
            life: life,
            carrier: carrier,
            scheduler: self,
            body
        )
        carrier.assign(thread)
        state.threads.append(thread)
        record(&state, "start", name, UInt64(thread.number), 0)
        return thread
    }

    /// The thread has run; the next goes on.
    func end(_ thread: WorldThread, on carrier: Carrier) {
        let next = state.withLock { state -> Next in
            record(&state, "end", thread.name, UInt64(thread.number), 0)
            thread.status = .ended
            state.threads.removeAll { $0 === thread }
            Self.wake(ObjectIdentifier(thread), &state)
            state.idle.append(carrier)
            return choose(&state, current: nil)
        }
        give(next, from: nil)
    }

    func hasEnded(_ thread: WorldThread) -> Bool {
        state.withLock { _ in
            guard case .ended = thread.status else { return false }
            return true
        }
    }

    /// Threads of a machine that have not ended.
    func threads(of machine: SimulatedMachine) -> [WorldThread] {
        state.withLock { $0.threads.filter { $0.machine === machine } }
    }

    /// Starts a thread of its own for `body`, `delay` from now.
    func after(
        _ delay: Duration,
        on machine: SimulatedMachine,
        _ name: String,
        _ body: @escaping @Sendable () -> Void
    ) {
        state.withLock { state in
            state.timersMade += 1
            let timer = Timer(
                at: state.now &+ Self.nanoseconds(delay),
                number: state.timersMade,
                machine: machine,
                name: name,
                body: body
            )
            // Kept in order, those of one instant as they were asked for.
            let index = state.timers.firstIndex { $0.at > timer.at } ?? state.timers.endIndex
            state.timers.insert(timer, at: index)
        }
    }

    // MARK: Switching

    /// A point at which another thread may go on.
    func yield(_ thread: WorldThread) {
        let next = state.withLock { choose(&$0, current: thread) }
        give(next, from: thread)
    }

    /// Parks the thread until it is woken; `false` if the deadline came first.
    func wait(
        _ thread: WorldThread,
        for key: ObjectIdentifier?,
        of what: any Any.Type,
        until deadline: UInt64?
    ) -> Bool {
        let next = state.withLock { state -> Next in
            thread.status = .waiting(for: key, of: what, until: deadline)
            thread.timedOut = false
            return choose(&state, current: thread)
        }
        give(next, from: thread)
        return state.withLock { _ in !thread.timedOut }
    }

    func wake(_ key: ObjectIdentifier) { state.withLock { Self.wake(key, &$0) } }

    private static func wake(_ key: ObjectIdentifier, _ state: inout State) {
        for thread in state.threads {
            if case .waiting(let waited, _, _) = thread.status, waited == key {
                thread.status = .ready
            }
        }
    }

    private func give(_ next: Next, from thread: WorldThread?) {
        switch next {
        case .thread(let next) where next === thread: return
        case .thread(let next): next.carrier.baton.post()
        case .nobody: finished.post()
        }
        thread?.carrier.baton.wait()
    }

    /// Chooses who goes on; time passes.
    private func choose(_ state: inout State, current: WorldThread?) -> Next {
        state.now &+= 100 &+ state.costs.next() % Self.switchNanosecondsMax
        while state.failure == nil {
            startDue(&state)
            let ready = state.threads.filter { $0.isReady }
            if !ready.isEmpty { return .thread(choose(&state, among: ready, current: current)) }
            if state.threads.isEmpty { break }
            guard let event = Self.firstEvent(state) else {
                state.failure = .deadlock(report: Self.report(state))
                break
            }
            guard event <= state.limit else {
                state.failure = .endless(report: Self.report(state))
                break
            }
            state.now = max(state.now, event)
        }
        state.running = nil
        return .nobody
    }

    private func choose(
        _ state: inout State,
        among ready: [WorldThread],
        current: WorldThread?
    ) -> WorldThread {
        let draw = state.choices.next()
        let stays = draw % 16 < stickiness
        let next =
            if stays, let current, current.isReady {
                current
            } else {
                ready[Int((draw >> 8) % UInt64(ready.count))]
            }
        state.switches += 1
        if next !== current {
            state.running = next
            record(&state, "run", next.name, UInt64(next.number), UInt64(ready.count))
        }
        return next
    }

    /// Wakes whose deadline has come, and starts what timers ask for.
    private func startDue(_ state: inout State) {
        for thread in state.threads {
            if case .waiting(_, _, let deadline?) = thread.status, deadline <= state.now {
                thread.status = .ready
                thread.timedOut = true
            }
        }
        while let timer = state.timers.first, timer.at <= state.now, !state.threads.isEmpty {
            state.timers.removeFirst()
            _ = make(timer.name, on: timer.machine, life: timer.machine.life, &state, timer.body)
        }
    }

    private static func firstEvent(_ state: State) -> UInt64? {
        var first = state.timers.first?.at
        for thread in state.threads {
            if case .waiting(_, _, let deadline?) = thread.status {
                first = min(first ?? deadline, deadline)
            }
        }
        return first
    }

    // MARK: Time and chance

    /// Virtual nanoseconds since the beginning.
    var now: UInt64 { state.withLock { $0.now } }

    /// Lets time pass without a switch: `least` nanoseconds, and up to `most` more.
    func pass(least: UInt64, most: UInt64) {
        state.withLock { $0.now &+= least &+ $0.costs.next() % (most + 1) }
    }

    func draw<Result: Sendable>(_ body: (inout SeededGenerator) -> Result) -> Result {
        state.withLock { body(&$0.draws) }
    }

    func record(_ verb: String, _ subject: String, _ first: UInt64, _ second: UInt64) {
        state.withLock { record(&$0, verb, subject, first, second) }
    }

    private func record(
        _ state: inout State,
        _ verb: String,
        _ subject: String,
        _ first: UInt64,
        _ second: UInt64
    ) {
        state.trace.record(
            at: state.now,
            thread: state.running?.number ?? 0,
            verb,
            subject,
            first,
            second
        )
    }

    /// A monotonic time as nanoseconds since the beginning.
    func deadline(_ time: Duration) -> UInt64 { Self.nanoseconds(time) }

    /// At least zero, at most some 580 years.
    private static func nanoseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = max(duration, .zero).components
        let (whole, isOver) = UInt64(clamping: seconds).multipliedReportingOverflow(
            by: 1_000_000_000
        )
        return isOver ? .max : whole &+ UInt64(clamping: attoseconds / 1_000_000_000)
    }
}

extension WorldThread {
    fileprivate var isReady: Bool {
        guard case .ready = status else { return false }
        return true
    }
}
