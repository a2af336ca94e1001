import Disk
import FUSE
import Glibc
import Logging
import Metadata
import Mount
import Network
import Primitives
import SQLite
import Sealing
import Synchronization
import Testing
import Transport
import Volume

/// A volume mounted by this process over shards in memory, with snapshots that are copies of its
/// database.
final class SnapshotMount: Sendable {
    let volume: MountedVolume
    let engine: VolumeEngine
    let source: CopiedTrees
    let snapshots: SnapshotAdapter
    private let live: FileSystemAdapter
    private let session: Session
    private let threads: [Thread]

    /// The mounted snapshots.
    var trees: String { volume.mountPoint + "/.mefs/snapshots" }

    /// Mounts, runs `body`, and takes everything away again.
    ///
    /// `prepare` sees the engine before anything is mounted; `root` chooses what is.
    static func with(
        prepare: (VolumeEngine, CopiedTrees) throws -> Void = { _, _ in },
        root: (CopiedTrees) throws -> SnapshotAdapter.Root = { _ in .live },
        _ body: (SnapshotMount) throws -> Void
    ) throws {
        let volume = try MountedVolume.make()
        defer { volume.cleanUp() }
        let mount = try SnapshotMount(volume, prepare, root)
        defer { mount.end() }
        try body(mount)
    }

    private init(
        _ volume: MountedVolume,
        _ prepare: (VolumeEngine, CopiedTrees) throws -> Void,
        _ root: (CopiedTrees) throws -> SnapshotAdapter.Root
    ) throws {
        self.volume = volume
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let network = ShardTable()
        var configuration = VolumeConfiguration(
            id: try #require(VolumeID(bytes: SecureRandom.bytes(VolumeID.byteCount))),
            name: "test",
            code: try #require(ErasureCode("4+2")),
            key: .random(),
            metadataPath: volume.root + "/volume.db",
            cacheDirectory: volume.root + "/cache"
        )
        configuration.dirtyAgeSeconds = 3600
        engine = try VolumeEngine(configuration, network: network, logger: logger)
        source = try CopiedTrees(in: volume.root + "/copies")
        try prepare(engine, source)
        let trees = try engine.openSnapshots(of: source, in: volume.root + "/snapshots")
        live = try FileSystemAdapter(
            engine,
            controlPath: "/none",
            accessTimes: .relative,
            directoryAccessTimes: .relative,
            logger: logger
        )
        let shown = try root(source)
        snapshots = try SnapshotAdapter(
            trees,
            root: shown,
            engine: engine,
            controlPath: "/none",
            logger: logger
        )
        let operations: any Operations =
            switch shown {
            case .snapshot: snapshots
            case .live where try SnapshotRouter.hasPlace(in: engine):
                SnapshotRouter(live: live, snapshots: snapshots)
            case .live: live
            }
        session = try Session(
            operations,
            options: Session.Options(
                mountOptions: ["default_permissions", "allow_other", "fsname=mefs-test", "dev"],
                processorCount: 2,
                passesThrough: Machine.mountOptions.isEmpty
            )
        )
        try session.mount(at: volume.mountPoint)
        live.attach(session)
        let session = session
        threads = try (0..<2).map { number in
            try Thread.spawn("fuse-\(number)") { _ = session.serve() }
        }
    }

    private func end() {
        // Detached, so that a program of a failed test does not keep it.
        umount2(volume.mountPoint, Int32(MNT_DETACH))
        for thread in threads { thread.join() }
        live.close()
        snapshots.close()
        session.unmount()
        _ = try? engine.shutdown(drainSeconds: 0)
    }

    /// Places what was written and keeps a copy of the database.
    @discardableResult
    func keep(_ version: UInt64, name: String = "") throws -> SnapshotInfo {
        #expect(try volume.run("/bin/sync", ["-f", volume.mountPoint]).code == 0)
        try engine.syncToNetwork { _ in }
        let made = try source.keep(engine, version: version, name: name)
        snapshots.trees.noteChange()
        return made
    }

    /// Runs a Python program in the root of the mount, with the directory of the snapshots as
    /// `trees`.
    func runs(
        _ program: String,
        in directory: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let ended = try volume.python(
            Program.prelude + Program.promises + "trees = sys.argv[3]\n" + program,
            in: volume.mountPoint + directory,
            ["\(getpid())", volume.root, trees]
        )
        #expect(ended.code == 0, "\(ended.output)", sourceLocation: sourceLocation)
    }

    /// Runs a shell program in the root of the mount.
    @discardableResult
    func shell(
        _ program: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> String {
        let ended = try volume.run(
            "/usr/bin/env",
            ["-C", volume.mountPoint, "/bin/sh", "-ec", program]
        )
        #expect(ended.code == 0, "\(ended.output)", sourceLocation: sourceLocation)
        return ended.output
    }
}

/// Snapshots made of copies of a volume's database.
final class CopiedTrees: SnapshotSource {
    private let directory: String
    private let kept = Mutex<[UInt64: (snapshot: SnapshotInfo, stripes: MetadataSnapshot)]>([:])
    /// Time of the first snapshot; each is as many seconds later as its version says.
    static let began: Int64 = 1_795_418_092

    init(in directory: String) throws {
        self.directory = directory
        try Directory.make(directory, durably: false)
    }

    @discardableResult
    func keep(
        _ engine: VolumeEngine,
        version: UInt64,
        name: String = ""
    ) throws -> SnapshotInfo {
        try engine.syncDirectory(.root, wait: .allowed)
        for suffix in ["", ".stripes"] {
            try Database(path: engine.configuration.metadataPath, access: .readWrite)
                .execute("VACUUM INTO ?", .text("\(directory)/\(version).db\(suffix)"))
        }
        let snapshot = SnapshotInfo(
            version: version,
            time: Timestamp(seconds: Self.began + Int64(version), nanoseconds: 0),
            name: name,
            lockedUntil: nil
        )
        let stripes = try MetadataSnapshot(opening: "\(directory)/\(version).db.stripes")
        kept.withLock { $0[version] = (snapshot, stripes) }
        return snapshot
    }

    func delete(_ version: UInt64) { kept.withLock { $0[version] = nil } }

    func snapshots() throws(FileSystemError) -> [SnapshotInfo] {
        kept.withLock { $0.values.map(\.snapshot) }.sorted { $0.version < $1.version }
    }

    func materialize(
        _ version: UInt64,
        in target: String
    ) throws(FileSystemError) -> String {
        do throws(DiskError) {
            let bytes = try WholeFile.read("\(directory)/\(version).db", limit: 1 << 30)
            try WholeFile.replace(target + "/tree.db", with: bytes)
        } catch {
            throw FileSystemError(error)
        }
        return target + "/tree.db"
    }

    func stripe(_ id: StripeID) throws(FileSystemError) -> StripeRecord {
        for stripes in kept.withLock({ $0.values.map(\.stripes) }) {
            if let record = try? stripes.stripe(id) { return record }
        }
        throw FileSystemError(.notFound, "stripe \(id.short) is gone")
    }
}

/// Six providers in memory that delete nothing.
private final class ShardTable: StorageNetwork {
    private let ids = (UInt8(1)...6).compactMap { NodeID(bytes: SHA256.digest([$0]).bytes) }
    private let shards = Mutex<[ShardID: [UInt8]]>([:])

    func providers() throws(NetworkError) -> [ProviderRecord] {
        guard let address = NodeAddress("127.0.0.1:1") else {
            throw NetworkError(.malformed, "address")
        }
        return ids.map { id in
            ProviderRecord(
                id: id,
                address: address,
                domain: id.hex,
                capacityBytes: 1 << 40,
                usedBytes: 0,
                isUp: true,
                lastSeen: .epoch
            )
        }
    }

    func put(
        _ shard: ShardID,
        to provider: NodeID,
        bytes: UnsafeRawBufferPointer,
        root: Digest
    ) -> Pending<Void> {
        let copy = Array(bytes)
        shards.withLock { $0[shard] = copy }
        return Pending(.success(()))
    }

    func get(
        _ shard: ShardID,
        from provider: NodeID,
        offset: Int,
        count: Int
    ) -> Pending<[UInt8]> {
        guard let bytes = shards.withLock({ $0[shard] }), offset + count <= bytes.count else {
            return Pending(.failure(NetworkError(.notFound, "no such shard")))
        }
        return Pending(.success(Array(bytes[offset..<offset + count])))
    }

    func delete(_ shards: [ShardID], from provider: NodeID) -> Pending<Void> {
        Pending(.success(()))
    }

    func ask<Q: ProviderQuery>(_ query: Q, of provider: NodeID) -> Pending<Q.Answer> {
        Pending(.failure(NetworkError(.refused, "providers in memory keep shards only")))
    }

    func ask<Q: KeeperQuery>(_ query: Q) -> Pending<Q.Answer> {
        Pending(.failure(NetworkError(.unreachable, "there is no keeper")))
    }
}
