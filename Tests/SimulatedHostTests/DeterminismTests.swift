import Disk
import Primitives
import SQLite
import SimulatedHost
import Synchronization
import Testing

/// A program with threads, conditions, locks, files and a database, crashed and started again.
struct DeterminismTests {
    private static func program(seed: UInt64) throws -> SimulationTrace {
        let world = SimulatedWorld(seed: seed)
        let machine = world.machine("host")
        for life in 0..<4 {
            machine.crash(after: 60 + 10 * life, CrashKind.allCases[life % 2])
            _ = try? world.run(on: machine) { try work(world) }
            if !machine.isDown { machine.cutPower() }
            machine.boot()
        }
        return world.trace
    }

    private static func work(_ world: SimulatedWorld) throws {
        try Directory.make("/data")
        let queue = BoundedQueue<Int>(limit: 2)
        let counts = ReadWriteLock([Int](repeating: 0, count: 3))
        let workers = try (0..<3).map { number in
            try Thread.spawn("worker-\(number)") {
                while let element = queue.take() {
                    counts.write { $0[number] += element }
                    try? log(element, to: "/data/\(number)")
                    Clock.sleep(for: .milliseconds(Int64(element)))
                }
            }
        }
        defer {
            queue.close()
            for worker in workers { worker.join() }
        }
        let database = try Database(path: "/data/db")
        try database.useWriteAheadLog(synchronous: .full)
        try database.execute("CREATE TABLE IF NOT EXISTS t(a, b)")
        let random = Mutex(world.random())
        for number in 0..<40 {
            let draw = random.withLock { Int($0.next() % 20) }
            world.after(.milliseconds(draw)) { _ = queue.tryPut(draw) }
            try database.execute(
                "INSERT INTO t VALUES(?, randomblob(20))",
                .integer(Int64(number))
            )
            _ = queue.put(number)
        }
    }

    private static func log(_ element: Int, to path: String) throws(DiskError) {
        let file = try Descriptor(opening: path, .readWrite, [.create, .append])
        try file.append([UInt8(truncatingIfNeeded: element)])
        if element % 3 == 0 { try file.sync() }
    }

    @Test(arguments: 0..<15 as Range<UInt64>)
    func oneSeedIsOneRun(_ seed: UInt64) throws {
        let first = try Self.program(seed: seed)
        let second = try Self.program(seed: seed)
        #expect(first.eventCount > 300)
        let difference = zip(first.last, second.last).first { $0 != $1 }
        #expect(first == second, "first difference: \(String(describing: difference))")
    }

    @Test func otherSeedsAreOtherRuns() throws {
        let digests = try (0..<15 as Range<UInt64>).map { try Self.program(seed: $0).digest }
        #expect(Set(digests).count == 15)
    }

    @Test func aWholeTraceIsKeptWhenAsked() throws {
        let world = SimulatedWorld(seed: 1)
        world.keepWholeTrace()
        try world.run(on: world.machine("host")) {
            for number in 0..<250 { try WholeFile.replace("/a", with: [UInt8(number)]) }
        }
        #expect(world.trace.eventCount > 1000)
        #expect(world.trace.last.count == world.trace.eventCount)
    }
}
