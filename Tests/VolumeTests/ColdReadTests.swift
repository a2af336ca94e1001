import Disk
import Primitives
import Testing
import Volume

/// What a read of placed bytes asks of providers, and of which.
@Suite(.serialized)
struct ColdReadTests {
    private static let smallBytes = 4096

    /// Runs `body` over so many small files, placed and not cached.
    private static func withSmallFiles(
        _ count: Int,
        _ body: (VolumeFixture, VolumeEngine, [InodeNumber]) throws -> Void
    ) throws {
        try VolumeFixture.with { fixture in
            try fixture.open { engine in
                var random = SeededGenerator(seed: 1)
                let noise = random.bytes(smallBytes)
                var files: [InodeNumber] = []
                for number in 0..<count {
                    let ino = try engine.makeFile("f\(number)")
                    try engine.write(small(number, noise), at: 0, to: ino)
                    files.append(ino)
                }
                try engine.place()
                _ = try engine.dropCache()
                _ = fixture.network.takeGets()
                try body(fixture, engine, files)
                for (number, ino) in files.enumerated() {
                    let bytes = try engine.read(ino, 0..<smallBytes)
                    #expect(bytes == small(number, noise))
                }
            }
        }
    }

    private static func small(_ number: Int, _ noise: [UInt8]) -> [UInt8] {
        var bytes = noise
        for place in 0..<256 { bytes[place * 16] ^= UInt8(truncatingIfNeeded: number &* place) }
        bytes[0] = UInt8(truncatingIfNeeded: number)
        bytes[1] = UInt8(truncatingIfNeeded: number >> 8)
        return bytes
    }

    /// Runs `body` over a file of that many bytes, placed and not cached.
    private static func withLargeFile(
        _ count: Int,
        _ body: (VolumeFixture, VolumeEngine, InodeNumber, [UInt8]) throws -> Void
    ) throws {
        try VolumeFixture.with { fixture in
            try fixture.open { engine in
                var random = SeededGenerator(seed: 2)
                let bytes = random.bytes(count)
                let ino = try engine.makeFile("large")
                try engine.write(bytes, at: 0, to: ino)
                try engine.place()
                _ = try engine.dropCache()
                _ = fixture.network.takeGets()
                try body(fixture, engine, ino, bytes)
            }
        }
    }

    /// As `withLargeFile`, with two providers that hold data shards of it.
    private static func withHolders(
        _ count: Int,
        _ body: (VolumeFixture, VolumeEngine, InodeNumber, [UInt8], [NodeID]) throws -> Void
    ) throws {
        try withLargeFile(count) { fixture, engine, ino, bytes in
            try readAll(engine, ino, bytes)
            let holders = fixture.network.busiest(2)
            _ = fixture.network.takeGets()
            _ = try engine.dropCache()
            try body(fixture, engine, ino, bytes, holders)
        }
    }

    /// Reads it once from its beginning to its end.
    private static func readAll(
        _ engine: VolumeEngine,
        _ ino: InodeNumber,
        _ bytes: [UInt8]
    ) throws {
        for start in stride(from: 0, to: bytes.count, by: 128 << 10) {
            let range = start..<min(bytes.count, start + (128 << 10))
            let read = try engine.read(ino, range)
            guard read == Array(bytes[range]) else {
                throw FileSystemError(.corrupt, "other bytes at \(start)")
            }
        }
    }

    @Test func smallFilesReadInOrderShareRequests() throws {
        try Self.withSmallFiles(1000) { fixture, engine, files in
            for ino in files { _ = try engine.read(ino, 0..<Self.smallBytes) }
            let gets = fixture.network.takeGets()
            #expect(gets.count <= 40)
            #expect(gets.bytes <= 1000 * (Self.smallBytes + 17))
        }
    }

    @Test func oneSmallFileFetchesNoMoreThanASegment() throws {
        try Self.withSmallFiles(1000) { fixture, engine, files in
            _ = try engine.read(files[500], 0..<Self.smallBytes)
            #expect(fixture.network.takeGets().bytes <= 64 << 10)
        }
    }

    @Test func smallFilesReadInNoOrderFetchNoMoreThanASegmentEach() throws {
        try Self.withSmallFiles(1000) { fixture, engine, files in
            for place in 0..<20 {
                _ = try engine.read(files[place * 617 % 1000], 0..<Self.smallBytes)
            }
            #expect(fixture.network.takeGets().bytes <= 20 * (64 << 10))
        }
    }

    @Test func randomReadsFetchTheirSegmentsAlone() throws {
        try Self.withLargeFile(12 << 20) { fixture, engine, ino, bytes in
            for place in 1...20 {
                let start = (place * 7_654_321) % ((12 << 20) - 4096) / 4096 * 4096
                let read = try engine.read(ino, start..<start + 4096)
                #expect(read == Array(bytes[start..<start + 4096]))
            }
            #expect(fixture.network.takeGets().bytes <= 20 * ((64 << 10) + 17))
        }
    }

    @Test func theFirstReadOfALargeFileFetchesAQuarterOfABlock() throws {
        try Self.withLargeFile(12 << 20) { fixture, engine, ino, bytes in
            let first = try engine.read(ino, 0..<4096)
            #expect(first == Array(bytes[..<4096]))
            #expect(fixture.network.takeGets().bytes <= 4 * ((64 << 10) + 17))
        }
    }

    @Test func aSequentialReadFetchesEveryByteOnce() throws {
        try Self.withLargeFile(20 << 20) { fixture, engine, ino, bytes in
            try Self.readAll(engine, ino, bytes)
            #expect(fixture.network.takeGets().bytes <= bytes.count + bytes.count / 64)
        }
    }

    /// What is rebuilt from are data shards too: they are read once for both.
    @Test func aSequentialReadWithoutTwoProvidersFetchesHardlyMore() throws {
        try Self.withHolders(30 << 20) { fixture, engine, ino, bytes, holders in
            for id in holders { fixture.network.change(id) { $0.isUp = false } }
            try Self.readAll(engine, ino, bytes)
            #expect(fixture.network.takeGets().bytes <= bytes.count * 3 / 2)
        }
    }

    @Test func aFrozenProviderIsOvertakenAndThenLeftAlone() throws {
        try Self.withHolders(40 << 20) { fixture, engine, ino, bytes, holders in
            for id in holders { fixture.network.change(id) { $0.isFrozen = true } }
            try Self.readAll(engine, ino, bytes)
            for id in holders {
                // Those on their way when it froze, and its probes.
                #expect(fixture.network.gets(of: id) <= 24)
            }
        }
    }

    @Test func aProviderThatAnswersAgainIsAskedAgain() throws {
        try Self.withHolders(30 << 20) { fixture, engine, ino, bytes, holders in
            for id in holders { fixture.network.change(id) { $0.isUp = false } }
            try Self.readAll(engine, ino, bytes)
            for id in holders { fixture.network.change(id) { $0.isUp = true } }
            try waitUntil {
                _ = try engine.dropCache()
                _ = fixture.network.takeGets()
                try Self.readAll(engine, ino, bytes)
                return holders.allSatisfy { fixture.network.gets(of: $0) > 3 }
            }
        }
    }
}
