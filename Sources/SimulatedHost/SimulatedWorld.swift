package import Disk
import Primitives
import SQLite
import Synchronization

/// Threads, clocks, disks and chance from one seed: code that runs in it does the same in each run.
///
/// What reaches the machine through `Disk` and `SQLite` is simulated, see `docs/simulation.md`.
/// Not simulated, and so to be kept out: `Synchronization.Mutex` held across a switch point,
/// threads of others (event loops), and the order of `Set` and `Dictionary`, which Swift changes
/// from run to run unless `isHashingDeterministic`.
package final class SimulatedWorld: Sendable {
    package let seed: UInt64
    private let scheduler: Scheduler
    private let seeds: Mutex<SeededGenerator>
    /// Where timers without a machine run.
    private let nowhere: SimulatedMachine

    package init(seed: UInt64) {
        SimulatedDatabases.register()
        self.seed = seed
        scheduler = Scheduler(seed: seed)
        var seeds = SeededGenerator(seed: ~seed)
        nowhere = SimulatedMachine(
            "nowhere",
            capacityBytes: 0,
            seed: seeds.next(),
            scheduler: scheduler
        )
        self.seeds = Mutex(seeds)
    }

    /// A new machine with an empty disk.
    package func machine(_ name: String, capacityBytes: UInt64 = 1 << 40) -> SimulatedMachine {
        SimulatedMachine(
            name,
            capacityBytes: capacityBytes,
            seed: seeds.withLock { $0.next() },
            scheduler: scheduler
        )
    }

    /// Virtual time that a run may take, if not said otherwise: far more than any work, and so
    /// little that threads which poll every second for nothing are told within half a minute.
    package static let limit: Duration = .seconds(6 * 3600)

    /// Runs `body` as a thread of `machine`, from outside the world, and returns when all threads
    /// of the world have ended.
    ///
    /// Timers that are not due by then wait for the next run.
    ///
    /// - Throws: what `body` throws, or a `SimulationFailure`.
    package func run<Value: Sendable>(
        on machine: SimulatedMachine,
        limit: Duration = SimulatedWorld.limit,
        _ body: @escaping @Sendable () throws -> Value
    ) throws -> Value {
        precondition(Simulation.current == nil, "a thread of a world starts others with spawn")
        let outcome = Outcome<Value>()
        scheduler.make("main", on: machine, life: machine.life) {
            let result = Result { try body() }
            outcome.value.withLock { $0 = result }
        }
        try scheduler.run(limit: limit)
        guard let result = outcome.value.withLock({ $0 }) else {
            preconditionFailure("the first thread ended without a result")
        }
        return try result.get()
    }

    private final class Outcome<Value: Sendable>: Sendable {
        let value = Mutex<Result<Value, any Error>?>(nil)
    }

    /// Starts a thread on `machine`, which may be another than the caller's.
    @discardableResult
    package func spawn(
        on machine: SimulatedMachine,
        _ name: String,
        _ body: @escaping @Sendable () -> Void
    ) -> any SimulatedThread {
        scheduler.make(name, on: machine, life: machine.life, body)
    }

    /// Runs `body` in a short thread of its own after `delay`, as what a network delivers.
    ///
    /// It belongs to the life that `machine` has by then; without a machine to none.
    package func after(
        _ delay: Duration,
        on machine: SimulatedMachine? = nil,
        _ name: String = "timer",
        _ body: @escaping @Sendable () -> Void
    ) {
        scheduler.after(delay, on: machine ?? nowhere, name, body)
    }

    /// Draws from the seed, from threads of the world (or between runs).
    package func random() -> WorldRandom { WorldRandom(scheduler) }

    /// Notes an event of the simulated surroundings in the trace.
    package func note(_ verb: String, _ subject: String, _ first: UInt64 = 0, _ second: UInt64 = 0)
    {
        scheduler.record(verb, subject, first, second)
    }

    /// Virtual time since the beginning.
    package var elapsed: Duration { .nanoseconds(Int64(clamping: scheduler.now)) }

    /// Keeps every event as text, and not only the last, to find where two runs part; asked for
    /// before the first run.
    package func keepWholeTrace() { scheduler.keepWholeTrace() }

    /// All that happened so far.
    package var trace: SimulationTrace { scheduler.trace }

    /// Who waits where.
    package var report: String { scheduler.report }
}

/// Draws of a world, in the order in which its threads come.
package struct WorldRandom: RandomNumberGenerator, Sendable {
    private let scheduler: Scheduler

    init(_ scheduler: Scheduler) { self.scheduler = scheduler }

    package func next() -> UInt64 { scheduler.draw { $0.next() } }
}
