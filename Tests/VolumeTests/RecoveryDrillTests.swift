import Disk
import Logging
import Metadata
import Network
import Primitives
import Sealing
import Synchronization
import Testing
import Volume

/// The files of an open engine, as a mount would give them.
private final class EngineTree: LiveTree {
    let engine: VolumeEngine
    /// Called before a file is looked for.
    let before: @Sendable () -> Void
    /// Whether all bytes read are wrong.
    let lies: Bool

    init(_ engine: VolumeEngine, lies: Bool = false, before: @escaping @Sendable () -> Void = {}) {
        self.engine = engine
        self.lies = lies
        self.before = before
    }

    func file(at path: [EntryName]) -> (any LiveFile)? {
        before()
        var ino = InodeNumber.root
        for name in path {
            guard let found = try? engine.lookup(name, in: ino) else { return nil }
            ino = found.ino
        }
        return EngineFile(engine: engine, ino: ino, lies: lies)
    }
}

private struct EngineFile: LiveFile {
    let engine: VolumeEngine
    let ino: InodeNumber
    let lies: Bool

    var state: LiveFileState? {
        (try? engine.attributes(of: ino)).map {
            LiveFileState(size: $0.size, modified: $0.modified)
        }
    }

    func read(at offset: UInt64, count: Int) -> [UInt8]? {
        var bytes = try? engine.read(ino, Int(offset)..<Int(offset) + count)
        if lies, bytes?.isEmpty == false { bytes?[0] ^= 1 }
        return bytes
    }
}

/// True once.
private final class Flag: Sendable {
    private let isTaken = Atomic(false)

    func take() -> Bool { !isTaken.exchange(true, ordering: .relaxed) }
}

/// An open engine whose heads are registered, and drills of it.
private struct DrillFixture {
    let fixture: VolumeFixture
    let owner: SigningKey
    let engine: VolumeEngine
    var network: MemoryNetwork { fixture.network }

    static func with(_ body: (DrillFixture) throws -> Void) throws {
        try VolumeFixture.with { fixture in
            let owner = try RootSeed.random().identityKey()
            var configuration = fixture.configuration
            var checkpoints = VolumeConfiguration.Checkpoints(owner: owner)
            checkpoints.interval = .milliseconds(20)
            configuration.checkpoints = checkpoints
            let fixture = VolumeFixture(
                directory: fixture.directory,
                network: fixture.network,
                configuration: configuration
            )
            try fixture.open { engine in
                try body(DrillFixture(fixture: fixture, owner: owner, engine: engine))
            }
        }
    }

    /// Makes files of many sizes, some in directories, one with holes, and places them.
    func fill() throws -> Int {
        var random = SeededGenerator(seed: 5)
        let sizes = [0, 1, 700, 70_000, 1 << 20, (1 << 20) + 1, 3_300_000, 20 << 20]
        var folder = InodeNumber.root
        for (number, size) in sizes.enumerated() {
            let owner = NewInode(kind: .directory, mode: 0o755, uid: 0, gid: 0)
            let name = try EntryName(Array("d\(number)".utf8))
            folder = try engine.create(owner, named: name, in: folder).ino
            let file = try engine.makeFile("f\(number)", in: folder)
            if size > 0 { try engine.write(random.bytes(size), at: 0, to: file) }
        }
        let sparse = try engine.makeFile("sparse")
        try engine.write([1, 2, 3], at: 5 << 20, to: sparse)
        try engine.place()
        return sizes.count + 1
    }

    func drill(
        live: (any LiveTree)?,
        sample: Int = RecoveryDrill.sampleDefault
    ) throws -> DrillReport {
        let directory = fixture.directory + "/drill"
        try Directory.make(directory)
        defer { try? Directory.remove(tree: directory) }
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let drill = RecoveryDrill(
            of: fixture.configuration.id,
            owner: owner.publicKey.nodeID,
            key: fixture.configuration.key,
            network: network,
            logger: logger
        )
        return try drill.run(in: directory, sample: sample, live: live) { _ in }
    }

    func newestVersion() -> UInt64 {
        HeadRegister.newest(
            of: fixture.configuration.id,
            owner: owner.publicKey.nodeID,
            at: network
        ).newest?.version ?? 0
    }
}

@Suite(.serialized)
struct RecoveryDrillTests {
    @Test func everyFileDrawnIsWhatTheVolumeHas() throws {
        try DrillFixture.with { fixture in
            let count = try fixture.fill()
            let report = try fixture.drill(live: EngineTree(fixture.engine))
            #expect(report.isRight && report.sampled == count && report.equal == count)
            #expect(report.survey.current == 3 && report.version == fixture.newestVersion())
            // Of the largest file a window is read.
            #expect(report.bytesRead > 20 << 20 && report.bytesRead < 40 << 20)
            #expect(report.firstFileSeconds ?? 0 >= report.metadataSeconds)
            #expect(report.providers.isEmpty && report.behindFiles == 0)
            let few = try fixture.drill(live: EngineTree(fixture.engine), sample: 3)
            #expect(few.sampled == 3 && few.equal == 3)
        }
    }

    @Test func withoutAMountTagsAreChecked() throws {
        try DrillFixture.with { fixture in
            let count = try fixture.fill()
            let report = try fixture.drill(live: nil)
            #expect(report.isRight && report.checked == count && report.equal == 0)
        }
    }

    @Test func wrongBytesAreToldAndChangedFilesAreNot() throws {
        try DrillFixture.with { fixture in
            let count = try fixture.fill()
            let wrong = try fixture.drill(live: EngineTree(fixture.engine, lies: true))
            // The empty file has no bytes to be wrong.
            #expect(!wrong.isRight && wrong.different.count == count - 1 && wrong.equal == 1)
            let paths = wrong.different.map(\.path)
            #expect(paths.contains("/sparse") && paths.contains("/d0/d1/f1"))
            #expect(wrong.different.allSatisfy { $0.error.code == .corrupt })

            // Not placed: the drill meets a head without it.
            for keeper in fixture.network.keeperIDs {
                fixture.network.changeKeeper(keeper) { $0.oldHeads = $0.heads }
            }
            try fixture.engine.write([9], at: 0, to: fixture.engine.find("sparse"))
            let changed = try fixture.drill(live: EngineTree(fixture.engine))
            #expect(changed.isRight && changed.changed == 1 && changed.equal == count - 1)
        }
    }

    @Test func aKeeperThatGivesAnOldHeadIsNamed() throws {
        try DrillFixture.with { fixture in
            _ = try fixture.fill()
            let liar = try #require(fixture.network.keeperIDs.first)
            let old = fixture.newestVersion()
            fixture.network.changeKeeper(liar) { $0.oldHeads = $0.heads }
            _ = try fixture.engine.makeFile("new")
            try fixture.engine.place()
            let report = try fixture.drill(live: EngineTree(fixture.engine))
            #expect(report.isRight && report.version > old)
            let finding = report.survey.findings.first { $0.keeper == liar }?.finding
            #expect(finding == .behind(old))
        }
    }

    @Test func twoBadProvidersAreNamedAndThreeAreTooMany() throws {
        try DrillFixture.with { fixture in
            let count = try fixture.fill()
            let ids = fixture.network.ids
            fixture.network.rot(ids[0]) { $0 / 2 }
            fixture.network.change(ids[1]) { $0.isUp = false }
            let report = try fixture.drill(live: nil)
            #expect(report.isRight && report.checked == count)
            #expect(report.providers.map(\.provider) == [ids[1]])
            fixture.network.change(ids[2]) { $0.isUp = false }
            fixture.network.change(ids[3]) { $0.isUp = false }
            #expect(throws: FileSystemError.self) { try fixture.drill(live: nil) }
        }
    }

    @Test func filesWhoseBytesAreOnlyHereAreBehind() throws {
        try DrillFixture.with { fixture in
            let count = try fixture.fill()
            let file = try fixture.engine.makeFile("late")
            try fixture.engine.write([UInt8](repeating: 7, count: 5000), at: 0, to: file)
            try fixture.engine.syncDirectory(.root, wait: .allowed)
            // The first head after it may have the name alone.
            let tree = EngineTree(fixture.engine)
            var report = try fixture.drill(live: tree)
            try waitUntil {
                report = try fixture.drill(live: tree)
                return report.behindFiles == 1
            }
            #expect(report.isRight && report.behind == 1 && report.equal == count)
        }
    }

    @Test func stripesThatGoMeanwhileAreNoFailure() throws {
        try DrillFixture.with { fixture in
            let count = try fixture.fill()
            let engine = fixture.engine
            let isFirst = Flag()
            let tree = EngineTree(engine) {
                guard isFirst.take() else { return }
                // All that the drill's head names goes.
                do {
                    let before = fixture.network.storedBytes
                    for number in 0..<8 { try engine.resize(engine.walk(number), to: 0) }
                    try engine.resize(engine.find("sparse"), to: 0)
                    try engine.place()
                    try waitUntil { fixture.network.storedBytes < before / 4 }
                } catch {
                    Issue.record(error)
                }
            }
            let report = try fixture.drill(live: tree)
            #expect(report.isRight && report.unreadable.isEmpty, "\(report.unreadable)")
            #expect(report.sampled == count && report.changed >= count - 1)
        }
    }
}

extension VolumeEngine {
    /// The file at the end of `/d0/d1/…/dN/fN`.
    fileprivate func walk(_ number: Int) throws -> InodeNumber {
        var folder = InodeNumber.root
        for level in 0...number { folder = try find("d\(level)", in: folder) }
        return try find("f\(number)", in: folder)
    }
}
