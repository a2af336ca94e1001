package import Disk
import Primitives
import Synchronization

/// A machine of a simulated world: one process at a time, a disk, a clock, a boot id.
///
/// Threads that its threads start belong to it. After a crash each of their calls to the disk
/// throws, so that they can be brought to their end; then `boot` begins the next life.
package final class SimulatedMachine: Sendable {
    private struct State {
        var life: ProcessLife
        var boots = 1
        /// What the wall clock is off the world's time, in nanoseconds.
        var clockOffset: Int64 = 0
        var lastStep: DurableStep?
        var stepCounts: [DurableStep: Int] = [:]
    }

    package let name: String
    package let disk: SimulatedDisk
    private let scheduler: Scheduler
    private let seed: UInt64
    private let state: Mutex<State>

    init(_ name: String, capacityBytes: UInt64, seed: UInt64, scheduler: Scheduler) {
        self.name = name
        self.seed = seed
        self.scheduler = scheduler
        disk = SimulatedDisk(
            name,
            capacityBytes: capacityBytes,
            seed: seed,
            scheduler: scheduler
        )
        state = Mutex(State(life: ProcessLife(number: 1, disk: disk)))
    }

    /// The machine of the calling thread.
    package static var current: SimulatedMachine? {
        (Simulation.current as? WorldThread)?.machine
    }

    /// Whether the process that the calling thread is of has crashed: nothing it does may reach
    /// anybody any more.
    package static var isCurrentProcessOver: Bool {
        (Simulation.current as? WorldThread)?.processLife.isOver ?? false
    }

    // MARK: Crashes

    /// SIGKILL: nothing of the process reaches the disk any more; the page cache stays.
    package func kill() {
        scheduler.record("kill", name, UInt64(disk.mutations), 0)
        life.end(.kill)
    }

    /// The host is gone: as `kill`, and of what was not synced the seed decides what is left.
    package func cutPower() {
        scheduler.record("cut power", name, UInt64(disk.mutations), 0)
        life.end(.powerCut)
        disk.losePower()
    }

    /// Crashes at the `operations`-th call from now that changes the disk: before it, within it, or
    /// after it without its caller learning.
    package func crash(after operations: Int, _ kind: CrashKind) {
        disk.crash(after: operations, kind)
    }

    /// No crash at a disk operation any more.
    package func cancelCrash() { disk.cancelCrash() }

    /// Whether the process is gone and no other was started.
    package var isDown: Bool { life.isOver }

    /// How the last life ended, while the machine is down.
    package var lastCrash: CrashKind? { life.crash }

    /// Starts the next life, with another boot id if the power was cut.
    ///
    /// All threads of the last one have ended, but for the caller, who goes over to the new one.
    package func boot() {
        let caller = Simulation.current as? WorldThread
        let others = scheduler.threads(of: self).filter { $0 !== caller }
        precondition(
            others.isEmpty,
            "threads of the last life: \(others.map(\.name))\n\(scheduler.report)"
        )
        let life = state.withLock { state -> ProcessLife in
            if state.life.crash == .powerCut { state.boots += 1 }
            state.life.end(.kill)
            state.life = ProcessLife(number: state.life.number + 1, disk: disk)
            return state.life
        }
        disk.forgetOpenFiles()
        scheduler.record("boot", name, UInt64(life.number), 0)
        if let caller, caller.machine === self { caller.move(to: life) }
    }

    /// Names of its threads that have not ended.
    package var threadNames: [String] { scheduler.threads(of: self).map(\.name) }

    /// Counts the machine's lives from 1.
    package var lifeNumber: Int { life.number }

    var life: ProcessLife { state.withLock { $0.life } }

    // MARK: What it has done

    /// Calls that changed the disk, or would have, since the beginning.
    package var mutations: Int { disk.mutations }

    /// The last durable step that was noted before the machine went down.
    package var lastStep: DurableStep? { state.withLock { $0.lastStep } }

    /// How often each step was noted.
    package var stepCounts: [DurableStep: Int] { state.withLock { $0.stepCounts } }

    func note(_ step: DurableStep) {
        state.withLock { state in
            state.lastStep = step
            state.stepCounts[step, default: 0] += 1
        }
    }

    // MARK: Clock and boot

    /// Sets the wall clock forward, or back by a negative duration; nothing else notices.
    package func setClock(by change: Duration) {
        let (seconds, attoseconds) = change.components
        let nanoseconds = seconds &* 1_000_000_000 &+ attoseconds / 1_000_000_000
        state.withLock { $0.clockOffset &+= nanoseconds }
    }

    /// 2026-01-01T00:00:00Z, when every world begins.
    private static let beginning: Int64 = 1_767_225_600

    func wallClock(at nanoseconds: UInt64) -> Timestamp {
        let offset = state.withLock { $0.clockOffset }
        let total = Int64(clamping: nanoseconds) &+ offset
        let seconds = total >= 0 ? total / 1_000_000_000 : -((999_999_999 - total) / 1_000_000_000)
        return Timestamp(
            seconds: Self.beginning + seconds,
            nanoseconds: UInt32(total - seconds * 1_000_000_000)
        )
    }

    var bootID: String {
        let boots = state.withLock { $0.boots }
        var generator = SeededGenerator(seed: seed &+ UInt64(boots) &* 0x9e37_79b9)
        return Hex.encode(generator.bytes(16))
    }
}
