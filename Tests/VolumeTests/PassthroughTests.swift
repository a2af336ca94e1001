import Disk
import Metadata
import Primitives
import Sealing
import Testing
import Volume

/// Files that the kernel reads and writes by itself: here the test does what the kernel would.
@Suite struct PassthroughTests {
    private static let mebibyte = 1 << 20

    /// A fixture whose cache and disk are always large enough.
    private func withEngine(
        cacheBytesMin: UInt64 = 0,
        _ body: (VolumeEngine) throws -> Void
    ) throws {
        try VolumeFixture.with { fixture in
            var configuration = fixture.configuration
            configuration.passthroughCacheBytesMin = cacheBytesMin
            configuration.passthroughFreeBytesMin = 0
            let roomy = VolumeFixture(
                directory: fixture.directory,
                network: fixture.network,
                configuration: configuration
            )
            try roomy.open(body)
        }
    }

    private func bytes(_ count: Int, _ tag: UInt64) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: ($0 &* 31) ^ Int(tag) ^ ($0 >> 9)) }
    }

    /// Opens a file, which the engine must let pass, for the time of `body`.
    private func passing(
        _ engine: VolumeEngine,
        _ ino: InodeNumber,
        isNew: Bool = false,
        forWriting: Bool = true,
        _ body: (Descriptor) throws -> Void
    ) throws {
        try engine.open(ino, forWriting: forWriting, truncate: false, wait: .allowed)
        let how = ContentOpening(isForWriting: forWriting, isNew: isNew)
        let file = try #require(try engine.openContent(ino, how, wait: .allowed))
        try body(file)
        engine.closeContent(ino, isForWriting: forWriting, passed: true)
        engine.release(ino, forWriting: forWriting)
    }

    private func isPassed(
        _ engine: VolumeEngine,
        _ ino: InodeNumber,
        _ how: ContentOpening
    ) throws -> Bool {
        let file = try engine.openContent(ino, how, wait: .allowed)
        engine.closeContent(ino, isForWriting: how.isForWriting, passed: file != nil)
        return file != nil
    }

    @Test func bytesWrittenUnseenArePlacedAndComeBack() throws {
        try withEngine { engine in
            let ino = try engine.makeFile("f")
            let written = bytes(3 * Self.mebibyte + 5, 1)
            try passing(engine, ino, isNew: true) { file in
                try file.write(at: 0, written)
                #expect(try engine.attributes(of: ino).size == UInt64(written.count))
                #expect(try engine.find("f") == ino)
                #expect(try engine.state(of: ino) == "local")
            }
            #expect(engine.status().totals.dirtyBytes == UInt64(written.count))
            try engine.place()
            #expect(try engine.state(of: ino).hasPrefix("p"))
            #expect(try engine.dropCache() == UInt64(written.count))
            #expect(try engine.read(ino, 0..<written.count) == written)
        }
    }

    @Test func onlyBlocksThatDifferArePlacedAnew() throws {
        try withEngine { engine in
            let ino = try engine.makeFile("f")
            try engine.write(bytes(4 * Self.mebibyte, 2), at: 0, to: ino)
            try engine.place()
            try passing(engine, ino) { file in
                try file.write(at: UInt64(2 * Self.mebibyte + 7), [1, 2, 3])
                // The same bytes as before.
                try file.write(at: 0, Array(bytes(4 * Self.mebibyte, 2)[..<4096]))
            }
            #expect(engine.status().totals.dirtyBytes == UInt64(Self.mebibyte))
        }
    }

    @Test func openingsWithoutAWriteChangeNothing() throws {
        try withEngine { engine in
            let ino = try engine.makeFile("f")
            try engine.write(bytes(200_000, 3), at: 0, to: ino)
            try engine.place()
            let before = try engine.attributes(of: ino)
            try passing(engine, ino) { _ in }
            try passing(engine, ino, forWriting: false) { file in
                let found = try file.read(at: 0, count: 200_000)
                #expect(found == bytes(200_000, 3))
            }
            #expect(try engine.attributes(of: ino) == before)
            #expect(engine.status().totals.dirtyBytes == 0)
        }
    }

    @Test func timesThatAreSetStayWhenTheFileIsClosed() throws {
        try withEngine { engine in
            let ino = try engine.makeFile("f")
            let time = Timestamp(seconds: 1_000_000, nanoseconds: 7)
            try passing(engine, ino, isNew: true) { file in
                try file.write(at: 0, bytes(10, 4))
                var change = AttributeChange()
                change.modified = time
                _ = try engine.setAttributes(change, of: ino, wait: .allowed)
            }
            #expect(try engine.attributes(of: ino).modified == time)
        }
    }

    @Test func nothingOfAnOpenFileIsEvicted() throws {
        try withEngine { engine in
            let ino = try engine.makeFile("f")
            let content = bytes(2 * Self.mebibyte, 5)
            try engine.write(content, at: 0, to: ino)
            try engine.place()
            try passing(engine, ino, forWriting: false) { file in
                let dropped = try engine.dropCache()
                #expect(dropped == 0)
                let found = try file.read(at: 0, count: content.count)
                #expect(found == content)
            }
            #expect(try engine.dropCache() == UInt64(content.count))
        }
    }

    @Test func requestsAndTheKernelSeeEachOthersBytes() throws {
        try withEngine { engine in
            let ino = try engine.makeFile("f")
            try passing(engine, ino, isNew: true) { file in
                try file.write(at: 0, bytes(300_000, 6))
                #expect(try engine.read(ino, 0..<300_000) == bytes(300_000, 6))
                try engine.write([9, 9], at: 10, to: ino)
                #expect(try file.read(at: 10, count: 2) == [9, 9])
                try engine.resize(ino, to: 100)
                #expect(try file.size() == 100)
                try engine.resize(ino, to: 200_000)
                #expect(try file.size() == 200_000)
                try engine.punchHole(ino, range: 0..<50, wait: .allowed)
                #expect(try file.read(at: 10, count: 2) == [0, 0])
                #expect(try engine.seek(ino, from: 150_000, to: .hole) == 150_000)
            }
            let expected =
                [UInt8](repeating: 0, count: 50) + bytes(100, 6)[50...]
                + [UInt8](repeating: 0, count: 199_900)
            try engine.place()
            _ = try engine.dropCache()
            #expect(try engine.read(ino, 0..<200_000) == expected)
        }
    }

    @Test func openingsOfOneFileAreServedAlike() throws {
        try withEngine { engine in
            let ino = try engine.makeFile("f")
            try engine.write(bytes(10, 7), at: 0, to: ino)
            let direct = ContentOpening(isForWriting: true, isDirect: true)
            let plain = ContentOpening(isForWriting: true)
            let none = try engine.openContent(ino, direct, wait: .allowed)
            #expect(none == nil)
            #expect(try isPassed(engine, ino, plain) == false)
            engine.closeContent(ino, isForWriting: true, passed: false)
            try passing(engine, ino) { _ in
                let joins = try isPassed(engine, ino, direct)
                #expect(joins)
            }
        }
    }

    @Test func filesThatMustNotPassDoNot() throws {
        try withEngine { engine in
            let reading = ContentOpening(isForWriting: false)
            let writing = ContentOpening(isForWriting: true)
            let ino = try engine.makeFile("privileged")
            try engine.write(bytes(10, 8), at: 0, to: ino)
            var change = AttributeChange()
            change.mode = 0o4755
            _ = try engine.setAttributes(change, of: ino, wait: .allowed)
            #expect(try isPassed(engine, ino, reading) == false)
            let cold = try engine.makeFile("cold")
            try engine.write(bytes(3 * Self.mebibyte, 9), at: 0, to: cold)
            try engine.place()
            _ = try engine.dropCache()
            #expect(try engine.read(cold, 0..<10) == Array(bytes(3 * Self.mebibyte, 9)[..<10]))
            #expect(try isPassed(engine, cold, reading) == false)
            #expect(try isPassed(engine, cold, writing) == false)
        }
        try withEngine(cacheBytesMin: .max) { engine in
            let ino = try engine.makeFile("f")
            try engine.write(bytes(Self.mebibyte, 10), at: 0, to: ino)
            #expect(try isPassed(engine, ino, ContentOpening(isForWriting: true)) == false)
            #expect(try isPassed(engine, ino, ContentOpening(isForWriting: false)))
            let short = try engine.makeFile("short")
            try engine.write(bytes(128 << 10, 10), at: 0, to: short)
            #expect(try isPassed(engine, short, ContentOpening(isForWriting: false)) == false)
        }
        try withEngine { engine in
            let ino = try engine.makeFile("temporary")
            let how = ContentOpening(isForWriting: true, isNew: true, isTemporary: true)
            #expect(try isPassed(engine, ino, how) == false)
        }
    }

    @Test func aFileThatStaysOpenIsPlacedToo() throws {
        try withEngine { engine in
            let ino = try engine.makeFile("f")
            try passing(engine, ino, isNew: true) { file in
                try file.write(at: 0, bytes(Self.mebibyte, 11))
                try engine.place()
                #expect(engine.status().totals.dirtyBytes == 0)
                try file.write(at: 5, [1])
                // Or still on the way, as far as the thread that placed it before has noted.
                let state = try engine.state(of: ino)
                #expect(state != "placed")
            }
            #expect(engine.status().totals.dirtyBytes == UInt64(Self.mebibyte))
        }
    }
}
