import Disk
import Metadata
import Primitives
import SQLite
import Testing

/// The check of a database that is as it should be, and of its measure.
struct CheckTests {
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func randomNamesLeaveNothingToFind(seed: UInt64) throws {
        try withNewStore { path in
            var store = try MetadataStore(opening: path, limits: .tiny)
            var operations = try RandomOperations(seed: seed, store: store)
            for _ in 1...3 {
                for _ in 0..<200 { try operations.step(store) }
                try store.close()
                #expect(try findings(in: path) == [])
                store = try MetadataStore(opening: path, limits: .tiny)
            }
            // As a killed process leaves it, the log and its index beside.
            for _ in 0..<200 { try operations.step(store) }
            try store.commit()
            let copy = path + ".copy"
            try copyStore(path, to: copy)
            let report = try check(copy)
            #expect(report.findings == [])
            #expect(report.notes.contains { $0.kind == .uncleanStop })
        }
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func randomContentLeavesNothingToFind(seed: UInt64) throws {
        try withNewStore { path in
            var operations = RandomContent(seed: seed)
            for _ in 1...3 {
                let store = try MetadataStore(opening: path, limits: .tiny)
                for _ in 0..<150 { try operations.step(store) }
                try store.close()
                // The operations move shards to wherever chance has it, and make no keys.
                let found = try findings(in: path).filter {
                    $0.kind != .sharedProvider && $0.kind != .missingKey
                }
                #expect(found == [])
            }
        }
    }

    @Test func theDatabaseStaysAsItIs() throws {
        try withNewStore { path in
            let store = try MetadataStore(opening: path)
            for index in 0..<100 { try store.make("f\(index)") }
            try store.commit()
            let copy = path + ".copy"
            try copyStore(path, to: copy)
            let files = ["", "-wal"]
            let before = try files.map { try WholeFile.read(copy + $0) }
            #expect(try check(copy).inodes == 101)
            let after = try files.map { try WholeFile.read(copy + $0) }
            #expect(before == after)
        }
    }

    @Test func aStoreInUseIsRefused() throws {
        try withStore { store in
            let refusal = code { _ = try MetadataCheck(opening: store.path) }
            #expect(refusal == .invalid)
        }
    }

    @Test func aStoreUnderACheckCannotBeOpened() throws {
        try withNewStore { path in
            let check = try MetadataCheck(opening: path)
            let refusal = code { _ = try MetadataStore(opening: path) }
            #expect(refusal == .invalid)
            check.close()
            try MetadataStore(opening: path).close()
        }
    }

    @Test func countsAreThoseOfTheTables() throws {
        try withNewStore { path in
            let store = try MetadataStore(opening: path)
            let directory = try store.make("d", .directory)
            let file = try store.make("f", in: directory)
            try store.setFileKey([1, 2, 3], of: file)
            _ = try Stripes.place(file, bytes: 3 << 20, 1, in: store)
            _ = try store.markDirty(file, BlockIndex(1), since: time(9), resident: 0)
            try store.close()
            let report = try check(path)
            #expect(report.isClean)
            #expect(report.wasCleanlyClosed)
            #expect(report.inodes == 3)
            #expect(report.entries == 2)
            #expect(report.blocks == 3)
            #expect(report.dirtyBlocks == 1)
            #expect(report.stripes == 1)
            #expect(report.shards == 6)
        }
    }

    @Test func whatIsFoundIsBounded() throws {
        try withNewStore { path in
            let store = try MetadataStore(opening: path)
            for index in 0..<500 { try store.make("f\(index)") }
            try store.close()
            try Database(path: path).execute("UPDATE inode SET nlink=7 WHERE kind=1")
            let report = try check(path)
            #expect(report.counts == [.wrongLinkCount: 500])
            #expect(report.findings.count == CheckReport.findingsOfKindMax)
        }
    }
}

/// Checks the closed store at `path`.
func check(_ path: String) throws -> CheckReport {
    var report = CheckReport()
    let check = try MetadataCheck(opening: path)
    defer { check.close() }
    _ = try check.run(into: &report)
    return report
}

func findings(in path: String) throws -> [CheckFinding] { try check(path).findings }

/// Copies a store that is in use, as a stop of its process at this moment would leave it.
func copyStore(_ path: String, to copy: String) throws {
    for suffix in ["", "-wal"] where WholeFile.exists(path + suffix) {
        try WholeFile.replace(copy + suffix, with: try WholeFile.read(path + suffix))
    }
}
