package import Metadata
package import Primitives
import Disk
import Wire

/// The kept heads of an open volume: its snapshots.
package struct KeptHeads: SnapshotSource, SnapshotKeeping {
    private let engine: VolumeEngine
    private let checkpoints: CheckpointWriter

    /// `nil` if the volume's metadata is not brought to the network.
    package init?(of engine: VolumeEngine) {
        guard let checkpoints = engine.checkpoints else { return nil }
        self.engine = engine
        self.checkpoints = checkpoints
    }

    /// The kept heads, oldest first.
    package func snapshots() throws(FileSystemError) -> [SnapshotInfo] {
        try engine.metadata.snapshots().map { row in
            var snapshot = SnapshotInfo(row)
            snapshot.lockedShare = engine.retainer?.share(of: row.version)
            return snapshot
        }
    }

    // MARK: SnapshotSource

    /// Makes the metadata database of a kept head in a directory of its own, and returns its path.
    package func materialize(
        _ version: UInt64,
        in directory: String
    ) throws(FileSystemError) -> String {
        guard let row = try engine.metadata.snapshots().first(where: { $0.version == version })
        else { throw FileSystemError(.notFound, "head \(version) is not kept") }
        let reader = CheckpointReader(engine.fetcher.blocks.reader)
        return try reader.materialize(row, in: directory) { id throws(FileSystemError) in
            try engine.metadata.placedStripe(id)
        }
    }

    /// The stripe as it is placed now.
    package func stripe(_ id: StripeID) throws(FileSystemError) -> StripeRecord {
        try engine.metadata.stripe(id)
    }

    // MARK: SnapshotKeeping

    /// Places everything that was written so far and keeps the head that names it.
    package func create(
        name: String,
        lockSeconds: Int64?
    ) throws(FileSystemError) -> SnapshotInfo {
        guard name.isEmpty || SnapshotInfo.isName(name) else {
            throw FileSystemError(.invalid, "'\(name)' is no name of a snapshot")
        }
        try engine.placeAll { _ in }
        var policy = try policy()
        if let lockSeconds { policy.lockSeconds = lockSeconds }
        let version = try checkpoints.checkpoint(
            keeping: SnapshotWish(name: name, lockedUntil: policy.lockedUntil(from: Clock.now()))
        )
        engine.retainer?.look()
        guard let made = try snapshots().first(where: { $0.version == version }) else {
            throw FileSystemError(.unavailable, "snapshot \(version) was let go of at once")
        }
        return made
    }

    /// Lets go of a head: what only it needs is deleted at the providers.
    package func delete(_ version: UInt64) throws(FileSystemError) {
        guard let snapshot = try snapshots().first(where: { $0.version == version }) else {
            throw FileSystemError(.notFound, "head \(version) is not kept")
        }
        if let until = snapshot.lockedUntil, until > Clock.now() {
            throw FileSystemError(
                .notPermitted,
                "snapshot \(snapshot.directoryName) is locked until \(until.text)"
            )
        }
        try engine.metadata.removeSnapshot(version)
    }

    /// Which heads are kept without being asked for.
    package func policy() throws(FileSystemError) -> SnapshotPolicy {
        guard let text = try engine.metadata.snapshotPolicy() else { return SnapshotPolicy() }
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 2 else {
            throw FileSystemError(.corrupt, "metadata database: snapshot policy '\(text)'")
        }
        var policy = try SnapshotPolicy(parsing: String(parts[0]))
        policy.lockSeconds = try SnapshotPolicy.lockSeconds(parsing: String(parts[1]))
        return policy
    }

    /// Keeps heads by another policy from now on.
    package func setPolicy(_ policy: SnapshotPolicy) throws(FileSystemError) {
        try engine.metadata.setSnapshotPolicy("\(policy.text) \(policy.lockText)")
        engine.snapshotKeeper?.look()
    }

    // MARK: By policy

    /// Keeps a head if one is due, and lets go of those that have had their time.
    func followPolicy() throws(FileSystemError) {
        let policy = try policy()
        let now = Clock.now()
        if policy.isDue(try snapshots(), now: now) {
            let wish = SnapshotWish(name: "", lockedUntil: policy.lockedUntil(from: now))
            _ = try checkpoints.checkpoint(keeping: wish)
            engine.retainer?.look()
        }
        guard !policy.isEmpty else { return }
        for snapshot in policy.expired(try snapshots(), now: now) {
            try engine.metadata.removeSnapshot(snapshot.version)
        }
    }
}

extension CheckpointReader {
    /// Makes the metadata database of a kept head in a directory of its own, and returns its path.
    func materialize(
        _ row: SnapshotRow,
        in directory: String,
        where whereabouts: Whereabouts
    ) throws(FileSystemError) -> String {
        let place: CheckpointPlace
        do throws(DecodeError) {
            place = try CheckpointPlace(decoding: row.contents)
        } catch {
            throw FileSystemError(
                .corrupt,
                "metadata database: snapshot \(row.version): \(error)"
            )
        }
        let index = try index(at: place, where: whereabouts)
        do throws(DiskError) {
            try Directory.make(directory)
        } catch {
            guard error.isExists else { throw FileSystemError(error) }
        }
        let path = directory + "/volume.db"
        _ = try restore(
            index,
            at: place,
            head: [],
            to: path,
            where: whereabouts,
            report: { _, _ in }
        )
        return path
    }
}

extension SnapshotInfo {
    init(_ row: SnapshotRow) {
        self.init(
            version: row.version,
            time: row.time,
            name: row.name,
            lockedUntil: row.lockedUntil
        )
    }
}
