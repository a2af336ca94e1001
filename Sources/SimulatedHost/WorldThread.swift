import Disk
import Primitives
import Synchronization

/// A simulated thread, which is also the kernel that it sees.
final class WorldThread: SimulatedKernel, SimulatedThread, @unchecked Sendable {
    // SAFETY: `status` and `timedOut` are touched under the scheduler's lock only.
    enum Status {
        case ready
        case waiting(for: ObjectIdentifier?, of: any Any.Type, until: UInt64?)
        case ended
    }

    var status = Status.ready
    /// Whether the last wait ended because of its deadline.
    var timedOut = false

    let scheduler: Scheduler
    let machine: SimulatedMachine
    let name: String
    /// Counts the world's threads from 1.
    let number: Int
    let carrier: Carrier
    private let life: Mutex<ProcessLife>
    private let body: Mutex<(@Sendable () -> Void)?>

    init(
        _ name: String,
        number: Int,
        on machine: SimulatedMachine,
        life: ProcessLife,
        carrier: Carrier,
        scheduler: Scheduler,
        _ body: @escaping @Sendable () -> Void
    ) {
        self.name = name
        self.number = number
        self.machine = machine
        self.carrier = carrier
        self.scheduler = scheduler
        self.life = Mutex(life)
        self.body = Mutex(body)
    }

    /// Runs the body, on the carrier.
    func run() {
        Simulation.enter(self) {
            // What the body holds goes while the thread still has the baton.
            let body = self.body.withLock { body in
                defer { body = nil }
                return body
            }
            body?()
        }
    }

    /// The life of the machine that the thread is part of.
    var processLife: ProcessLife { life.withLock { $0 } }

    /// Joins the machine's next life, as the thread that boots it.
    func move(to life: ProcessLife) { self.life.withLock { $0 = life } }

    // MARK: Time

    func now() -> Timestamp { machine.wallClock(at: scheduler.now) }

    func monotonic() -> Duration { .nanoseconds(Int64(clamping: scheduler.now)) }

    func sleep(for duration: Duration) {
        _ = scheduler.wait(
            self,
            for: nil,
            of: Clock.self,
            until: scheduler.deadline(monotonic() + max(duration, .zero))
        )
    }

    // MARK: Threads

    func spawn(_ name: String, _ body: @escaping @Sendable () -> Void) -> any SimulatedThread {
        let thread = scheduler.make(name, on: machine, life: processLife, body)
        scheduler.yield(self)
        return thread
    }

    func yield() { scheduler.yield(self) }

    func block(on key: ObjectIdentifier, of what: any Any.Type, until deadline: Duration?) -> Bool {
        scheduler.wait(self, for: key, of: what, until: deadline.map(scheduler.deadline))
    }

    func wake(_ key: ObjectIdentifier) { scheduler.wake(key) }

    func join() {
        guard let caller = Simulation.current as? WorldThread else {
            preconditionFailure("a simulated thread is joined by one of its world")
        }
        while !scheduler.hasEnded(self) {
            _ = scheduler.wait(
                caller,
                for: ObjectIdentifier(self),
                of: WorldThread.self,
                until: nil
            )
        }
        scheduler.yield(caller)
    }

    // MARK: The machine

    var files: any SimulatedFiles { processLife }

    /// Of one length in all runs: it is written into files.
    var processID: Int32 { 1000 + Int32(truncatingIfNeeded: processLife.number % 9000) }

    var bootID: String { machine.bootID }

    func randomBytes(_ count: Int) -> [UInt8] { scheduler.draw { $0.bytes(count) } }

    func note(_ step: DurableStep) {
        guard !processLife.isOver else { return }
        machine.note(step)
        scheduler.record(step.rawValue, machine.name, 0, 0)
    }
}
