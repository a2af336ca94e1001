import Disk
import Primitives
import SimulatedHost
import Synchronization
import Testing

struct SchedulerTests {
    @Test func sleepingTakesNoRealTime() throws {
        let world = SimulatedWorld(seed: 1)
        let slept = try world.run(on: world.machine("a")) {
            let before = Clock.monotonic()
            Clock.sleep(for: .seconds(3600))
            return Clock.monotonic() - before
        }
        #expect(slept >= .seconds(3600) && slept < .seconds(3601))
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func consumersGetEachElementOnce(_ seed: UInt64) throws {
        let world = SimulatedWorld(seed: seed)
        let sum = try world.run(on: world.machine("a")) {
            let queue = BoundedQueue<Int>(limit: 3)
            let total = Mutex(0)
            let consumers = try (0..<3).map { number in
                try Thread.spawn("consumer-\(number)") {
                    while let element = queue.take() { total.withLock { $0 += element } }
                }
            }
            for element in 1...50 { _ = queue.put(element) }
            queue.close()
            for consumer in consumers { consumer.join() }
            return total.withLock { $0 }
        }
        #expect(sum == 1275)
    }

    @Test func timedWaitEndsAtItsDeadlineAndNotBefore() throws {
        let world = SimulatedWorld(seed: 2)
        let (isNil, waited) = try world.run(on: world.machine("a")) {
            let condition = Condition(0)
            let before = Clock.monotonic()
            let answer = condition.wait(for: .seconds(5)) { _ in Int?.none }
            return (answer == nil, Clock.monotonic() - before)
        }
        #expect(isNil)
        #expect(waited >= .seconds(5) && waited < .seconds(6))
    }

    @Test func aChangeWakesATimedWait() throws {
        let world = SimulatedWorld(seed: 3)
        let (answer, waited) = try world.run(on: world.machine("a")) {
            let condition = Condition(0)
            try Thread.spawn("changer") {
                Clock.sleep(for: .seconds(2))
                condition.update { $0 = 7 }
            }
            let before = Clock.monotonic()
            let answer = condition.wait(for: .seconds(60)) { $0 == 0 ? nil : $0 }
            return (answer, Clock.monotonic() - before)
        }
        #expect(answer == 7)
        #expect(waited >= .seconds(2) && waited < .seconds(3))
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func writersOfALockAreAlone(_ seed: UInt64) throws {
        let world = SimulatedWorld(seed: seed)
        let (count, readersMost) = try world.run(on: world.machine("a")) {
            let lock = ReadWriteLock(0)
            let pause = Condition(())
            let readers = Mutex((now: 0, most: 0))
            let threads = try (0..<4).map { number in
                try Thread.spawn("worker-\(number)") {
                    for _ in 0..<10 {
                        lock.write { value in
                            let before = value
                            pause.update { _ in }
                            value = before + 1
                        }
                        lock.read { _ in
                            readers.withLock { readers in
                                readers.now += 1
                                readers.most = max(readers.most, readers.now)
                            }
                            pause.update { _ in }
                            readers.withLock { $0.now -= 1 }
                        }
                    }
                }
            }
            for thread in threads { thread.join() }
            return (lock.read { $0 }, readers.withLock { $0.most })
        }
        #expect(count == 40)
        #expect(readersMost >= 1)
    }

    @Test func seedsFindBothOrders() throws {
        let orders = try (0..<20 as Range<UInt64>).map { seed in
            let world = SimulatedWorld(seed: seed)
            return try world.run(on: world.machine("a")) {
                let names = Condition("")
                let threads = try ["a", "b"].map { name in
                    try Thread.spawn(name) { names.update { $0 += name } }
                }
                for thread in threads { thread.join() }
                return names.withLock { $0 }
            }
        }
        #expect(Set(orders) == ["ab", "ba"])
    }

    @Test func deadlockIsToldWithWhoWaitsWhere() throws {
        let world = SimulatedWorld(seed: 4)
        let machine = world.machine("a")
        let error = #expect(throws: SimulationFailure.self) {
            try world.run(on: machine) {
                let condition = Condition(0)
                let thread = try Thread.spawn("waiter") {
                    condition.wait { $0 == 1 ? () : nil }
                }
                thread.join()
            }
        }
        guard case .deadlock(let report)? = error else {
            Issue.record("no deadlock: \(String(describing: error))")
            return
        }
        #expect(report.contains("waiter of a, life 1: waits for Int"))
    }

    @Test func threadsThatRetryForEverAreStopped() throws {
        let world = SimulatedWorld(seed: 5)
        let machine = world.machine("a")
        let error = #expect(throws: SimulationFailure.self) {
            try world.run(on: machine, limit: .seconds(60)) {
                while Clock.monotonic() >= .zero { Clock.sleep(for: .seconds(1)) }
            }
        }
        guard case .endless? = error else {
            Issue.record("not endless: \(String(describing: error))")
            return
        }
    }

    @Test func timersComeInOrderAndOnTime() throws {
        let world = SimulatedWorld(seed: 6)
        let machine = world.machine("a")
        let heard = try world.run(on: machine) {
            let heard = Condition([Int]())
            for delay in [30, 10, 20] {
                world.after(.seconds(delay)) { heard.update { $0.append(delay) } }
            }
            Clock.sleep(for: .seconds(15))
            let early = heard.withLock { $0 }
            return [early, heard.wait { $0.count == 3 ? $0 : nil }]
        }
        #expect(heard == [[10], [10, 20, 30]])
    }

    @Test func wallClockJumpsAndTheMonotonicDoesNot() throws {
        let world = SimulatedWorld(seed: 7)
        let machine = world.machine("a")
        let (wall, monotonic) = try world.run(on: machine) {
            let (wall, monotonic) = (Clock.now(), Clock.monotonic())
            machine.setClock(by: .seconds(-86_400))
            return (Clock.now().seconds - wall.seconds, Clock.monotonic() - monotonic)
        }
        #expect(wall == -86_400)
        #expect(monotonic < .seconds(1))
    }

    @Test func threadsBelongToTheirMakersMachine() throws {
        let world = SimulatedWorld(seed: 8)
        let machine = world.machine("a")
        let other = world.machine("b")
        let (mine, others) = try world.run(on: machine) {
            let names = Condition([String]())
            try Thread.spawn("child") {
                names.update { $0.append(SimulatedMachine.current?.name ?? "none") }
            }
            let mine = names.wait { $0.first }
            let bootIDs = Condition([String]())
            world.spawn(on: other, "guest") {
                let bootID = (try? Host.bootID()) ?? "none"
                bootIDs.update { $0.append(bootID) }
            }
            return (mine, bootIDs.wait { $0.first } == (try Host.bootID()))
        }
        #expect(mine == "a")
        #expect(!others)
    }

    @Test func nothingIsSimulatedOutside() {
        #expect(Simulation.current == nil)
        #expect(SimulatedMachine.current == nil)
        DurableStep.note(.cacheSynced)
    }
}
