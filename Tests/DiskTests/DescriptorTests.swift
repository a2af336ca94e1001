import Disk
import Glibc
import Testing

struct DescriptorTests {
    @Test func readsBackWhatWasWrittenAtAnOffset() throws {
        try withScratch { directory in
            let file = try Descriptor(opening: directory + "/a", .readWrite, .create)
            try file.write(at: 5000, [1, 2, 3])
            #expect(try file.read(at: 4999, count: 10) == [0, 1, 2, 3])
            #expect(try file.size() == 5003)
        }
    }

    @Test func readPastTheEndIsShort() throws {
        try withScratch { directory in
            let file = try Descriptor(opening: directory + "/a", .readWrite, .create)
            try file.write(at: 0, [7])
            #expect(try file.read(at: 1, count: 8) == [])
            #expect(try file.read(at: 1 << 40, count: 8) == [])
        }
    }

    @Test func aCopyHasAllBytes() throws {
        try withScratch { directory in
            let from = try Descriptor(opening: directory + "/from", .readWrite, .create)
            let bytes = (0..<100_001).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            try from.write(at: 0, bytes)
            let to = try Descriptor(opening: directory + "/to", .readWrite, .create)
            try from.copyAll(to: to)
            #expect(try to.read(at: 0, count: 200_000) == bytes)
        }
    }

    @Test func appendLandsAtTheEnd() throws {
        try withScratch { directory in
            let path = directory + "/log"
            try Descriptor(opening: path, .writeOnly, [.create, .append]).append([1, 2])
            try Descriptor(opening: path, .writeOnly, [.append]).append([3])
            #expect(try WholeFile.read(path) == [1, 2, 3])
        }
    }

    @Test func missingFileIsNotFoundAndNamesThePath() throws {
        let error = #expect(throws: DiskError.self) { try Descriptor(opening: "/no/such/file") }
        #expect(error?.isNotFound == true)
        #expect(error?.description == "cannot open /no/such/file: No such file or directory")
    }

    @Test func exclusiveCreationRefusesWhatIsThere() throws {
        try withScratch { directory in
            let path = directory + "/a"
            _ = try Descriptor(opening: path, .readWrite, [.create, .exclusive])
            let error = #expect(throws: DiskError.self) {
                try Descriptor(opening: path, .readWrite, [.create, .exclusive])
            }
            #expect(error?.isExists == true)
        }
    }

    @Test func offsetsAboveTheKernelsAreRefused() throws {
        try withScratch { directory in
            let file = try Descriptor(opening: directory + "/a", .readWrite, .create)
            #expect(throws: DiskError.self) { try file.read(at: .max, count: 1) }
            #expect(throws: DiskError.self) { try file.write(at: .max, [1]) }
            #expect(throws: DiskError.self) { try file.truncate(to: .max) }
            #expect(throws: DiskError.self) { try file.punchHole(0..<(.max)) }
        }
    }

    @Test func punchedHoleReadsZeroAndFreesSpace() throws {
        try withScratch { directory in
            let file = try Descriptor(opening: directory + "/a", .readWrite, .create)
            try file.write(at: 0, [UInt8](repeating: 9, count: 1 << 20))
            try file.sync()
            let before = try file.allocatedBytes()
            try file.punchHole(65536..<524288)
            #expect(try file.allocatedBytes() == before - 458_752)
            #expect(try file.size() == 1 << 20)
            #expect(try file.read(at: 65535, count: 2) == [9, 0])
            #expect(try file.dataRanges() == [0..<65536, 524288..<1_048_576])
            #expect(try file.nextHole(from: 0) == 65536)
            #expect(try file.nextData(from: 65536) == 524288)
            #expect(try file.nextData(from: 2 << 20) == nil)
        }
    }

    @Test func emptyRangesChangeNothing() throws {
        try withScratch { directory in
            let file = try Descriptor(opening: directory + "/a", .readWrite, .create)
            try file.punchHole(10..<10)
            try file.allocate(10..<10, keepSize: false)
            #expect(try file.size() == 0)
            #expect(try file.dataRanges() == [])
        }
    }

    @Test func allocationReservesSpaceWithoutChangingTheSize() throws {
        try withScratch { directory in
            let file = try Descriptor(opening: directory + "/a", .readWrite, .create)
            try file.allocate(0..<65536, keepSize: true)
            #expect(try file.size() == 0)
            #expect(try file.allocatedBytes() >= 65536)
            try file.allocate(0..<65536, keepSize: false)
            #expect(try file.size() == 65536)
        }
    }

    @Test(.enabled(if: isSuperuser)) func fullDiskIsToldApart() throws {
        try withTinyDisk(bytes: 1 << 20) { directory in
            let file = try Descriptor(opening: directory + "/a", .readWrite, .create)
            let error = #expect(throws: DiskError.self) {
                try file.write(at: 0, [UInt8](repeating: 1, count: 2 << 20))
            }
            #expect(error?.isNoSpace == true)
        }
    }

    @Test func descriptorClosesWithItsLastReference() throws {
        try withScratch { directory in
            var file: Descriptor? = try Descriptor(opening: directory + "/a", .readWrite, .create)
            let fd = try #require(file?.fd)
            #expect(try Directory.resolve("/proc/self/fd/\(fd)").hasSuffix("/a"))
            file = nil
            let target = try? Directory.resolve("/proc/self/fd/\(fd)")
            #expect(target?.hasSuffix("/a") != true)
        }
    }
}
