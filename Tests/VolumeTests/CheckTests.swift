import Disk
import Metadata
import Primitives
import SQLite
import Testing
import Volume

/// The check of whole volumes that are as they should be, also after crashes.
@Suite(.serialized)
struct CheckTests {
    /// What may happen to one of a few files.
    private enum Step: CaseIterable {
        case write, write2, append, truncate, punch, place, drop, remove, sync, read, clone
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>)
    func randomWorkLeavesNothingToFind(seed: UInt64) throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: seed)
            for round in 0..<3 {
                try fixture.open { engine in
                    for _ in 0..<30 { try step(engine, &random) }
                    // As a kill at this moment would leave it.
                    let killed = try fixture.image()
                    let report = try killed.check()
                    #expect(report.findings == [], "seed \(seed), round \(round), killed")
                    #expect(report.notes.contains { $0.kind == .uncleanStop })
                    try killed.open { _ in }
                    let recovered = try killed.check(network: fixture.network, deep: true)
                    #expect(recovered.findings == [], "seed \(seed), round \(round), recovered")
                }
                let report = try fixture.check(network: fixture.network, deep: true)
                #expect(report.findings == [], "seed \(seed), round \(round)")
                #expect(report.wasCleanlyClosed)
            }
        }
    }

    private func step(_ engine: VolumeEngine, _ random: inout SeededGenerator) throws {
        let name = "f\(Int.random(in: 0..<6, using: &random))"
        let found = try? engine.find(name)
        let ino = if let found { found } else { try engine.makeFile(name) }
        let size = try engine.attributes(of: ino).size
        let at = UInt64.random(in: 0..<4 << 20, using: &random)
        let count = Int.random(
            in: 1...(Bool.random(using: &random) ? 3_000 : 1_500_000),
            using: &random
        )
        switch Step.allCases.randomElement(using: &random) {
        case .write, .write2: try engine.write(random.bytes(count), at: at, to: ino)
        case .append: try engine.write(random.bytes(count), at: size, to: ino)
        case .truncate: try engine.resize(ino, to: at)
        case .punch:
            try engine.punchHole(ino, range: at..<at + UInt64(count), wait: .allowed)
        case .place: try engine.place()
        case .drop: _ = try engine.dropCache()
        case .remove:
            _ = try engine.unlink(EntryName(Array(name.utf8)), in: .root)
        case .clone:
            let other = "f\(Int.random(in: 0..<6, using: &random))"
            guard (try? engine.find(other)) == nil else { return }
            _ = try engine.clone(
                ino,
                of: engine.cloneSource(),
                named: EntryName(Array(other.utf8)),
                in: .root
            )
        case .sync: try engine.sync(ino, dataOnly: false, wait: .allowed)
        case .read, nil: _ = try engine.read(ino, Int(at)..<Int(at) + count)
        }
    }

    /// All that counted of a placed block that is not cached becomes zero: nothing is fetched, and
    /// there was no cache file that the change could be in.
    @Test func zerosOfAnEvictedBlockAreChangesToo() throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: 10)
            try fixture.open { engine in
                let ino = try engine.makeFile("a")
                try engine.write(random.bytes(100_000), at: 0, to: ino)
                try engine.place()
                try engine.resize(ino, to: 3 << 20)
            }
            // As after the loss of the cache's disk.
            try Directory.remove(tree: fixture.configuration.cacheDirectory)
            try fixture.open { engine in
                let ino = try engine.find("a")
                try engine.punchHole(ino, range: 0..<200_000, wait: .allowed)
            }
            let report = try fixture.check(network: fixture.network, deep: true)
            #expect(report.findings == [])
            try fixture.open { engine in
                let bytes = try engine.read(try engine.find("a"), 0..<200_000)
                #expect(bytes.allSatisfy { $0 == 0 })
            }
        }
    }

    @Test func aVolumeNeverOpenedIsClean() throws {
        try VolumeFixture.with { fixture in
            let report = try fixture.check()
            #expect(report.isClean)
            #expect(report.inodes == 0)
        }
    }

    @Test func aVolumeInUseIsRefused() throws {
        try VolumeFixture.with { fixture in
            try fixture.open { _ in
                #expect(throws: FileSystemError.self) { try fixture.check() }
            }
            let report = try fixture.check()
            #expect(report.isClean)
        }
    }

    @Test func aProviderThatIsAwayIsNoFinding() throws {
        try VolumeFixture.with { fixture in
            try fixture.fill()
            fixture.network.change(fixture.network.ids[2]) { $0.isUp = false }
            for deep in [false, true] {
                let report = try fixture.check(network: fixture.network, deep: deep)
                #expect(report.isClean)
                let unseen = report.notes.first { $0.kind == .unseenShard }?.count ?? 0
                #expect(unseen > 0)
                #expect(report.shardsSeen + unseen == report.shards)
            }
        }
    }

    @Test func whatAPowerCutTakesBackIsNoFinding() throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: 9)
            let bytes = random.bytes(2_000_000)
            try fixture.open { engine in
                let ino = try engine.makeFile("a")
                try engine.write(bytes, at: 0, to: ino)
                try engine.place()
                try engine.write(Array(bytes.prefix(100)), at: 1_000, to: ino)
                try engine.sync(.root, dataOnly: false, wait: .allowed)
                let image = try fixture.image()
                try image.run("UPDATE meta SET value='another boot' WHERE key='boot_id'")
                try Descriptor(opening: image.cachePath(ino), .readWrite).truncate(to: 0)
                let report = try image.check()
                #expect(report.findings == [])
                #expect(report.notes.contains { $0.kind == .unsyncedChange })
                try image.open { again in
                    let found = try again.read(ino, 0..<bytes.count)
                    #expect(found == bytes)
                }
                let after = try image.check(network: fixture.network, deep: true)
                #expect(after.findings == [])
            }
        }
    }

    @Test func aCheckOfASmallVolumeIsFast() throws {
        try VolumeFixture.with { fixture in
            try fixture.fill()
            _ = try fixture.check()
            let start = Clock.monotonic()
            for _ in 0..<5 { _ = try fixture.check() }
            // Some 10 ms each with nothing else to do; simulated crashes ask for thousands.
            #expect((Clock.monotonic() - start) / 5 < .milliseconds(500))
        }
    }
}

extension VolumeFixture {
    func check(network: MemoryNetwork? = nil, deep: Bool = false) throws -> CheckReport {
        try VolumeCheck.run(configuration, network: network, deep: deep)
    }

    /// Makes a volume with a bit of everything, and closes it in order.
    func fill() throws {
        var random = SeededGenerator(seed: 77)
        try open { engine in
            let directory = try engine.create(
                NewInode(kind: .directory, mode: 0o755, uid: 0, gid: 0),
                named: EntryName(Array("d".utf8)),
                in: .root
            ).ino
            let inner = try engine.create(
                NewInode(kind: .directory, mode: 0o755, uid: 0, gid: 0),
                named: EntryName(Array("inner".utf8)),
                in: directory
            ).ino
            _ = try engine.create(
                NewInode(
                    kind: .symbolicLink,
                    mode: 0o777,
                    uid: 0,
                    gid: 0,
                    target: Array("there".utf8)
                ),
                named: EntryName(Array("link".utf8)),
                in: inner
            )
            let placed = try engine.makeFile("placed", in: directory)
            try engine.write(random.bytes(2_500_000), at: 0, to: placed)
            _ = try engine.makeFile("empty", in: inner)
            try engine.place()
            let dirty = try engine.makeFile("dirty")
            try engine.write(random.bytes(300_000), at: 2 << 20, to: dirty)
            try engine.setExtendedAttribute(
                Array("user.a".utf8),
                to: [1, 2, 3],
                mode: .set,
                of: placed
            )
        }
    }

    /// A copy of all files as they are now, as a kill at this moment would leave them.
    func image() throws -> VolumeFixture {
        let image = directory + "/image"
        var before: [[UInt8]] = []
        // Once more if the engine's threads have gone on meanwhile.
        while true {
            try copyAll(to: image)
            let after = try ["/volume.db", "/volume.db-wal"].map {
                try WholeFile.read(directory + $0, limit: 256 << 20)
            }
            if after == before { break }
            before = after
        }
        var configuration = configuration
        configuration.metadataPath = image + "/volume.db"
        configuration.cacheDirectory = image + "/cache"
        return VolumeFixture(directory: image, network: network, configuration: configuration)
    }

    private func copyAll(to image: String) throws {
        try Directory.remove(tree: image)
        try Directory.make(image + "/cache")
        for name in ["volume.db", "volume.db-wal", "volume.db.cache-id", "cache/id"]
        where WholeFile.exists(directory + "/" + name) {
            try copy(name, to: image)
        }
        for bucket in try Directory.list(directory + "/cache") where bucket.count == 2 {
            guard Directory.isDirectory(directory + "/cache/" + bucket) else { continue }
            try Directory.make(image + "/cache/" + bucket)
            for file in try Directory.list(directory + "/cache/" + bucket) {
                try copy("cache/" + bucket + "/" + file, to: image)
            }
        }
    }

    /// Copies a file with its holes.
    private func copy(_ name: String, to image: String) throws {
        let source = try Descriptor(opening: directory + "/" + name)
        let target = try Descriptor(opening: image + "/" + name, .readWrite, .create)
        try target.truncate(to: try source.size())
        for range in try source.dataRanges() {
            let bytes = try source.read(at: range.lowerBound, count: range.count)
            try target.write(at: range.lowerBound, bytes)
        }
    }

    /// Runs SQL on the closed database.
    func run(_ sql: String) throws {
        try Database(path: configuration.metadataPath).executeScript(sql)
    }

    func cachePath(_ ino: InodeNumber) -> String {
        let hex = String(ino.rawValue, radix: 16)
        let bucket = hex.count < 2 ? "0" + hex : String(hex.suffix(2))
        return configuration.cacheDirectory + "/\(bucket)/\(hex)"
    }
}
