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
            lock(of: snapshot), snapshot.directory,
        ]
    }

    /// Such as "until 2026-12-24T12:00:00Z", or "locking: 61 %" while too few have promised.
    static func lock(of snapshot: SnapshotRecord) -> String {
        guard let until = snapshot.lockedUntil else { return "-" }
        guard let share = snapshot.lockedShare, share < 1 else { return "until \(until)" }
        return "locking: \(Int(share * 100)) %"
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
                [["time", "name", "version", "locked", "directory"]]
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

        @Option(
            help: ArgumentHelp(
                "How long nobody can delete it, or none; default: what the policy says.",
                valueName: "30d"
            )
        )
        var lock: String?

        @Flag(help: "Print JSON.")
        var json = false

        func validate() throws {
            guard name.map(SnapshotInfo.isName) ?? true else {
                throw ValidationError(
                    "--name takes up to \(SnapshotInfo.nameBytesMax) letters, digits, '.', '_' or"
                        + " '-', a letter first"
                )
            }
            do throws(FileSystemError) {
                if let lock { _ = try SnapshotPolicy.lockSeconds(parsing: lock) }
            } catch {
                throw ValidationError(error.message)
            }
        }

        func run() throws {
            let made = try SnapshotCommand.client(of: volume).createSnapshot(
                name: name ?? "",
                lock: lock
            )
            if json { return try Output.json(made) }
            Output.line("made \(made.directory)")
            guard made.lockedUntil != nil else { return }
            Output.line("it is being locked; 'mefs snapshot list' says when it is")
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
