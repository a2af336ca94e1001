import Disk
import Glibc
import Primitives
import SimulatedHost
import Testing

struct SimulatedDiskTests {
    /// Runs `first`, ends the machine, boots it and runs `second`.
    private func cross<Value: Sendable>(
        _ kind: CrashKind,
        seed: UInt64,
        _ first: @escaping @Sendable () throws -> Void,
        _ second: @escaping @Sendable () throws -> Value
    ) throws -> Value {
        let world = SimulatedWorld(seed: seed)
        let machine = world.machine("host")
        try world.run(on: machine, first)
        switch kind {
        case .kill: machine.kill()
        case .powerCut: machine.cutPower()
        }
        machine.boot()
        return try world.run(on: machine, second)
    }

    @Test func aKillLosesNothingThatWasWritten() throws {
        let bytes = try cross(.kill, seed: 1) {
            try Descriptor(opening: "/a", .readWrite, .create).write(at: 0, [1, 2, 3])
        } _: {
            try WholeFile.read("/a")
        }
        #expect(bytes == [1, 2, 3])
    }

    @Test func aPowerCutMayLoseTheNameOfASyncedFile() throws {
        let found = try Set(
            (0..<40 as Range<UInt64>).map { seed in
                try cross(.powerCut, seed: seed) {
                    let file = try Descriptor(opening: "/a", .readWrite, .create)
                    try file.write(at: 0, [1, 2, 3])
                    try file.sync()
                } _: {
                    WholeFile.exists("/a") ? try WholeFile.read("/a") : []
                }
            }
        )
        #expect(found == [[], [1, 2, 3]])
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func whatIsSyncedWithItsNameStays(_ seed: UInt64) throws {
        let bytes = try cross(.powerCut, seed: seed) {
            let file = try Descriptor(opening: "/a", .readWrite, .create)
            try file.write(at: 0, [UInt8](repeating: 7, count: 10_000))
            try file.syncData()
            try Directory.sync("/")
            try file.write(at: 10_000, [UInt8](repeating: 8, count: 10_000))
        } _: {
            try WholeFile.read("/a")
        }
        #expect(bytes.count >= 10_000)
        #expect(bytes.prefix(10_000).allSatisfy { $0 == 7 })
    }

    @Test func sectorsAreKeptOrLostByThemselves() throws {
        let patterns = try Set(
            (0..<60 as Range<UInt64>).map { seed in
                try cross(.powerCut, seed: seed) {
                    let file = try Descriptor(opening: "/a", .readWrite, .create)
                    try file.write(at: 0, [UInt8](repeating: 1, count: 4096))
                    try file.sync()
                    try Directory.sync("/")
                    try file.write(at: 0, [UInt8](repeating: 2, count: 4096))
                } _: {
                    let bytes = try WholeFile.read("/a")
                    for sector in 0..<8 {
                        let part = bytes[sector * 512..<(sector + 1) * 512]
                        #expect(Set(part).count == 1)
                    }
                    return (0..<8).map { bytes[$0 * 512] }
                }
            }
        )
        #expect(patterns.contains([UInt8](repeating: 1, count: 8)))
        #expect(patterns.contains([UInt8](repeating: 2, count: 8)))
        #expect(patterns.count > 5)
    }

    @Test func namesAreLostFromTheLastOneBack() throws {
        let found = try Set(
            (0..<60 as Range<UInt64>).map { seed in
                try cross(.powerCut, seed: seed) {
                    for name in ["a", "b", "c"] {
                        _ = try Descriptor(opening: "/" + name, .readWrite, .create)
                    }
                } _: {
                    try Directory.list("/").joined()
                }
            }
        )
        #expect(found == ["", "a", "ab", "abc"])
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func replacingAFileLeavesTheOldOrTheNew(_ seed: UInt64) throws {
        let world = SimulatedWorld(seed: seed)
        let machine = world.machine("host")
        let old = [UInt8](repeating: 1, count: 3000)
        let new = [UInt8](repeating: 2, count: 5000)
        try world.run(on: machine) { try WholeFile.replace("/a", with: old) }
        machine.crash(after: 1 + Int(seed % 6), seed % 2 == 0 ? .powerCut : .kill)
        _ = try? world.run(on: machine) { try WholeFile.replace("/a", with: new) }
        if !machine.isDown { machine.cutPower() }
        machine.boot()
        let found = try world.run(on: machine) { try WholeFile.read("/a") }
        #expect(found == old || found == new)
    }

    @Test func movingToAnotherDirectoryNeverLosesTheFile() throws {
        let found = try Set(
            (0..<80 as Range<UInt64>).map { seed in
                try cross(.powerCut, seed: seed) {
                    try Directory.make("/x")
                    try Directory.make("/y")
                    _ = try Descriptor(opening: "/x/f", .readWrite, .create)
                    try Directory.sync("/x")
                    try Directory.replace("/y/f", with: "/x/f")
                    if seed % 4 == 0 { try Directory.sync("/x") }
                } _: {
                    [WholeFile.exists("/x/f"), WholeFile.exists("/y/f")]
                }
            }
        )
        #expect(found == [[true, false], [true, true], [false, true]])
    }

    @Test func aGoneProcessReachesTheDiskNoMore() throws {
        let world = SimulatedWorld(seed: 9)
        let machine = world.machine("host")
        let error = try world.run(on: machine) { () -> DiskError? in
            let file = try Descriptor(opening: "/a", .readWrite, .create)
            machine.kill()
            do throws(DiskError) { try file.write(at: 0, [1]) } catch { return error }
            return nil
        }
        #expect(error?.errno == EIO)
        #expect(machine.disk.contents("/a") == [])
        #expect(machine.isDown && machine.lastCrash == .kill)
    }

    @Test func bootIDChangesWithThePowerOnly() throws {
        let world = SimulatedWorld(seed: 10)
        let machine = world.machine("host")
        func bootID() throws -> String { try world.run(on: machine) { try Host.bootID() } }
        let first = try bootID()
        machine.kill()
        machine.boot()
        #expect(try bootID() == first)
        machine.cutPower()
        machine.boot()
        #expect(try bootID() != first)
    }

    @Test func aLockGoesWithItsProcess() throws {
        let world = SimulatedWorld(seed: 11)
        let machine = world.machine("host")
        let held = try world.run(on: machine) {
            let lock = try FileLock("/lock", note: "first")
            defer { lock.release() }
            return FileLock.holder(of: "/lock") != nil
        }
        #expect(held)
        try world.run(on: machine) {
            let lock = try FileLock("/lock")
            #expect(throws: FileLock.Failure.self) { try FileLock("/lock") }
            machine.kill()
            withExtendedLifetime(lock) { machine.boot() }
            #expect(FileLock.holder(of: "/lock") == nil)
            try FileLock("/lock").release()
        }
    }

    @Test func aFullDiskTakesAPartAndSaysSo() throws {
        let world = SimulatedWorld(seed: 12)
        let machine = world.machine("host", capacityBytes: 8 * 4096)
        let (error, size, free) = try world.run(on: machine) {
            let file = try Descriptor(opening: "/a", .readWrite, .create)
            var failure: DiskError?
            do throws(DiskError) {
                try file.write(at: 0, [UInt8](repeating: 1, count: 40_000))
            } catch {
                failure = error
            }
            return (failure, try file.size(), try Host.freeBytes("/"))
        }
        #expect(error?.isNoSpace == true)
        #expect(size == 8 * 4096)
        #expect(free == 0)
        let freed = try world.run(on: machine) {
            try WholeFile.remove("/a")
            return try Host.freeBytes("/")
        }
        #expect(freed == 8 * 4096)
    }

    @Test func aRemovedFileKeepsItsSpaceWhileItIsOpen() throws {
        let world = SimulatedWorld(seed: 13)
        let machine = world.machine("host", capacityBytes: 1 << 20)
        try world.run(on: machine) {
            let file = try Descriptor(opening: "/a", .readWrite, .create)
            try file.write(at: 0, [UInt8](repeating: 1, count: 4096))
            try WholeFile.remove("/a")
            #expect(try Host.freeBytes("/") == 1 << 20 - 4096)
            #expect(try file.read(at: 0, count: 2) == [1, 1])
        }
        #expect(machine.disk.usedBytes == 0)
    }

    @Test func theOrderedCallFails() throws {
        let world = SimulatedWorld(seed: 14)
        let machine = world.machine("host")
        machine.disk.fail(.write, after: 2, path: "a")
        let outcomes = try world.run(on: machine) {
            let file = try Descriptor(opening: "/a", .readWrite, .create)
            return (0..<4).map { number in
                (try? file.write(at: UInt64(number), [1])) != nil
            }
        }
        #expect(outcomes == [true, false, true, true])
    }

    @Test func aFailedSyncForgetsWhatWasDirty() throws {
        let world = SimulatedWorld(seed: 15)
        let machine = world.machine("host")
        try world.run(on: machine) {
            let file = try Descriptor(opening: "/a", .readWrite, .create)
            try Directory.sync("/")
            try file.write(at: 0, [UInt8](repeating: 1, count: 64 << 10))
            machine.disk.fail(.sync)
            #expect(throws: DiskError.self) { try file.syncData() }
            try file.syncData()
        }
        machine.cutPower()
        let bytes = try #require(machine.disk.contents("/a"))
        #expect(bytes.contains(0))
    }

    @Test func aTurnedBitIsRead() throws {
        let world = SimulatedWorld(seed: 16)
        let machine = world.machine("host")
        try world.run(on: machine) { try WholeFile.replace("/a", with: [0, 0, 0]) }
        machine.disk.flipBit("/a", at: 1, bit: 3)
        #expect(machine.disk.contents("/a", durably: true) == [0, 8, 0])
    }

    @Test(arguments: 0..<30 as Range<UInt64>)
    func anOrderedDiskKeepsABeginning(_ seed: UInt64) throws {
        let world = SimulatedWorld(seed: seed)
        let machine = world.machine("host")
        machine.disk.durability = .ordered
        try world.run(on: machine) {
            for number in 0..<20 {
                let file = try Descriptor(opening: "/\(number)", .readWrite, .create)
                try file.write(at: 0, [1])
            }
        }
        machine.cutPower()
        let names = machine.disk.files
        let expected = (0..<names.count).map { "/\($0)" }
        #expect(Set(names) == Set(expected))
        for path in expected.dropLast() { #expect(machine.disk.contents(path) == [1]) }
    }

    @Test func stepsAreCountedUntilTheEnd() throws {
        let world = SimulatedWorld(seed: 17)
        let machine = world.machine("host")
        try world.run(on: machine) {
            DurableStep.note(.cacheSynced)
            DurableStep.note(.logSynced)
            machine.kill()
            DurableStep.note(.stripeSynced)
        }
        #expect(machine.lastStep == .logSynced)
        #expect(machine.stepCounts == [.cacheSynced: 1, .logSynced: 1])
    }
}
