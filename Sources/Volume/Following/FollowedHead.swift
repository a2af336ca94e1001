import Disk
import Metadata
import Network
import Primitives
import Sealing

/// A head that is followed: its tree, and what is needed to bring its database to a later head.
struct FollowedHead: Sendable {
    let mark: HeadMark
    let tree: SnapshotTree
    /// The last row of the journal that the base has, and the last of all pieces.
    let base: Int64
    let through: Int64
    /// Blocks of which the head has an older version or none.
    let behindBlocks: Int
    /// What was set right in the database for its readers.
    let settled: FollowedRows
    /// Inodes that are not as in the head before; `nil` for any.
    let changed: Set<InodeNumber>?
}

/// Makes trees of heads, in directories of their own.
struct FollowedHeadLoader: Sendable {
    let engine: VolumeEngine
    /// For the trees' directories; exists.
    let directory: String

    /// Makes the tree of `head`; of what changed since `previous` if that can be, else of all.
    ///
    /// Fetches from the network.
    ///
    /// - Throws: `unavailable` if too few providers answer, which may be because a newer head has
    ///   let the pieces of this one go; `corrupt`.
    func load(
        _ head: VolumeHead,
        after previous: FollowedHead?
    ) throws(FileSystemError) -> FollowedHead {
        let reader = CheckpointReader(engine.fetcher.blocks.reader)
        let key = engine.configuration.key
        let place = try HeadBody.open(head.body, key: key.checkpointKey)
        let index = try reader.index(at: place) { _ in nil }
        guard index.version == head.version else {
            throw FileSystemError(
                .corrupt,
                "head \(head.version) has the index of head \(index.version)"
            )
        }
        let path = "\(directory)/\(head.term)-\(head.version)"
        do throws(FileSystemError) {
            try Self.onDisk { () throws(DiskError) in
                try Directory.remove(tree: path)
                try Directory.make(path, durably: false)
            }
            let made = try reader.follow(
                index,
                at: place,
                after: previous.flatMap { Self.begins(index, head, after: $0) ? $0 : nil },
                to: path + "/volume.db"
            )
            let metadata = try MetadataSnapshot(opening: path + "/volume.db")
            let tree = SnapshotTree(
                SnapshotInfo(version: head.version, time: head.time, name: "", lockedUntil: nil),
                directory: path,
                metadata: metadata,
                source: FollowedStripes(metadata: metadata, reader: reader),
                fetcher: engine.fetcher
            )
            return FollowedHead(
                mark: HeadMark(head),
                tree: tree,
                base: index.baseEnd,
                through: index.through,
                behindBlocks: index.behind.count,
                settled: made.settled,
                changed: made.changed
            )
        } catch {
            try? Directory.remove(tree: path)
            throw error
        }
    }

    /// Whether the pieces that a head adds to an earlier one make its rows of the earlier one's.
    ///
    /// One writer goes on with one journal under one term. Under another one, rows of the earlier
    /// head may never have happened; and what was repaired between two mounts is in a new base.
    private static func begins(
        _ index: CheckpointIndex,
        _ head: VolumeHead,
        after previous: FollowedHead
    ) -> Bool {
        head.term == previous.mark.term && head.term > 0 && index.baseEnd == previous.base
            && index.through >= previous.through
    }

    static func onDisk(_ body: () throws(DiskError) -> Void) throws(FileSystemError) {
        do throws(DiskError) {
            try body()
        } catch {
            throw FileSystemError(error)
        }
    }
}

extension CheckpointIndex {
    /// The last row of the journal in the base.
    var baseEnd: Int64 { pieces.first?.last ?? 0 }
    /// The last row of the journal in all of it.
    var through: Int64 { pieces.last?.last ?? 0 }
}

extension CheckpointReader {
    /// Makes the database of a head at `path`, for reading alone: of a copy of the head's that was
    /// followed before and the pieces that came since, or of all pieces.
    func follow(
        _ index: CheckpointIndex,
        at place: CheckpointPlace,
        after previous: FollowedHead?,
        to path: String
    ) throws(FileSystemError) -> (settled: FollowedRows, changed: Set<InodeNumber>?) {
        let stripes = place.stripes + index.stripes
        let known = Dictionary(stripes.map { ($0.manifest.id, $0.record) }) { _, last in last }
        let database =
            if let previous {
                try RestoredDatabase(
                    copying: previous.tree.metadata.path,
                    undoing: previous.settled,
                    to: path
                )
            } else {
                try RestoredDatabase(at: path)
            }
        for piece in index.pieces where piece.last > previous?.through ?? -1 {
            for location in piece.parts {
                let part = try read(location, known) { _ in nil }
                // Its readers need no journal.
                try database.apply(part, ofBase: true)
            }
            try database.endPiece(first: piece.first, last: piece.last)
        }
        let made = try database.finishFollowing(
            stripes: Array(known.values),
            behind: index.behind,
            snapshot: index.kept?.row(index.version, index.time, place.index)
        )
        return previous == nil ? (made.settled, nil) : made
    }
}

/// What the database of a followed head tells of stripes and of the heads that were kept by then.
struct FollowedStripes: SnapshotSource {
    let metadata: MetadataSnapshot
    let reader: CheckpointReader

    func snapshots() throws(FileSystemError) -> [SnapshotInfo] {
        try metadata.snapshots().map { SnapshotInfo($0) }
    }

    func materialize(
        _ version: UInt64,
        in directory: String
    ) throws(FileSystemError) -> String {
        guard let row = try metadata.snapshots().first(where: { $0.version == version }) else {
            throw FileSystemError(.notFound, "head \(version) is not kept")
        }
        return try reader.materialize(row, in: directory) { id throws(FileSystemError) in
            do throws(FileSystemError) {
                return try metadata.stripe(id)
            } catch {
                guard error.code == .notFound else { throw error }
                return nil
            }
        }
    }

    func stripe(_ id: StripeID) throws(FileSystemError) -> StripeRecord {
        try metadata.stripe(id)
    }
}
