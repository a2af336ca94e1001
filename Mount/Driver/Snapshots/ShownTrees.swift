import Control
import Disk
import FUSE
import Home
import Logging
import Primitives
import Volume

/// What a mount shows: the live volume, or what another machine makes of it, with its snapshots
/// below `.mefs` if it keeps any, or one snapshot alone.
struct ShownTrees {
    let operations: any Operations
    /// `nil` if no snapshot is shown.
    let snapshots: SnapshotAdapter?

    /// Chooses by the options and by what the volume has.
    ///
    /// - Throws: `notFound` if a snapshot is asked for that is not there.
    init(
        _ opening: VolumeOpening,
        live: any Operations,
        _ options: MountOptions,
        _ logger: Logger,
        onStart: @escaping @Sendable () -> Void
    ) throws(ControlFailure) {
        guard let source = opening.snapshotSource else {
            guard options.snapshot == nil else {
                throw ControlFailure(
                    .notFound,
                    "volume '\(opening.directory.name)' keeps no snapshots"
                )
            }
            (operations, snapshots) = (live, nil)
            return
        }
        do throws(FileSystemError) {
            let trees = try opening.engine.openSnapshots(
                of: source,
                in: opening.directory.snapshotsDirectory
            )
            var root = SnapshotAdapter.Root.live
            if let name = options.snapshot {
                root = .snapshot(try trees.snapshots(wait: .allowed).named(name))
            } else if !(try Self.hasPlace(opening)) {
                logger.notice(
                    "the volume has an entry .mefs of its own; its snapshots are not shown there"
                )
                (operations, snapshots) = (live, nil)
                return
            }
            let adapter = try Self.adapter(trees, root, opening, logger, onStart)
            operations =
                root == .live ? SnapshotRouter(live: live, snapshots: adapter) : adapter
            snapshots = adapter
        } catch {
            throw ControlFailure(error)
        }
    }

    /// Whether what is shown has no entry where the snapshots would be.
    private static func hasPlace(_ opening: VolumeOpening) throws(FileSystemError) -> Bool {
        guard let tree = opening.follower?.trees.current else {
            return try SnapshotRouter.hasPlace(in: opening.engine)
        }
        return try SnapshotRouter.hasPlace { name throws(FileSystemError) in
            _ = try tree.lookup(name, in: .root)
        }
    }

    private static func adapter(
        _ trees: SnapshotTrees,
        _ root: SnapshotAdapter.Root,
        _ opening: VolumeOpening,
        _ logger: Logger,
        _ onStart: @escaping @Sendable () -> Void
    ) throws(FileSystemError) -> SnapshotAdapter {
        do throws(DiskError) {
            return try SnapshotAdapter(
                trees,
                root: root,
                engine: opening.engine,
                controlPath: opening.directory.controlSocketPath,
                logger: logger,
                onStart: onStart
            )
        } catch {
            throw FileSystemError(error)
        }
    }
}
