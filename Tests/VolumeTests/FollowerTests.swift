import Disk
import Logging
import Metadata
import Network
import Primitives
import SQLite
import Sealing
import Synchronization
import Testing
import Volume

/// A machine that writes a volume and one that follows, over one network in memory.
private struct FollowFixture {
    let fixture: VolumeFixture
    let owner: SigningKey
    let writer: VolumeEngine
    let follower: Follower
    let term: Term
    let logger: Logger

    /// Of the writer lease that heads are made under.
    final class Term: Sendable {
        let value = Atomic<UInt64>(1)
    }

    var directory: String { fixture.directory + "/followed" }
    var tree: SnapshotTree { get throws { try #require(follower.trees.current) } }

    static func with(_ body: (FollowFixture) throws -> Void) throws {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        try VolumeFixture.with { fixture in
            let owner = try RootSeed.random().identityKey()
            let term = Term()
            var writing = fixture.configuration
            var checkpoints = VolumeConfiguration.Checkpoints(owner: owner)
            checkpoints.interval = .milliseconds(20)
            checkpoints.term = { term.value.load(ordering: .relaxed) }
            writing.checkpoints = checkpoints
            var reading = writing
            reading.metadataPath = fixture.directory + "/reader.db"
            reading.cacheDirectory = fixture.directory + "/reader"
            reading.mayPublish = { false }
            reading.isSuperseded = { true }
            let writer = try VolumeEngine(writing, network: fixture.network, logger: logger)
            defer { _ = try? writer.shutdown(drainSeconds: 0) }
            let reader = try VolumeEngine(reading, network: fixture.network, logger: logger)
            defer { _ = try? reader.shutdown(drainSeconds: 0) }
            let follower = try Follower(
                reader,
                directory: fixture.directory + "/followed",
                markPath: fixture.directory + "/mark",
                logger: logger
            )
            try follower.start()
            defer { follower.stop() }
            try body(
                FollowFixture(
                    fixture: fixture,
                    owner: owner,
                    writer: writer,
                    follower: follower,
                    term: term,
                    logger: logger
                )
            )
        }
    }

    func newest() throws -> VolumeHead {
        let survey = HeadRegister.newest(
            of: fixture.configuration.id,
            owner: owner.publicKey.nodeID,
            at: fixture.network
        )
        return try #require(survey.newest)
    }

    /// Waits for a head that is made without being asked for, unless none is for a while; the first
    /// one always is.
    func awaitHead() throws {
        let version = follower.status.version ?? 0
        let isFirst = (try? newest()) == nil
        let end = Clock.monotonic() + (isFirst ? .seconds(60) : .milliseconds(500))
        while Clock.monotonic() < end {
            if let head = try? newest(), head.version > version { return }
            Clock.sleep(for: .milliseconds(10))
        }
    }

    /// Follows until the newest head is shown, and returns it.
    func follow() throws -> VolumeHead {
        while true {
            try follower.refresh()
            let head = try newest()
            if follower.status.version == head.version { return head }
        }
    }

    /// The rows of the tables that readers look at, of a database that nobody has.
    static func rows(of path: String) throws -> [String: [[Value]]] {
        let database = try Database(path: path, access: .readWrite)
        var rows: [String: [[Value]]] = [:]
        let tables = ["inode", "dentry", "symlink", "file_key", "xattr", "block", "shard"]
        var selections = tables.map { ($0, "SELECT * FROM \($0)") }
        selections.append(("stripe", "SELECT id, k, m, payload_bytes, shard_bytes FROM stripe"))
        for (table, selection) in selections {
            let count = try database.query("SELECT COUNT(*) FROM pragma_table_info('\(table)')") {
                $0.integer(0)
            }
            let columns = table == "stripe" ? 5 : Int32(count[0])
            rows[table] = try database.query(selection + " ORDER BY 1, 2") { row in
                (0..<columns).map { row.value($0) }
            }
        }
        return rows
    }

    /// What is shown against what a recovery makes of the same head.
    func compare(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let head = try follow()
        let copy = fixture.directory + "/copy.db"
        let whole = fixture.directory + "/whole.db"
        for path in [copy, whole] { try WholeFile.remove(path) }
        let shown = "\(directory)/\(head.term)-\(head.version)/volume.db"
        try WholeFile.replace(copy, with: try WholeFile.read(shown))
        let recovery = VolumeRecovery(
            key: fixture.configuration.key,
            network: fixture.network,
            logger: logger
        )
        _ = try recovery.restore(try recovery.plan(head), to: whole) { _, _ in }
        let (found, expected) = (try Self.rows(of: copy), try Self.rows(of: whole))
        for (table, rows) in expected {
            let others = try #require(found[table])
            #expect(Set(others) == Set(rows), "\(table)", sourceLocation: sourceLocation)
        }
        #expect(try Directory.list(directory).count == 1, sourceLocation: sourceLocation)
    }

    func bytes(of ino: InodeNumber, in tree: SnapshotTree) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xaa, count: Int(try tree.attributes(of: ino).size))
        let count = try bytes.withUnsafeMutableBytes {
            try tree.read(ino, offset: 0, into: $0, wait: .allowed)
        }
        #expect(count == bytes.count)
        return bytes
    }
}

struct FollowerTests {
    /// Changes by a seed: a few of everything that has a table.
    private struct Changes {
        var random: SeededGenerator
        var files: [(name: String, ino: InodeNumber)] = []
        var made = 0

        mutating func apply(to engine: VolumeEngine) throws {
            made += 1
            let kind = files.isEmpty ? 0 : Int.random(in: 0..<9, using: &random)
            let index = files.isEmpty ? 0 : Int.random(in: 0..<files.count, using: &random)
            switch kind {
            case 0, 1:
                let ino = try engine.makeFile("f\(made)")
                files.append(("f\(made)", ino))
                try write(files.count - 1, engine)
            case 2, 3: try write(index, engine)
            case 4:
                try engine.unlink(EntryName(Array(files[index].name.utf8)), in: .root)
                files.remove(at: index)
            case 5:
                let size = try engine.attributes(of: files[index].ino).size
                let cut = UInt64.random(in: 0...size + 100, using: &random)
                try engine.resize(files[index].ino, to: cut)
            case 6:
                try engine.setExtendedAttribute(
                    Array("user.a\(made % 3)".utf8),
                    to: random.bytes(9),
                    mode: .set,
                    of: files[index].ino
                )
            case 7:
                let folder = NewInode(kind: .directory, mode: 0o755, uid: 0, gid: 0)
                let name = try EntryName(Array("d\(made)".utf8))
                let ino = try engine.create(folder, named: name, in: .root).ino
                _ = try engine.makeFile("inner", in: ino)
            default:
                let name = "r\(made)"
                try engine.rename(
                    EntryName(Array(files[index].name.utf8)),
                    in: .root,
                    to: EntryName(Array(name.utf8)),
                    in: .root,
                    mode: .replace,
                    wait: .allowed
                )
                files[index].name = name
            }
        }

        private mutating func write(_ index: Int, _ engine: VolumeEngine) throws {
            let count = [1, 900, 70_000, 1_300_000][Int.random(in: 0..<4, using: &random)]
            let offset = UInt64.random(in: 0..<2_000_000, using: &random)
            try engine.write(random.bytes(count), at: offset, to: files[index].ino)
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func whatIsBroughtToAHeadIsWhatTheHeadHas(seed: UInt64) throws {
        try FollowFixture.with { machines in
            var changes = Changes(random: SeededGenerator(seed: seed))
            var behind = 0
            for round in 1...15 {
                for _ in 0..<Int.random(in: 1...8, using: &changes.random) {
                    try changes.apply(to: machines.writer)
                }
                // Half of the heads are made before all bytes are placed.
                if round % 2 == 0 {
                    try machines.writer.place()
                } else {
                    try machines.awaitHead()
                }
                if round % 10 == 9 {
                    // Another mount of the writer.
                    machines.term.value.add(1, ordering: .relaxed)
                    try machines.writer.place()
                }
                if round > 1 { try machines.compare() }
                behind += machines.follower.status.behindBlocks
            }
            #expect(behind > 0)
            try machines.writer.place()
            _ = try machines.follow()
            let tree = try machines.tree
            for file in changes.files {
                let size = Int(try machines.writer.attributes(of: file.ino).size)
                let expected = try machines.writer.read(file.ino, 0..<size)
                #expect(try machines.bytes(of: file.ino, in: tree) == expected, "\(file.name)")
            }
        }
    }

    @Test func aSmallChangeCostsLittle() throws {
        try FollowFixture.with { machines in
            for number in 0..<3000 { _ = try machines.writer.makeFile("file \(number)") }
            try machines.writer.place()
            _ = try machines.follow()
            _ = machines.fixture.network.takeGets()
            let ino = try machines.writer.makeFile("one more")
            try machines.writer.place()
            _ = try machines.follow()
            #expect(try machines.tree.attributes(of: ino).size == 0)
            let bytes = machines.fixture.network.takeGets().bytes
            #expect(bytes < 64 << 10, "\(bytes)")
        }
    }

    @Test func openFilesThatAreGoneAreReadFromTheLastTreesThatHadThem() throws {
        try FollowFixture.with { machines in
            let trees = machines.follower.trees
            let count = FollowedTrees.earlierMax + 1
            let files = try (0..<count).map { number in
                let ino = try machines.writer.makeFile("\(number)")
                try machines.writer.write([UInt8(number)], at: 0, to: ino)
                return ino
            }
            try machines.writer.place()
            _ = try machines.follow()
            for (number, ino) in files.enumerated() {
                try trees.open(ino)
                try machines.writer.unlink(EntryName(Array("\(number)".utf8)), in: .root)
                try machines.writer.place()
                _ = try machines.follow()
            }
            // The first has made room for the last.
            #expect(throws: FileSystemError.self) {
                try trees.tree(of: files[0]).attributes(of: files[0])
            }
            for ino in files[1...] {
                #expect(try trees.tree(of: ino).attributes(of: ino).size == 1)
            }
            #expect(try Directory.list(machines.directory).count == 1)
            for ino in files { trees.close(ino) }
            #expect(throws: FileSystemError.self) {
                try trees.tree(of: files[1]).attributes(of: files[1])
            }
            #expect(throws: FileSystemError.self) { try trees.open(files[1]) }
        }
    }

    @Test func keepersThatAreAwayOrLieLeaveWhatIsShown() throws {
        try FollowFixture.with { machines in
            let network = machines.fixture.network
            _ = try machines.writer.makeFile("a")
            try machines.writer.place()
            let old = try machines.follow()
            _ = try machines.writer.makeFile("b")
            try machines.writer.place()
            let version = try machines.follow().version

            for keeper in network.keeperIDs { network.changeKeeper(keeper) { $0.isUp = false } }
            #expect(throws: FileSystemError.self) { try machines.follower.refresh() }
            #expect(machines.follower.status.trouble == "no keeper answers")
            #expect(machines.follower.status.version == version)

            for keeper in network.keeperIDs {
                network.changeKeeper(keeper) { keeper in
                    keeper.isUp = true
                    keeper.oldHeads[old.volume] = old
                }
            }
            #expect(throws: FileSystemError.self) { try machines.follower.refresh() }
            #expect(machines.follower.status.trouble?.contains("gone back") == true)
            #expect(machines.follower.status.version == version)
            // One that is honest is enough.
            network.changeKeeper(network.keeperIDs[1]) { $0.oldHeads = [:] }
            try machines.follower.refresh()
            #expect(machines.follower.status.trouble == nil)
        }
    }
}
