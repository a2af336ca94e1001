import Disk
import Metadata
import Primitives
import Synchronization
import Testing
import Volume

/// An engine, copies of its database, and the trees made of them.
private struct SnapshotFixture {
    let fixture: VolumeFixture
    let engine: VolumeEngine
    let source: CopiedSnapshots
    let trees: SnapshotTrees
    var network: MemoryNetwork { fixture.network }
    /// Where the databases of open trees are.
    let directory: String

    static func with(_ body: (SnapshotFixture) throws -> Void) throws {
        try VolumeFixture.with { fixture in
            fixture.network.keepsDeleted.store(true, ordering: .relaxed)
            try fixture.open { engine in
                let source = try CopiedSnapshots(in: fixture.directory + "/copies")
                let directory = fixture.directory + "/snapshots"
                let trees = try engine.openSnapshots(of: source, in: directory)
                defer { trees.close() }
                try body(
                    SnapshotFixture(
                        fixture: fixture,
                        engine: engine,
                        source: source,
                        trees: trees,
                        directory: directory
                    )
                )
            }
        }
    }

    func tree(_ version: UInt64) throws -> SnapshotTree {
        try trees.tree(of: version, wait: .allowed)
    }

    /// A placed file of random bytes, a snapshot of it, and the snapshot's inode number.
    func snapshot(
        ofFile name: String = "a",
        _ byteCount: Int,
        version: UInt64 = 1
    ) throws -> (bytes: [UInt8], ino: InodeNumber) {
        var random = SeededGenerator(seed: UInt64(byteCount))
        let bytes = random.bytes(byteCount)
        let ino = try engine.makeFile(name)
        try engine.write(bytes, at: 0, to: ino)
        try engine.place()
        try source.keep(engine, version: version)
        return (bytes, ino)
    }
}

extension SnapshotTree {
    fileprivate func bytes(
        _ ino: InodeNumber,
        _ range: Range<Int>,
        wait: Wait = .allowed
    ) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xaa, count: range.count)
        let count = try bytes.withUnsafeMutableBytes {
            try read(ino, offset: UInt64(range.lowerBound), into: $0, wait: wait)
        }
        return Array(bytes[..<count])
    }

    fileprivate func find(_ name: String, in parent: InodeNumber = .root) throws -> Attributes {
        try lookup(EntryName(Array(name.utf8)), in: parent)
    }
}

private func code(_ body: () throws -> Void) -> FileSystemError.Code? {
    do {
        try body()
        return nil
    } catch {
        return (error as? FileSystemError)?.code
    }
}

@Suite(.serialized)
struct SnapshotTreeTests {
    @Test func namesAttributesAndBytesStayAsTheyWere() throws {
        try SnapshotFixture.with { fixture in
            let engine = fixture.engine
            let owner = NewInode(kind: .directory, mode: 0o750, uid: 7, gid: 8)
            let folder = try engine.create(owner, named: EntryName(Array("d".utf8)), in: .root).ino
            var link = NewInode(kind: .symbolicLink, mode: 0o777, uid: 0, gid: 0)
            link.target = Array("d/f".utf8)
            _ = try engine.create(link, named: EntryName(Array("l".utf8)), in: .root)
            let file = try engine.makeFile("f", in: folder)
            _ = try engine.link(file, as: EntryName(Array("g".utf8)), in: .root)
            let name = Array("user.colour".utf8)
            try engine.setExtendedAttribute(name, to: [1, 2], mode: .set, of: file)
            var random = SeededGenerator(seed: 1)
            // A hole between data, and an end within a segment.
            let head = random.bytes(100_000)
            let tail = random.bytes(1_500_001)
            try engine.write(head, at: 0, to: file)
            try engine.write(tail, at: 5 << 20, to: file)
            try engine.place()
            try fixture.source.keep(engine, version: 1)
            let before = try engine.attributes(of: file)
            let whole = try engine.read(file, 0..<10 << 20)

            // Everything else than before.
            try engine.write([1, 2, 3], at: 50_000, to: file)
            try engine.resize(file, to: 6 << 20)
            try engine.setExtendedAttribute(name, to: [9], mode: .set, of: file)
            try engine.unlink(EntryName(Array("g".utf8)), in: .root)
            try engine.unlink(EntryName(Array("l".utf8)), in: .root)
            try engine.rename(
                EntryName(Array("f".utf8)),
                in: folder,
                to: EntryName(Array("h".utf8)),
                in: .root,
                mode: .replace,
                wait: .allowed
            )
            try engine.removeDirectory(EntryName(Array("d".utf8)), in: .root)
            try engine.place()
            try fixture.source.keep(engine, version: 2)
            try engine.unlink(EntryName(Array("h".utf8)), in: .root)
            try engine.place()

            let tree = try fixture.tree(1)
            #expect(try tree.find("d").mode == 0o750 && tree.find("d").uid == 7)
            #expect(try tree.find("f", in: folder) == before)
            #expect(try tree.find("g") == before && before.linkCount == 2)
            #expect(try tree.readLink(tree.find("l").ino) == Array("d/f".utf8))
            #expect(try tree.extendedAttribute(name, of: file) == [1, 2])
            #expect(try tree.extendedAttributes(of: file) == [name])
            #expect(try tree.parent(of: folder) == .root)
            let listed = try tree.readDirectory(.root, after: 0, limit: 100)
            #expect(listed.map(\.name.description) == ["d", "l", "g"])
            #expect(
                try tree.readDirectory(.root, after: listed[0].cookie, limit: 1) == [listed[1]]
            )
            #expect(try tree.bytes(file, 0..<10 << 20) == whole)
            #expect(try tree.bytes(file, 99_990..<100_010) == Array(whole[99_990..<100_010]))
            #expect(try tree.bytes(file, whole.count..<whole.count + 5) == [])
            #expect(try tree.seek(file, from: 0, to: .hole) == 1 << 20)
            #expect(try tree.seek(file, from: 1 << 20, to: .data) == 5 << 20)
            #expect(try tree.seek(file, from: 5 << 20, to: .hole) == UInt64(whole.count))
            #expect(code { _ = try tree.seek(file, from: 1 << 30, to: .data) } == .beyondEnd)
            #expect(code { _ = try tree.find("h") } == .notFound)
            #expect(code { _ = try tree.find("x", in: file) } == .notDirectory)
            #expect(code { _ = try tree.readLink(file) } == .invalid)
            #expect(code { _ = try tree.extendedAttribute([1], of: file) } == .noAttribute)
            #expect(try tree.statistics().totalBytes == before.size)

            // The second one is another tree, with what was changed.
            let second = try fixture.tree(2)
            var changed = whole
            changed.replaceSubrange(50_000..<50_003, with: [1, 2, 3])
            #expect(try second.bytes(file, 0..<10 << 20) == Array(changed[..<(6 << 20)]))
            #expect(try second.extendedAttribute(name, of: file) == [9])
            #expect(try second.readDirectory(.root, after: 0, limit: 9).count == 1)
        }
    }

    @Test func aCopyWithItsLogIsRead() throws {
        try SnapshotFixture.with { fixture in
            let (bytes, ino) = try fixture.snapshot(300_000)
            // What is in the log alone.
            _ = try fixture.engine.makeFile("late")
            try fixture.engine.syncDirectory(.root, wait: .allowed)
            let live = fixture.engine.configuration.metadataPath
            let copy = fixture.fixture.directory + "/copies/7.db"
            for suffix in ["", "-wal"] {
                let file = try WholeFile.read(live + suffix, limit: 1 << 30)
                #expect(!file.isEmpty)
                try WholeFile.replace(copy + suffix, with: file)
            }
            _ = try fixture.source.keep(copy: copy, version: 7)
            let tree = try fixture.tree(7)
            #expect(try tree.find("late").size == 0)
            #expect(try tree.bytes(ino, 0..<bytes.count) == bytes)
        }
    }

    @Test func whatWasDirtyReadsAsItWasPlaced() throws {
        try SnapshotFixture.with { fixture in
            let (bytes, ino) = try fixture.snapshot(3 << 20)
            try fixture.engine.write([1, 2, 3], at: 1 << 20, to: ino)
            try fixture.engine.write([4, 5], at: 4 << 20, to: ino)
            let new = try fixture.engine.makeFile("new")
            try fixture.engine.write([6, 7], at: 0, to: new)
            try fixture.source.keep(fixture.engine, version: 2)
            let tree = try fixture.tree(2)
            #expect(try tree.bytes(ino, 0..<3 << 20) == bytes)
            #expect(try tree.bytes(ino, 4 << 20..<5 << 20) == [0, 0])
            #expect(try tree.bytes(new, 0..<5) == [0, 0])
        }
    }

    // MARK: Providers

    @Test func twoLostProvidersAreReadAround() throws {
        try SnapshotFixture.with { fixture in
            let (bytes, ino) = try fixture.snapshot(6_000_000)
            for id in fixture.network.ids.prefix(2) {
                fixture.network.change(id) { $0.isUp = false }
            }
            let tree = try fixture.tree(1)
            for start in stride(from: 0, to: bytes.count, by: 1 << 19) {
                let range = start..<min(bytes.count, start + 1 << 19)
                #expect(try tree.bytes(ino, range) == Array(bytes[range]))
            }
        }
    }

    @Test func threeLostProvidersAreAnErrorUntilTheyAreBack() throws {
        try SnapshotFixture.with { fixture in
            let (bytes, ino) = try fixture.snapshot(4_000_000)
            for id in fixture.network.ids.prefix(3) {
                fixture.network.change(id) { $0.isUp = false }
            }
            let tree = try fixture.tree(1)
            #expect(code { _ = try tree.bytes(ino, 0..<bytes.count) } == .unavailable)
            for id in fixture.network.ids { fixture.network.change(id) { $0.isUp = true } }
            #expect(try tree.bytes(ino, 0..<bytes.count) == bytes)
        }
    }

    @Test(arguments: [[0], [5], [0, 3], [1, 2], [4, 5]])
    func wrongBytesAreReadAround(rotten: [Int]) throws {
        try SnapshotFixture.with { fixture in
            let (bytes, ino) = try fixture.snapshot(1_000_000)
            for index in rotten { fixture.network.rot(fixture.network.ids[index]) { $0 / 3 } }
            #expect(try fixture.tree(1).bytes(ino, 0..<bytes.count) == bytes)
        }
    }

    @Test func tooManyWrongBytesAreAnError() throws {
        try SnapshotFixture.with { fixture in
            let (bytes, ino) = try fixture.snapshot(1_000_000)
            for id in fixture.network.ids.prefix(3) { fixture.network.rot(id) { $0 / 3 } }
            let tree = try fixture.tree(1)
            for start in stride(from: 0, to: bytes.count, by: 65_536) {
                let range = start..<min(bytes.count, start + 65_536)
                guard let got = try? tree.bytes(ino, range) else { continue }
                #expect(got == Array(bytes[range]))
            }
            #expect(code { _ = try tree.bytes(ino, 0..<bytes.count) } == .corrupt)
        }
    }

    @Test func shardsAreLookedForWhereTheyAreNow() throws {
        try SnapshotFixture.with { fixture in
            let (bytes, ino) = try fixture.snapshot(2_000_000)
            let (old, new) = (fixture.network.ids[0], fixture.network.ids[1])
            var moved: [ShardID: [UInt8]] = [:]
            fixture.network.change(old) { provider in
                moved = provider.shards
                provider.shards = [:]
            }
            fixture.network.change(new) { $0.shards.merge(moved) { mine, _ in mine } }
            // Two more are away, so that all the others are needed.
            for id in fixture.network.ids.suffix(2) {
                fixture.network.change(id) { $0.isUp = false }
            }
            let tree = try fixture.tree(1)
            #expect(code { _ = try tree.bytes(ino, 0..<bytes.count) } == .unavailable)
            fixture.source.move(from: old, to: new)
            #expect(try tree.bytes(ino, 0..<bytes.count) == bytes)
        }
    }

    @Test func aStripeThatIsGoneIsStale() throws {
        try SnapshotFixture.with { fixture in
            let (bytes, ino) = try fixture.snapshot(100_000)
            let tree = try fixture.tree(1)
            fixture.source.loseStripes()
            #expect(code { _ = try tree.bytes(ino, 0..<bytes.count) } == .stale)
        }
    }

    // MARK: Memory and pace

    @Test func whoMustNotWaitGetsWhatIsInMemory() throws {
        try SnapshotFixture.with { fixture in
            let (bytes, ino) = try fixture.snapshot(200_000)
            #expect(code { _ = try fixture.trees.tree(of: 1, wait: .never) } == .wouldWait)
            let tree = try fixture.tree(1)
            _ = try fixture.trees.tree(of: 1, wait: .never)
            let all = 0..<bytes.count
            #expect(code { _ = try tree.bytes(ino, all, wait: .never) } == .wouldWait)
            #expect(try tree.bytes(ino, all) == bytes)
            #expect(try tree.bytes(ino, all, wait: .never) == bytes)
            _ = try fixture.engine.dropCache()
            #expect(code { _ = try tree.bytes(ino, all, wait: .never) } == .wouldWait)
        }
    }

    @Test func whatNobodyAsksForIsForgotten() throws {
        try SnapshotFixture.with { fixture in
            let (bytes, ino) = try fixture.snapshot(2_000_000)
            #expect(try fixture.tree(1).bytes(ino, 0..<bytes.count) == bytes)
            #expect(fixture.trees.openedBytes == bytes.count)
            try waitUntil { fixture.trees.openedBytes == 0 }
        }
    }

    @Test func aLongFileIsReadOnceAndAhead() throws {
        try SnapshotFixture.with { fixture in
            let (bytes, ino) = try fixture.snapshot(48 << 20)
            let tree = try fixture.tree(1)
            _ = fixture.network.takeGets()
            var asked: [Int] = []
            for start in stride(from: 0, to: bytes.count, by: 128 << 10) {
                let range = start..<start + 128 << 10
                #expect(try tree.bytes(ino, range) == Array(bytes[range]))
                #expect(fixture.trees.openedBytes <= 32 << 20)
                if start == 10 << 20 { asked.append(fixture.network.takeGets().bytes) }
            }
            // After ten MiB it has asked for many more, and in the end for each byte about once.
            #expect(asked[0] > 20 << 20)
            let all = asked[0] + fixture.network.takeGets().bytes
            #expect(all < bytes.count + bytes.count / 20)
        }
    }

    @Test func aRandomReadMovesLittle() throws {
        try SnapshotFixture.with { fixture in
            let (bytes, ino) = try fixture.snapshot(16 << 20)
            let tree = try fixture.tree(1)
            _ = fixture.network.takeGets()
            for start in [9_000_000, 3_000_000, 12_345_678] {
                let range = start..<start + 4096
                #expect(try tree.bytes(ino, range) == Array(bytes[range]))
            }
            #expect(fixture.network.takeGets().bytes < 3 * 140_000)
        }
    }

    @Test func manyWhoReadTheSameFetchItOnce() throws {
        try SnapshotFixture.with { fixture in
            let (bytes, ino) = try fixture.snapshot(8 << 20)
            let tree = try fixture.tree(1)
            _ = fixture.network.takeGets()
            let wrong = Atomic(0)
            let threads = try (0..<8).map { number in
                try Thread.spawn("reader-\(number)") {
                    for step in 0..<64 {
                        // Overlapping, and across the blocks' ends.
                        let start = (step * 131_072 + number * 17_000) % (bytes.count - 600_000)
                        let range = start..<start + 600_000
                        let isRight = (try? tree.bytes(ino, range)) == Array(bytes[range])
                        if !isRight { wrong.add(1, ordering: .relaxed) }
                    }
                }
            }
            for thread in threads { thread.join() }
            #expect(wrong.load(ordering: .relaxed) == 0)
            #expect(fixture.network.takeGets().bytes < 2 * bytes.count)
        }
    }

    // MARK: Trees

    @Test func eightTreesAreOpenAtMost() throws {
        try SnapshotFixture.with { fixture in
            let ino = try fixture.engine.makeFile("f")
            for version in UInt64(1)...12 {
                try fixture.engine.resize(ino, to: version)
                try fixture.source.keep(fixture.engine, version: version)
            }
            for version in UInt64(1)...12 {
                #expect(try fixture.tree(version).find("f").size == version)
                // The first is used again and again, and so stays.
                #expect(try fixture.tree(1).find("f").size == 1)
                #expect(try Directory.list(fixture.directory).count <= SnapshotTrees.openMax)
            }
            #expect(fixture.source.materialized == 12)
            #expect(Set(try Directory.list(fixture.directory)).contains("1"))
            #expect(try fixture.tree(2).find("f").size == 2)
            #expect(fixture.source.materialized == 13)
            fixture.trees.close()
            #expect(!WholeFile.exists(fixture.directory))
            #expect(code { _ = try fixture.tree(1) } == .closed)
        }
    }

    @Test func whoReadsInATreeThatIsClosedGoesOn() throws {
        try SnapshotFixture.with { fixture in
            let (bytes, ino) = try fixture.snapshot(100_000)
            let tree = try fixture.tree(1)
            for version in UInt64(2)...12 {
                try fixture.source.keep(fixture.engine, version: version)
            }
            for version in UInt64(2)...12 { _ = try fixture.tree(version) }
            #expect(!(try Directory.list(fixture.directory).contains("1")))
            #expect(try tree.bytes(ino, 0..<bytes.count) == bytes)
            #expect(try fixture.tree(1).bytes(ino, 0..<bytes.count) == bytes)
        }
    }

    @Test func manyTreesAreOpenedByManyAtOnce() throws {
        try SnapshotFixture.with { fixture in
            let ino = try fixture.engine.makeFile("f")
            for version in UInt64(1)...20 {
                try fixture.engine.resize(ino, to: version)
                try fixture.source.keep(fixture.engine, version: version)
            }
            let wrong = Atomic(0)
            let trees = fixture.trees
            let threads = try (0..<6).map { number in
                try Thread.spawn("opener-\(number)") {
                    for step in 0..<60 {
                        let version = UInt64((step * 7 + number * 5) % 20 + 1)
                        let size = try? trees.tree(of: version, wait: .allowed)
                            .attributes(of: ino).size
                        if size != version { wrong.add(1, ordering: .relaxed) }
                    }
                }
            }
            for thread in threads { thread.join() }
            #expect(wrong.load(ordering: .relaxed) == 0)
            #expect(try Directory.list(fixture.directory).count <= SnapshotTrees.openMax)
        }
    }

    @Test func aDeletedSnapshotIsStale() throws {
        try SnapshotFixture.with { fixture in
            let (_, ino) = try fixture.snapshot(1000)
            _ = try fixture.tree(1).attributes(of: ino)
            fixture.source.delete(1)
            fixture.trees.noteChange()
            #expect(try fixture.trees.snapshots(wait: .allowed).isEmpty)
            #expect(code { _ = try fixture.tree(1) } == .stale)
            #expect(code { _ = try fixture.tree(99) } == .stale)
            #expect(try Directory.list(fixture.directory) == [])
        }
    }

    @Test func theListIsAskedForOnceASecond() throws {
        try SnapshotFixture.with { fixture in
            let trees = fixture.trees
            #expect(code { _ = try trees.snapshots(wait: .never) } == .wouldWait)
            #expect(try trees.snapshots(wait: .allowed).isEmpty)
            let made = try fixture.source.keep(fixture.engine, version: 1, name: "x")
            let before = trees.listChanged
            trees.noteChange()
            #expect(try trees.snapshots(wait: .allowed) == [made])
            #expect(try trees.snapshots(wait: .never) == [made])
            #expect(trees.listChanged > before)
            try fixture.source.keep(fixture.engine, version: 2)
            try waitUntil { try trees.snapshots(wait: .allowed).count == 2 }
        }
    }

    @Test func whatAnEarlierProcessLeftIsRemoved() throws {
        try SnapshotFixture.with { fixture in
            let left = fixture.fixture.directory + "/left"
            try Directory.make(left + "/5", durably: false)
            try WholeFile.replace(left + "/5/volume.db", with: [1])
            let trees = try fixture.engine.openSnapshots(of: fixture.source, in: left)
            #expect(!WholeFile.exists(left))
            trees.close()
        }
    }

    // MARK: Damage

    @Test func noDatabaseAndAnotherOneAreRefused() throws {
        try SnapshotFixture.with { fixture in
            let copies = fixture.fixture.directory + "/copies"
            #expect(
                code { _ = try MetadataSnapshot(opening: copies + "/none") } == .notFound
            )
            try WholeFile.replace(copies + "/text", with: Array("no database at all".utf8))
            #expect(code { _ = try MetadataSnapshot(opening: copies + "/text") } != nil)
        }
    }

    /// Whatever stands in a database, nothing traps, and bytes are those that were written.
    @Test func damagedDatabasesGiveErrorsAndNoOtherBytes() throws {
        try SnapshotFixture.with { fixture in
            let (bytes, ino) = try fixture.snapshot(500_000)
            let path = fixture.fixture.directory + "/copies/1.db"
            let whole = try WholeFile.read(path, limit: 1 << 30)
            var random = SeededGenerator(seed: 5)
            for version in UInt64(2)..<60 {
                var damaged = whole
                for _ in 0..<8 {
                    let at = Int.random(in: 100..<damaged.count, using: &random)
                    damaged[at] ^= UInt8.random(in: 1...255, using: &random)
                }
                let copy = fixture.fixture.directory + "/copies/\(version).db"
                try WholeFile.replace(copy, with: damaged)
                guard (try? fixture.source.keep(copy: copy, version: version)) != nil,
                    let tree = try? fixture.tree(version)
                else { continue }
                _ = try? tree.readDirectory(.root, after: 0, limit: 100)
                _ = try fixture.engine.dropCache()
                guard let size = try? tree.attributes(of: ino).size, size <= 1 << 20,
                    let got = try? tree.bytes(ino, 0..<bytes.count)
                else { continue }
                // A row that is gone or cut is a hole; nothing can tell that it was not.
                #expect(zip(got, bytes).allSatisfy { $0 == $1 || $0 == 0 })
            }
        }
    }
}
