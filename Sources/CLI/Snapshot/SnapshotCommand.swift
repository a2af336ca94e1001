import ArgumentParser
import Control
import Home
import Primitives
import Volume

struct SnapshotCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot",
        abstract: "Keep trees of a mounted volume as they were, and let go of them.",
        discussion: "They are read below .mefs/snapshots in the root of the mounted volume.",
        subcommands: [List.self, Create.self, Delete.self, Policy.self]
    )

    /// Connects to the mount process of the volume that `place` names: a path in a mounted volume,
    /// or else the name of one.
    static func client(of place: String) throws -> ControlClient {
        do throws(ControlFailure) {
            return try ControlClient(mountHolding: place)
        } catch {
            guard error.code == .notFound, !place.contains("/"),
                let directory = try? VolumeDirectory.open(place, in: try Home())
            else { throw error }
            return try ControlClient(path: directory.controlSocketPath)
        }
    }

    static func row(_ snapshot: SnapshotRecord) -> [String] {
        [
            snapshot.time, snapshot.name.isEmpty ? "-" : snapshot.name, "\(snapshot.version)",
            snapshot.lockedUntil ?? "-", snapshot.directory,
        ]
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the snapshots of a mounted volume, the oldest first."
        )

        @Argument(help: "The mount point, anything below it, or the volume's name.")
        var volume: String

        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            let snapshots = try SnapshotCommand.client(of: volume).snapshots()
            if json { return try Output.json(Report(snapshots: snapshots)) }
            Output.table(
                [["time", "name", "version", "locked until", "directory"]]
                    + snapshots.map(SnapshotCommand.row)
            )
        }

        private struct Report: Encodable {
            let snapshots: [SnapshotRecord]
        }
    }

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Place everything written so far and keep it as a snapshot."
        )

        @Argument(help: "The mount point, anything below it, or the volume's name.")
        var volume: String

        @Option(help: "A name; named snapshots stay until they are deleted.")
        var name: String?

        @Flag(help: "Print JSON.")
        var json = false

        func validate() throws {
            guard name.map(SnapshotInfo.isName) ?? true else {
                throw ValidationError(
                    "--name takes up to \(SnapshotInfo.nameBytesMax) letters, digits, '.', '_' or"
                        + " '-', a letter first"
                )
            }
        }

        func run() throws {
            let made = try SnapshotCommand.client(of: volume).createSnapshot(name: name ?? "")
            if json { return try Output.json(made) }
            Output.line("made \(made.directory)")
        }
    }

    struct Delete: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let go of a snapshot: what only it needs is deleted at the providers."
        )

        @Argument(help: "The mount point, anything below it, or the volume's name.")
        var volume: String

        @Argument(help: "Its time, name, directory or version, as 'list' shows them.")
        var snapshot: String

        func run() throws {
            try SnapshotCommand.client(of: volume).deleteSnapshot(snapshot)
        }
    }

    struct Policy: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show or change which snapshots are made and kept without being asked for.",
            discussion: """
                One of each of the last so many hours, days, weeks and months is kept, the newest. \
                Named snapshots are never let go of by the policy, locked ones by nobody.
                """
        )

        @Argument(help: "The mount point, anything below it, or the volume's name.")
        var volume: String

        @Option(help: ArgumentHelp("What to keep, or none.", valueName: "24h,7d,4w,12m"))
        var keep: String?

        @Option(
            help: ArgumentHelp("How long new ones cannot be deleted, or none.", valueName: "30d")
        )
        var lock: String?

        @Flag(help: "Print JSON.")
        var json = false

        func validate() throws {
            do throws(FileSystemError) {
                if let keep { _ = try SnapshotPolicy(parsing: keep) }
                if let lock { _ = try SnapshotPolicy.lockSeconds(parsing: lock) }
            } catch {
                throw ValidationError(error.message)
            }
        }

        func run() throws {
            let change = SnapshotRules.Change(keep: keep, lock: lock)
            let rules = try SnapshotCommand.client(of: volume).changeSnapshotRules(change)
            if json { return try Output.json(rules) }
            Output.table([["keep", rules.keep], ["lock", rules.lock]])
        }
    }
}
