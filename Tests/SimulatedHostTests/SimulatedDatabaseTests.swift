import Disk
import Primitives
import SQLite
import SimulatedHost
import Synchronization
import Testing

/// SQLite on a simulated disk, with a write-ahead log and several connections of one process.
struct SimulatedDatabaseTests {
    private static let path = "/data/test.db"

    /// What a run of transactions promises.
    private struct Ledger {
        /// The last transaction that was begun.
        var begun: Int64 = 0
        /// The last one whose commit returned.
        var committed: Int64 = 0
        /// The last one whose log was synced after.
        var synced: Int64 = 0
    }

    private static func open(_ synchronous: Database.Synchronous) throws -> Database {
        let database = try Database(path: path)
        try database.useWriteAheadLog(synchronous: synchronous, checkpointPages: 0)
        return database
    }

    private static func prepare() throws {
        try Directory.make("/data")
        let database = try open(.full)
        try database.executeScript(
            """
            CREATE TABLE entry(id INTEGER PRIMARY KEY, number INTEGER, filler BLOB);
            CREATE INDEX entry_number ON entry(number);
            CREATE TABLE last(one INTEGER PRIMARY KEY, number INTEGER);
            INSERT INTO last VALUES(1, 0);
            """
        )
        try database.checkpoint(.truncate)
        try Directory.sync("/data")
    }

    /// Commits numbered transactions, each of which changes rows here and there, moves the log now
    /// and then with a second connection, and syncs the log as the metadata store does.
    private static func work(
        _ ledger: borrowing Mutex<Ledger>,
        seed: UInt64,
        _ count: Int
    ) throws {
        var generator = SeededGenerator(seed: seed)
        let writer = try open(.normal)
        let checkpointer = try open(.normal)
        let reader = try Database(path: path)
        let first = try writer.integer("SELECT number FROM last") + 1
        try writer.execute("UPDATE last SET number = number")
        let log = try Descriptor(opening: path + "-wal", .readWrite)
        try log.syncData()
        try Directory.sync("/data")
        for number in first..<first + Int64(count) {
            ledger.withLock { $0.begun = number }
            try writer.transaction {
                for _ in 0..<1 + generator.next() % 8 {
                    let id = Int64(generator.next() % 200)
                    let filler = generator.bytes(Int(generator.next() % 3000))
                    try writer.execute(
                        "INSERT OR REPLACE INTO entry VALUES(?, ?, ?)",
                        .integer(id),
                        .integer(number),
                        .blob(filler)
                    )
                }
                try writer.execute("UPDATE last SET number = ?", .integer(number))
            }
            ledger.withLock { $0.committed = number }
            if generator.next() % 4 == 0 {
                try log.syncData()
                ledger.withLock { $0.synced = number }
            }
            switch generator.next() % 12 {
            case 0: try checkpointer.checkpoint(.passive)
            case 1: try checkpointer.checkpoint(.restart)
            case 2: #expect(try reader.integer("SELECT number FROM last") == number)
            default: break
            }
        }
    }

    /// The number of the last transaction in the database, which is whole.
    private static func inspect() throws -> (last: Int64, integrity: String) {
        let database = try open(.normal)
        guard case .text(let integrity)? = try database.value("PRAGMA integrity_check") else {
            return (-1, "no answer")
        }
        let last = try database.integer("SELECT number FROM last")
        let newest = try database.integer("SELECT max(number) FROM entry")
        guard newest == last || last == 0 else {
            return (last, "entries of \(newest), and the last is \(last)")
        }
        return (last, integrity)
    }

    /// Crashes again and again at the n-th changes of the disk; answers what was found wrong.
    private func findFault(
        seed: UInt64,
        _ kinds: [CrashKind],
        everyOperation: ClosedRange<Int>,
        ignoringSyncs: Bool = false,
        durability: DiskDurability = .posix
    ) throws -> String? {
        let world = SimulatedWorld(seed: seed)
        let machine = world.machine("host")
        machine.disk.durability = durability
        try world.run(on: machine) { try Self.prepare() }
        if ignoringSyncs { machine.disk.ignoreSyncs(of: "test.db") }
        for operation in everyOperation {
            let kind = kinds[operation % kinds.count]
            let ledger = Shared(Ledger())
            machine.crash(after: operation, kind)
            _ = try? world.run(on: machine) {
                try Self.work(ledger.value, seed: seed &+ UInt64(operation), 12)
            }
            if !machine.isDown {
                machine.cancelCrash()
                if kind == .kill { machine.kill() } else { machine.cutPower() }
            }
            machine.boot()
            let found = Result { try world.run(on: machine) { try Self.inspect() } }
            let promise = ledger.value.withLock { $0 }
            switch found {
            case .failure(let error): return "operation \(operation): \(error)"
            case .success(let found):
                let least = kind == .kill ? promise.committed : promise.synced
                if found.integrity != "ok" { return "operation \(operation): \(found.integrity)" }
                if found.last < least {
                    return "operation \(operation), \(kind): lost \(found.last + 1)...\(least)"
                }
                if promise.begun > 0, found.last > promise.begun { return "a number of nobody" }
            }
        }
        return nil
    }

    private final class Shared<Value: Sendable>: Sendable {
        let value: Mutex<Value>

        init(_ value: Value) { self.value = Mutex(value) }
    }

    @Test(arguments: 0..<6 as Range<UInt64>)
    func noCrashLosesASyncedTransaction(_ seed: UInt64) throws {
        let fault = try findFault(
            seed: seed,
            [.powerCut, .kill, .powerCut],
            everyOperation: 1...70
        )
        #expect(fault == nil)
    }

    @Test(arguments: 0..<2 as Range<UInt64>)
    func noCrashOfAnOrderedDiskLosesOne(_ seed: UInt64) throws {
        let fault = try findFault(
            seed: seed,
            [.powerCut],
            everyOperation: 1...60,
            durability: .ordered
        )
        #expect(fault == nil)
    }

    @Test(arguments: 0..<4 as Range<UInt64>)
    func withoutSyncsTheSameTestFindsDamage(_ seed: UInt64) throws {
        let fault = try findFault(
            seed: seed,
            [.powerCut],
            everyOperation: 1...200,
            ignoringSyncs: true
        )
        #expect(fault != nil)
    }

    @Test func aBusyWriterIsWaitedForInVirtualTime() throws {
        let world = SimulatedWorld(seed: 3)
        let machine = world.machine("host")
        let waited = try world.run(on: machine) {
            try Self.prepare()
            let isHeld = Condition(false)
            let holder = try Thread.spawn("holder") {
                let database = try? Self.open(.normal)
                _ = try? database?.transaction {
                    isHeld.update { $0 = true }
                    Clock.sleep(for: .seconds(2))
                }
            }
            isHeld.wait { $0 ? () : nil }
            let before = Clock.monotonic()
            let database = try Self.open(.normal)
            try database.execute("UPDATE last SET number = 5")
            holder.join()
            return Clock.monotonic() - before
        }
        #expect(waited >= .seconds(2) && waited < .seconds(4))
    }

    @Test func aFullDiskIsAnErrorAndNoDamage() throws {
        let world = SimulatedWorld(seed: 4)
        let machine = world.machine("host", capacityBytes: 256 << 10)
        let (isFull, integrity) = try world.run(on: machine) {
            try Self.prepare()
            var failure: SQLiteError?
            do {
                try Self.work(Mutex(Ledger()), seed: 4, 500)
            } catch let error as SQLiteError {
                failure = error
            }
            return (failure?.isFull ?? false, try Self.inspect().integrity)
        }
        #expect(isFull)
        #expect(integrity == "ok")
    }

    @Test func rollbackJournalsWorkToo() throws {
        let world = SimulatedWorld(seed: 5)
        let count = try world.run(on: world.machine("host")) {
            let database = try Database(path: "/plain.db")
            try database.executeScript("CREATE TABLE t(a); INSERT INTO t VALUES(1), (2);")
            try database.execute("BEGIN")
            try database.execute("DELETE FROM t")
            database.rollback()
            return try database.integer("SELECT count(*) FROM t")
        }
        #expect(count == 2)
    }
}
