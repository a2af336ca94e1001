import Disk
import Metadata
import Primitives
import SQLite
import Synchronization
import Volume

/// Snapshots made of copies of a live volume's database.
final class CopiedSnapshots: SnapshotSource {
    private struct Kept {
        let snapshot: SnapshotInfo
        let stripes: MetadataSnapshot
    }

    private struct State {
        var kept: [UInt64: Kept] = [:]
        /// Where shards are now that were elsewhere when the copy was made.
        var moves: [NodeID: NodeID] = [:]
        var materialized = 0
        var hasLostStripes = false
    }

    private let directory: String
    private let state = Mutex(State())

    init(in directory: String) throws {
        self.directory = directory
        try Directory.make(directory, durably: false)
    }

    /// Keeps the volume as it is now; what is not committed yet is.
    @discardableResult
    func keep(
        _ engine: VolumeEngine,
        version: UInt64,
        name: String = ""
    ) throws -> SnapshotInfo {
        try engine.syncDirectory(.root, wait: .allowed)
        let path = "\(directory)/\(version).db"
        try Database(path: engine.configuration.metadataPath, access: .readWrite)
            .execute("VACUUM INTO ?", .text(path))
        return try keep(copy: path, version: version, name: name)
    }

    /// Keeps what a copy has that lies at `path`.
    func keep(copy path: String, version: UInt64, name: String = "") throws -> SnapshotInfo {
        let other = path + ".stripes"
        for suffix in ["", "-wal"] where WholeFile.exists(path + suffix) {
            try WholeFile.replace(
                other + suffix,
                with: WholeFile.read(path + suffix, limit: 1 << 30)
            )
        }
        let snapshot = SnapshotInfo(
            version: version,
            time: Timestamp(seconds: 1_795_418_092 + Int64(clamping: version), nanoseconds: 0),
            name: name,
            lockedUntil: nil
        )
        let kept = Kept(snapshot: snapshot, stripes: try MetadataSnapshot(opening: other))
        state.withLock { $0.kept[version] = kept }
        return snapshot
    }

    func delete(_ version: UInt64) { state.withLock { $0.kept[version] = nil } }

    /// Tells from now on that what `old` held is with `new`.
    func move(from old: NodeID, to new: NodeID) { state.withLock { $0.moves[old] = new } }

    func loseStripes() { state.withLock { $0.hasLostStripes = true } }

    /// How often a database was made.
    var materialized: Int { state.withLock { $0.materialized } }

    // MARK: SnapshotSource

    func snapshots() throws(FileSystemError) -> [SnapshotInfo] {
        state.withLock { $0.kept.values.map(\.snapshot) }.sorted { $0.version < $1.version }
    }

    func materialize(
        _ version: UInt64,
        in target: String
    ) throws(FileSystemError) -> String {
        let isKept = state.withLock { state in
            state.materialized += 1
            return state.kept[version] != nil
        }
        guard isKept else { throw FileSystemError(.notFound, "snapshot \(version) is not kept") }
        do throws(DiskError) {
            for suffix in ["", "-wal"] {
                let path = "\(directory)/\(version).db\(suffix)"
                guard WholeFile.exists(path) else { continue }
                try WholeFile.replace(
                    "\(target)/volume.db\(suffix)",
                    with: try WholeFile.read(path, limit: 1 << 30)
                )
            }
        } catch {
            throw FileSystemError(error)
        }
        return target + "/volume.db"
    }

    func stripe(_ id: StripeID) throws(FileSystemError) -> StripeRecord {
        let (kept, moves, isLost) = state.withLock {
            ($0.kept.values.map(\.stripes), $0.moves, $0.hasLostStripes)
        }
        for stripes in kept where !isLost {
            guard let record = try? stripes.stripe(id) else { continue }
            return StripeRecord(
                id: id,
                code: record.code,
                payloadBytes: record.payloadBytes,
                shardBytes: record.shardBytes,
                shards: record.shards.map { shard in
                    ShardRecord(
                        index: shard.index,
                        shard: shard.shard,
                        provider: moves[shard.provider] ?? shard.provider,
                        root: shard.root
                    )
                }
            )
        }
        throw FileSystemError(.notFound, "stripe \(id.short) is gone")
    }
}
