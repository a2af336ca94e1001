import Disk
import Metadata
import Primitives
import SQLite
import Testing

/// What the check finds in a database, repaired.
struct RepairTests {
    /// Kinds that the database alone cannot be repaired of.
    private static let left: Set<CheckFinding.Kind> = [.overlappingBlocks]

    @Test(arguments: CheckDamageTests.damages)
    func damageIsRepaired(_ damage: CheckDamageTests.Damage) throws {
        try CheckDamageTests.withSample { path in
            try Database(path: path).executeScript(damage.sql)
            let before = try WholeFile.read(path)
            let tried = try repair(path, isTrial: true)
            #expect(tried.count > 0 || Self.left.contains(damage.kind))
            let untouched = try WholeFile.read(path)
            #expect(untouched == before, "a trial has changed something")
            let report = try repair(path)
            #expect(report.count == tried.count)
            let found = try findings(in: path).filter { !Self.left.contains($0.kind) }
            #expect(found == [], "after: \(report.actions)")
            if report.count > 0 {
                let copy = try WholeFile.read(path + MetadataRepair.copySuffix)
                #expect(copy == before)
            }
            // It opens, lists, and closes as any other.
            let store = try MetadataStore(opening: path)
            _ = try store.names()
            try store.make("new")
            try store.close()
            let after = try findings(in: path).filter { !Self.left.contains($0.kind) }
            #expect(after == [])
            let again = try repair(path)
            #expect(again.count == 0, "again: \(again.actions)")
        }
    }

    /// Several kinds at once, so that one hides another.
    @Test(arguments: 0..<40 as Range<UInt64>)
    func manyDamagesAreRepairedTogether(seed: UInt64) throws {
        try CheckDamageTests.withSample { path in
            var random = SeededGenerator(seed: seed)
            for _ in 0..<6 {
                guard let damage = CheckDamageTests.damages.randomElement(using: &random) else {
                    continue
                }
                // What an earlier one has left may refuse it.
                try? Database(path: path).executeScript(damage.sql)
            }
            try expectRepaired(path, "seed \(seed)")
        }
    }

    /// Any value in any column.
    @Test(arguments: 0..<60 as Range<UInt64>)
    func randomValuesAreRepaired(seed: UInt64) throws {
        try CheckDamageTests.withSample { path in
            var random = SeededGenerator(seed: seed)
            try CheckDamageTests.scramble(path, &random)
            try expectRepaired(path, "seed \(seed)")
        }
    }

    /// Stray bytes in the file: repaired, or said to be beyond it.
    @Test(arguments: 0..<60 as Range<UInt64>)
    func strayBytesAreRepairedOrRefused(seed: UInt64) throws {
        try CheckDamageTests.withSample { path in
            var random = SeededGenerator(seed: seed)
            let file = try Descriptor(opening: path, .readWrite)
            // Not the list of tables: without it nothing can be read.
            let offset = UInt64.random(in: 4096..<(try file.size()), using: &random)
            try file.write(at: offset, random.bytes(Int.random(in: 1...2000, using: &random)))
            do {
                try expectRepaired(path, "seed \(seed)")
            } catch let error as FileSystemError {
                #expect(error.code == .corrupt, "seed \(seed): \(error)")
            }
        }
    }

    @Test func aFileOfZerosIsBeyondRepair() throws {
        try withScratch { directory in
            let path = directory + "/volume.db"
            try WholeFile.create(path, with: [UInt8](repeating: 0, count: 100_000))
            let refusal = code { _ = try repair(path) }
            #expect(refusal == .corrupt)
            let bytes = try WholeFile.read(path + MetadataRepair.copySuffix)
            #expect(bytes.count == 100_000)
        }
    }

    // MARK: Structure

    /// The pages of a table or index that hold rows.
    private func leaves(of name: String, in path: String) throws -> [UInt64] {
        try Database(path: path, access: .readOnly).query(
            "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'",
            .text(name)
        ) { UInt64($0.integer(0)) }
    }

    private func withLargeStore(_ body: (String) throws -> Void) throws {
        try withNewStore { path in
            let store = try MetadataStore(opening: path)
            for number in 0..<40 {
                let directory = try store.make("d\(number)", .directory)
                for file in 0..<60 { try store.make("file\(file)", in: directory) }
            }
            try store.close()
            try body(path)
        }
    }

    @Test(arguments: ["inode", "dentry"])
    func rowsOfWholePagesSurviveDamagedOnes(table: String) throws {
        try withLargeStore { path in
            let pages = try leaves(of: table, in: path)
            #expect(pages.count > 10)
            let file = try Descriptor(opening: path, .readWrite)
            for page in [pages[2], pages[pages.count / 2]] {
                try file.write(at: (page - 1) * 4096, [UInt8](repeating: 0xa5, count: 4096))
            }
            let kinds = Set(try findings(in: path).map(\.kind))
            #expect(kinds == [.databaseDamaged])
            let report = try repair(path)
            // All that a name's row has is in an index too.
            #expect(report.losses > 0 || table == "dentry")
            #expect(report.actions.contains { $0.message.contains("put into a new one") })
            let found = try findings(in: path)
            #expect(found == [])
            let store = try MetadataStore(opening: path)
            var files = 0
            for name in try store.names() where name != "lost+found" {
                let directory = try store.lookup(try EntryName(Array(name.utf8)), in: .root).ino
                files += (try? store.names(in: directory).count) ?? 0
            }
            try store.close()
            // Names are in an index too; of inodes two pages of some 60 are lost.
            #expect(files > 2400 - 2 * 150, "\(files) of 2400 files")
        }
    }

    @Test func aWrongIndexIsMadeAnew() throws {
        try withLargeStore { path in
            let model = try Database(path: path)
            let row = try model.query(
                "SELECT rootpage, sql FROM sqlite_schema WHERE name = 'dentry_cookie'"
            ) { (page: $0.integer(0), sql: $0.text(1)) }
            try model.executeScript(
                """
                PRAGMA writable_schema=ON;
                DELETE FROM sqlite_schema WHERE name='dentry_cookie';
                """
            )
            try Database(path: path).executeScript(
                "UPDATE dentry SET cookie = cookie + 1000 WHERE name = x'66696c6531'"
            )
            let again = try Database(path: path)
            try again.executeScript("PRAGMA writable_schema=ON")
            try again.execute(
                "INSERT INTO sqlite_schema VALUES('index', 'dentry_cookie', 'dentry', ?, ?)",
                .integer(row[0].page),
                .text(row[0].sql)
            )
            let kinds = Set(try findings(in: path).map(\.kind))
            #expect(kinds == [.databaseDamaged])
            let report = try repair(path)
            #expect(report.actions.contains { $0.message.contains("indices") })
            #expect(report.losses == 0)
            let found = try findings(in: path)
            #expect(found == [])
        }
    }

    @Test func theDatabaseOfAnEarlierFormatIsBroughtToThisOne() throws {
        try withLargeStore { path in
            try Database(path: path).executeScript(
                """
                ALTER TABLE block DROP COLUMN checksum;
                DROP TABLE passthrough;
                DROP INDEX stripe_released;
                ALTER TABLE stripe DROP COLUMN born;
                ALTER TABLE stripe DROP COLUMN died;
                DROP TABLE snapshot;
                DROP TABLE journal;
                DROP TABLE checkpoint;
                PRAGMA user_version=1;
                """
            )
            _ = try repair(path)
            let found = try findings(in: path)
            #expect(found == [])
        }
    }

    // MARK: Lost blocks

    @Test func aLostBlockFailsUntilItIsOverwrittenOrCut() throws {
        try CheckDamageTests.withSample { path in
            try Database(path: path).executeScript(
                "UPDATE block SET plain=0 WHERE ino=4; UPDATE block SET plain=0 WHERE ino=8"
            )
            _ = try repair(path)
            let report = try check(path)
            #expect(report.isClean)
            #expect(report.notes.first { $0.kind == .lostBlock }?.count == 4)
            let store = try MetadataStore(opening: path)
            let (file, second) = (InodeNumber(4), InodeNumber(8))
            for index in 0..<3 as Range<UInt64> {
                let block = try store.block(BlockIndex(index), of: file)
                #expect(block?.location?.isLost == true)
                #expect(block?.resident == 0)
            }
            try store.removeBlocks(file, BlockIndex(0)..<BlockIndex(3))
            let lost = try store.stripe(.lost).id
            #expect(lost == .lost)
            try store.unlink(try name("second"), in: .root, now: time(9))
            try store.reap(second)
            // With its last block goes the stripe.
            #expect(throws: FileSystemError.self) { try store.stripe(.lost) }
            try store.close()
            let after = try check(path)
            #expect(after.isClean)
            #expect(!after.notes.contains { $0.kind == .lostBlock })
        }
    }

    @Test func aMissingRowIsNeverReadAsZeros() throws {
        try CheckDamageTests.withSample { path in
            try Database(path: path).executeScript("DELETE FROM block WHERE ino=4 AND idx=1")
            let report = try repair(path)
            #expect(report.lostFiles == [InodeNumber(4)])
            let store = try MetadataStore(opening: path)
            let block = try store.block(BlockIndex(1), of: InodeNumber(4))
            #expect(block?.location?.isLost == true)
            let other = try store.block(BlockIndex(0), of: InodeNumber(4))
            #expect(other?.location?.isLost == false)
            try store.close()
        }
    }

    @Test func pathsAreThoseOfTheTree() throws {
        try CheckDamageTests.withSample { path in
            let check = try MetadataCheck(opening: path)
            let inodes = [1, 3, 4, 5, 9].map { InodeNumber($0) }
            let paths = try check.paths(of: inodes)
            let wanted: [InodeNumber: String] = [
                InodeNumber(1): "/", InodeNumber(3): "/d/inner", InodeNumber(4): "/d/file",
                InodeNumber(5): "/d/inner/link",
            ]
            #expect(paths == wanted)
            check.close()
        }
    }

    // MARK: The plan

    @Test func everyKindOfTheDatabaseHasAStep() {
        for kind in Set(CheckDamageTests.damages.map(\.kind)).subtracting([.overlappingBlocks]) {
            let steps = RepairStep.plan(for: [kind])
            // A damaged structure is made whole before any row is looked at.
            #expect(!steps.isEmpty || kind == .databaseDamaged, "\(kind)")
        }
    }

    @Test func stepsComeInTheirOrderAndOnce() {
        let plan = RepairStep.plan(for: CheckFinding.Kind.allCases)
        #expect(plan == plan.sorted())
        #expect(Set(plan).count == plan.count)
    }

    private func expectRepaired(_ path: String, _ what: String) throws {
        let report = try repair(path)
        let found = try findings(in: path).filter { !Self.left.contains($0.kind) }
        #expect(found == [], "\(what), after \(report.actions)")
        try MetadataStore(opening: path).close()
    }
}

/// Repairs the closed store at `path`, with nothing cached.
func repair(_ path: String, isTrial: Bool = false) throws -> RepairReport {
    guard let code = ErasureCode("4+2") else { throw FileSystemError(.invalid, "code") }
    let repair = try MetadataRepair(
        opening: path,
        context: RepairContext(code: code, now: time(100)),
        isTrial: isTrial
    )
    try repair.settle()
    let report = repair.report
    try repair.commit()
    return report
}
