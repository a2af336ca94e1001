import Disk
import Logging
import Metadata
import Network
import Primitives
import Sealing
import Synchronization
import Testing
import Volume

/// Clones: what they share, and that they share nothing that is written later.
@Suite(.serialized)
struct CloneTests {
    private func name(_ text: String) throws -> EntryName { try EntryName(Array(text.utf8)) }

    private func clone(
        _ engine: VolumeEngine,
        _ ino: InodeNumber,
        as text: String
    ) throws -> InodeNumber {
        try engine.clone(ino, of: engine.cloneSource(), named: name(text), in: .root).ino
    }

    private func code(_ body: () throws -> Void) -> FileSystemError.Code? {
        do {
            try body()
            return nil
        } catch {
            return (error as? FileSystemError)?.code
        }
    }

    /// Bytes that providers hold.
    private func held(_ network: MemoryNetwork) throws -> UInt64 {
        try network.providers().reduce(0) { $0 + $1.usedBytes }
    }

    @Test func aCloneCostsNothingAndGoesItsOwnWay() throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: 31)
            // Data, a hole, data, an end within a segment.
            let head = random.bytes(2_500_000)
            let tail = random.bytes(300_001)
            var expected = head + [UInt8](repeating: 0, count: (5 << 20) - head.count) + tail
            let all = 0..<expected.count + 1
            try fixture.open { engine in
                let source = try engine.makeFile("a")
                try engine.write(head, at: 0, to: source)
                try engine.write(tail, at: 5 << 20, to: source)
                try engine.place()
                _ = try engine.dropCache()
                let (before, sent) = (try held(fixture.network), engine.status().uploadedBytes)
                let fetched = engine.status().downloadedBytes
                let made = try clone(engine, source, as: "b")
                #expect(try engine.state(of: made) == "placed")
                try engine.place()
                #expect(try held(fixture.network) == before)
                #expect(engine.status().uploadedBytes == sent)
                #expect(engine.status().downloadedBytes == fetched)
                #expect(try engine.read(made, all) == expected)
                #expect(try engine.attributes(of: made).blocks512 > 0)
                #expect(try engine.seek(made, from: 3 << 20, to: .data) == 5 << 20)

                // Each is written to, cut and punched; the other stays as it is.
                let other = expected
                try engine.write([1, 2, 3], at: 1_000_000, to: source)
                expected.replaceSubrange(1_000_000..<1_000_003, with: [1, 2, 3])
                #expect(try engine.read(made, all) == other)
                try engine.resize(made, to: 1_500_000)
                try engine.punchHole(made, range: 0..<1 << 20, wait: .allowed)
                try engine.resize(made, to: 2_000_000)
                #expect(try engine.read(source, all) == expected)
                try engine.place()
                _ = try engine.dropCache()
                #expect(try engine.read(source, all) == expected)
                let cut =
                    [UInt8](repeating: 0, count: 1 << 20) + head[(1 << 20)..<1_500_000]
                    + [UInt8](repeating: 0, count: 500_000)
                #expect(try engine.read(made, all) == cut)
            }
            #expect(try fixture.check(network: fixture.network, deep: true).findings == [])
            try fixture.open { engine in
                try engine.unlink(name("a"), in: .root)
                try engine.place()
                _ = try engine.collectGarbage()
                _ = try engine.dropCache()
                let made = try engine.find("b")
                let left = Array(head[(1 << 20)..<1_500_000])
                #expect(try engine.read(made, 1 << 20..<1_500_000) == left)
            }
            #expect(try fixture.check(network: fixture.network, deep: true).findings == [])
        }
    }

    @Test func whatIsNotPlacedYetIsPlacedFirst() throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: 32)
            let bytes = random.bytes(1_200_000)
            try fixture.open { engine in
                let empty = try engine.makeFile("empty")
                #expect(try engine.attributes(of: clone(engine, empty, as: "empty2")).size == 0)
                let source = try engine.makeFile("a")
                try engine.write(bytes, at: 0, to: source)
                let made = try clone(engine, source, as: "b")
                #expect(try engine.state(of: made) == "placed")
                #expect(try engine.read(made, 0..<2_000_000) == bytes)
                // Without providers a file is cloned if all of it is placed, and else not at all.
                for id in fixture.network.ids { fixture.network.change(id) { $0.isUp = false } }
                _ = try clone(engine, source, as: "c")
                let names = try engine.readDirectory(.root, after: 0, limit: 99).map(\.name)
                #expect(names.count == 5)
            }
            #expect(try fixture.check().findings == [])
        }
    }

    /// More blocks than one operation takes over.
    @Test func aHugeFileIsClonedInParts() throws {
        try VolumeFixture.with { fixture in
            try fixture.open { engine in
                let count = UInt64(MetadataStore.clonedBlocksMax + 20)
                let source = try engine.makeFile("a")
                for index in 0..<count {
                    let byte = UInt8(truncatingIfNeeded: index) | 1
                    try engine.write([byte], at: index << 20, to: source)
                }
                let made = try clone(engine, source, as: "b")
                _ = try engine.dropCache()
                for index in [0, count - 21, count - 20, count - 1] {
                    let at = Int(index) << 20
                    let byte = UInt8(truncatingIfNeeded: index) | 1
                    #expect(try engine.read(made, at..<at + 1) == [byte])
                }
                let (one, two) = (
                    try engine.attributes(of: source), try engine.attributes(of: made)
                )
                #expect(one.blocks512 == two.blocks512 && one.size == two.size)
                // The name is taken: what was made in parts is taken back.
                #expect(code { _ = try clone(engine, source, as: "b") } == .exists)
            }
            let report = try fixture.check()
            #expect(report.findings == [] && report.inodes == 3)
        }
    }

    /// Each clone is one version of a file that is written all the time.
    @Test(arguments: [false, true]) func aCloneIsOneMomentOfAFile(isRewritten: Bool) throws {
        try VolumeFixture.with { fixture in
            try fixture.open { engine in
                let count = 2_200_000
                let source = try engine.makeFile("a")
                try engine.write([UInt8](repeating: 1, count: count), at: 0, to: source)
                let isDone = Atomic(false)
                let writer = try Thread.spawn("writer") {
                    var version: UInt8 = 1
                    while !isDone.load(ordering: .relaxed) {
                        version = version % 250 + 1
                        let bytes = [UInt8](repeating: version, count: count)
                        if isRewritten {
                            try? engine.write(bytes, at: 0, to: source)
                        } else {
                            try? engine.resize(source, to: 0)
                            try? engine.write(bytes, at: 0, to: source)
                        }
                        Clock.sleep(for: .milliseconds(20))
                    }
                }
                var clones: [InodeNumber] = []
                for number in 0..<30 {
                    do {
                        clones.append(try clone(engine, source, as: "c\(number)"))
                    } catch let error as FileSystemError where error.code == .busy {
                        continue
                    }
                }
                isDone.store(true, ordering: .relaxed)
                writer.join()
                clones.append(try clone(engine, source, as: "last"))
                _ = try engine.dropCache()
                for made in clones {
                    let bytes = try engine.read(made, 0..<count + 1)
                    #expect(bytes.count == count || bytes.isEmpty && !isRewritten)
                    #expect(bytes.allSatisfy { $0 == bytes.first })
                }
            }
            #expect(try fixture.check(network: fixture.network, deep: true).findings == [])
        }
    }

    // MARK: Trees

    /// `d` with a file of two names, a link, a FIFO, a device, and a directory.
    private func makeTree(_ engine: VolumeEngine) throws -> (root: InodeNumber, bytes: [UInt8]) {
        var random = SeededGenerator(seed: 33)
        let bytes = random.bytes(400_000)
        let directory = NewInode(kind: .directory, mode: 0o2750, uid: 7, gid: 8)
        let root = try engine.create(directory, named: name("d"), in: .root).ino
        let inner = try engine.create(directory, named: name("e"), in: root).ino
        let file = try engine.makeFile("f", in: inner)
        try engine.write(bytes, at: 0, to: file)
        _ = try engine.link(file, as: name("g"), in: root)
        for (text, value) in [("user.a", 1), ("security.x", 2)] {
            try engine.setExtendedAttribute(
                Array(text.utf8),
                to: [UInt8(value)],
                mode: .set,
                of: file
            )
        }
        var change = AttributeChange()
        (change.mode, change.uid, change.gid) = (0o4755, 9, 10)
        _ = try engine.setAttributes(change, of: file, wait: .allowed)
        var link = NewInode(kind: .symbolicLink, mode: 0o777, uid: 7, gid: 8)
        link.target = Array("e/f".utf8)
        _ = try engine.create(link, named: name("l"), in: root)
        let fifo = NewInode(kind: .fifo, mode: 0o600, uid: 7, gid: 8)
        _ = try engine.create(fifo, named: name("p"), in: root)
        let device = NewInode(kind: .characterDevice, mode: 0o600, uid: 7, gid: 8, rdev: 0x103)
        _ = try engine.create(device, named: name("null"), in: root)
        for number in 0..<1500 { _ = try engine.makeFile("n\(number)", in: inner) }
        var times = AttributeChange()
        times.modified = Timestamp(seconds: 1000, nanoseconds: 7)
        times.accessed = Timestamp(seconds: 2000, nanoseconds: 8)
        for ino in [root, inner, file] {
            _ = try engine.setAttributes(times, of: ino, wait: .allowed)
        }
        return (root, bytes)
    }

    @Test func aTreeIsClonedWithAllThatIsInIt() throws {
        try VolumeFixture.with { fixture in
            try fixture.open { engine in
                let (root, bytes) = try makeTree(engine)
                var filled: [InodeNumber] = []
                let job = TreeClone(engine, onFilled: { filled.append($0) })
                let outcome = try job.run(root, as: name("c"), in: .root)
                #expect(outcome.files == 1501 && outcome.directories == 2 && outcome.others == 4)
                #expect(outcome.failed == 0 && outcome.bytes == 400_000 && filled.count == 2)
                let made = try engine.find("c")
                for (source, clone) in [
                    (root, made), (try engine.find("e", in: root), try engine.find("e", in: made)),
                    (try engine.find("g", in: root), try engine.find("g", in: made)),
                    (try engine.find("null", in: root), try engine.find("null", in: made)),
                ] {
                    let (one, two) = (
                        try engine.attributes(of: source), try engine.attributes(of: clone)
                    )
                    #expect(one.mode == two.mode && one.uid == two.uid && one.gid == two.gid)
                    #expect(one.modified == two.modified && one.accessed == two.accessed)
                    #expect(one.linkCount == two.linkCount && one.size == two.size)
                    #expect(one.rdev == two.rdev && one.kind == two.kind)
                    #expect(
                        try engine.extendedAttributes(of: source)
                            == engine.extendedAttributes(of: clone)
                    )
                }
                #expect(try engine.readLink(engine.find("l", in: made)) == Array("e/f".utf8))
                let file = try engine.find("f", in: engine.find("e", in: made))
                #expect(try engine.find("g", in: made) == file)
                #expect(try engine.read(file, 0..<500_000) == bytes)
                #expect(
                    code {
                        let inner = try engine.find("e", in: root)
                        _ = try TreeClone(engine).run(root, as: name("x"), in: inner)
                    } == .invalid
                )
                let twice = code {
                    _ = try TreeClone(engine).run(root, as: name("c"), in: .root)
                }
                #expect(twice == .exists)
            }
            #expect(try fixture.check(network: fixture.network, deep: true).findings == [])
        }
    }

    @Test func aUsersCloneIsTheUsersOwn() throws {
        try VolumeFixture.with { fixture in
            try fixture.open { engine in
                let (root, _) = try makeTree(engine)
                let job = TreeClone(engine, owner: .given(uid: 500, gid: 600))
                let outcome = try job.run(root, as: name("c"), in: .root)
                #expect(outcome.failed == 1 && outcome.failures.map(\.path) == ["c/null"])
                let made = try engine.find("c")
                let file = try engine.attributes(of: engine.find("g", in: made))
                #expect(file.uid == 500 && file.gid == 600 && file.mode == 0o755)
                #expect(try engine.extendedAttributes(of: file.ino) == [Array("user.a".utf8)])
                #expect(try engine.attributes(of: made).mode == 0o750)
            }
            #expect(try fixture.check().findings == [])
        }
    }

    /// What is there when nobody waits any more can be used and removed.
    @Test func aTreeLeftHalfWayIsUsable() throws {
        try VolumeFixture.with { fixture in
            try fixture.open { engine in
                let (root, _) = try makeTree(engine)
                let job = TreeClone(engine, mayGoOn: { _ in false })
                #expect(code { _ = try job.run(root, as: name("c"), in: .root) } == .busy)
                let made = try engine.find("c")
                #expect(try engine.attributes(of: made).mode == 0o2750)
                let listed = try engine.readDirectory(
                    engine.find("e", in: made),
                    after: 0,
                    limit: 4096
                )
                #expect((1000..<1500).contains(listed.count))
            }
            #expect(try fixture.check().findings == [])
        }
    }

    @Test func aSnapshotIsClonedWhileTheNetworkKeepsIt() throws {
        try VolumeFixture.with { fixture in
            fixture.network.keepsDeleted.store(true, ordering: .relaxed)
            try fixture.open { engine in
                let (root, bytes) = try makeTree(engine)
                try engine.place()
                let source = try CopiedSnapshots(in: fixture.directory + "/copies")
                let trees = try engine.openSnapshots(of: source, in: fixture.directory + "/trees")
                defer { trees.close() }
                try source.keep(engine, version: 1)
                let file = try engine.find("g", in: root)
                try engine.unlink(name("g"), in: root)
                try engine.rename(
                    name("d"),
                    in: .root,
                    to: name("moved"),
                    in: .root,
                    mode: .replace,
                    wait: .allowed
                )
                _ = try engine.dropCache()
                let tree = try trees.tree(of: 1, wait: .allowed)
                let outcome = try TreeClone(engine, of: tree).run(root, as: name("d"), in: .root)
                #expect(outcome.files == 1501 && outcome.others == 4 && outcome.failed == 0)
                let made = try engine.find("g", in: engine.find("d"))
                #expect(try engine.read(made, 0..<500_000) == bytes)
                #expect(try engine.attributes(of: made).linkCount == 2)

                // Written anew everywhere, what the snapshot has is in no stripe that is kept here.
                for ino in [file, made] {
                    try engine.write([1], at: 0, to: ino)
                }
                try engine.place()
                let late = TreeClone(engine, of: tree)
                let rest = try late.run(root, as: name("late"), in: .root)
                #expect(rest.failed == 2 && rest.files == 1500)
            }
            #expect(try fixture.check(network: fixture.network, deep: true).findings == [])
        }
    }

    // MARK: What becomes of stripes

    /// A stripe of which little is alive is written anew, for all that share it.
    @Test func allThatShareASparseStripeMoveOutOfIt() throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: 34)
            let mib = 1 << 20
            let bytes = random.bytes(8 * mib)
            try fixture.open { engine in
                let source = try engine.makeFile("a")
                try engine.write(bytes, at: 0, to: source)
                try engine.place()
                let old = try engine.placedStripes().map(\.id)
                let clones = try (0..<2).map { try clone(engine, source, as: "c\($0)") }
                // Of each of the three, the last block stays where it was.
                for ino in [source] + clones {
                    try engine.write(random.bytes(7 * mib), at: 0, to: ino)
                }
                try engine.place()
                #expect(try Set(engine.placedStripes().map(\.id)).isSuperset(of: old))
                let use = try engine.collectGarbage()
                #expect(use.sparseStripes == 0 && use.deadShards == 0)
                #expect(try Set(engine.placedStripes().map(\.id)).isDisjoint(with: old))
                _ = try engine.dropCache()
                for ino in [source] + clones {
                    #expect(try engine.read(ino, 7 * mib..<8 * mib) == Array(bytes[(7 * mib)...]))
                }
            }
            #expect(try fixture.check(network: fixture.network, deep: true).findings == [])
        }
    }

    @Test func clonesComeBackFromTheNetworkAlone() throws {
        try VolumeFixture.with { fixture in
            let owner = try RootSeed.random().identityKey()
            var configuration = fixture.configuration
            configuration.checkpoints = VolumeConfiguration.Checkpoints(owner: owner)
            let home = VolumeFixture(
                directory: fixture.directory,
                network: fixture.network,
                configuration: configuration
            )
            var bytes: [UInt8] = []
            try home.open { engine in
                let (root, written) = try makeTree(engine)
                bytes = written
                try engine.place()
                _ = try TreeClone(engine).run(root, as: name("c"), in: .root)
                try engine.write([1], at: 0, to: engine.find("g", in: root))
                try engine.place()
                // The source is gone, and what it had since.
                try engine.unlink(name("g"), in: root)
                try engine.place()
            }
            let survey = HeadRegister.newest(
                of: configuration.id,
                owner: owner.publicKey.nodeID,
                at: fixture.network
            )
            configuration.metadataPath = fixture.directory + "/elsewhere.db"
            configuration.cacheDirectory = fixture.directory + "/elsewhere"
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            let recovery = VolumeRecovery(
                key: configuration.key,
                network: fixture.network,
                logger: logger
            )
            let plan = try recovery.plan(#require(survey.newest))
            let path = configuration.metadataPath
            #expect(try recovery.restore(plan, to: path) { _, _ in } == [])
            let elsewhere = VolumeFixture(
                directory: fixture.directory,
                network: fixture.network,
                configuration: configuration
            )
            try elsewhere.open { engine in
                let made = try engine.find("c")
                #expect(try engine.read(engine.find("g", in: made), 0..<500_000) == bytes)
                let again = try clone(engine, engine.find("g", in: made), as: "again")
                #expect(try engine.read(again, 0..<500_000) == bytes)
                try engine.place()
            }
            #expect(try elsewhere.check(network: fixture.network, deep: true).findings == [])
        }
    }

    /// What was committed after a head that a crash kept from being registered is in the next.
    @Test func whatACrashLeftInNoHeadGetsOneUnasked() throws {
        try VolumeFixture.with { fixture in
            let owner = try RootSeed.random().identityKey()
            var configuration = fixture.configuration
            var checkpoints = VolumeConfiguration.Checkpoints(owner: owner)
            checkpoints.interval = .milliseconds(100)
            configuration.checkpoints = checkpoints
            func newest() -> UInt64 {
                HeadRegister.newest(
                    of: configuration.id,
                    owner: owner.publicKey.nodeID,
                    at: fixture.network
                ).newest?.version ?? 0
            }
            let home = VolumeFixture(
                directory: fixture.directory,
                network: fixture.network,
                configuration: configuration
            )
            var killed: VolumeFixture?
            var before: UInt64 = 0
            try home.open { engine in
                _ = try engine.makeFile("a")
                try engine.place()
                before = newest()
                for id in fixture.network.keeperIDs {
                    fixture.network.changeKeeper(id) { $0.isUp = false }
                }
                _ = try engine.makeFile("b")
                try engine.syncDirectory(.root, wait: .allowed)
                killed = try home.image()
            }
            for id in fixture.network.keeperIDs {
                fixture.network.changeKeeper(id) { $0.isUp = true }
            }
            #expect(before > 0 && newest() == before)
            try #require(killed).open { _ in try waitUntil { newest() > before } }
        }
    }

    @Test func whatCameAfterAHeadThatWaitsIsInTheNext() throws {
        try VolumeFixture.with { fixture in
            let owner = try RootSeed.random().identityKey()
            var configuration = fixture.configuration
            configuration.checkpoints = VolumeConfiguration.Checkpoints(owner: owner)
            let home = VolumeFixture(
                directory: fixture.directory,
                network: fixture.network,
                configuration: configuration
            )
            var killed: VolumeFixture?
            try home.open { engine in
                _ = try engine.makeFile("a")
                try engine.place()
                for id in fixture.network.keeperIDs {
                    fixture.network.changeKeeper(id) { $0.isUp = false }
                }
                _ = try engine.makeFile("b")
                // A head is made, and no keeper takes it.
                #expect(throws: FileSystemError.self) { try engine.place() }
                _ = try engine.makeFile("c")
                try engine.syncDirectory(.root, wait: .allowed)
                killed = try home.image()
            }
            for id in fixture.network.keeperIDs {
                fixture.network.changeKeeper(id) { $0.isUp = true }
            }
            let before = HeadRegister.newest(
                of: configuration.id,
                owner: owner.publicKey.nodeID,
                at: fixture.network
            ).newest?.version
            let copy = try #require(killed)
            try copy.open { engine in try engine.place() }
            let newest = try #require(
                HeadRegister.newest(
                    of: configuration.id,
                    owner: owner.publicKey.nodeID,
                    at: fixture.network
                ).newest
            )
            #expect(newest.version > before ?? 0)
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            let recovery = VolumeRecovery(
                key: configuration.key,
                network: fixture.network,
                logger: logger
            )
            let path = fixture.directory + "/elsewhere.db"
            _ = try recovery.restore(recovery.plan(newest), to: path) { _, _ in }
            let names = try MetadataSnapshot(opening: path).entries(of: .root, after: 0, limit: 9)
            #expect(names.map(\.name.description) == ["a", "b", "c"])
        }
    }
}
