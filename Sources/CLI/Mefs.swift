import ArgumentParser
import Control
import Disk
import Glibc

/// The command `mefs` and all that stands below it.
struct Mefs: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mefs",
        abstract: "A directory whose files live, encrypted, on many disks.",
        discussion: """
            Mount a volume with mount.mefs; all state lives under MEFS_HOME (default: the XDG data \
            directory, /var/lib/mefs for root).
            """,
        version: Version.text,
        subcommands: [
            VolumeCommand.self, VolumeRecoverCommand.self, KeyCommand.self, StatusCommand.self,
            SyncCommand.self, WaitCommand.self, AuditCommand.self, SnapshotCommand.self,
            CloneCommand.self, CacheCommand.self, GarbageCommand.self, FsckCommand.self,
            NetworkCommand.self, ProviderCommand.self, KeeperCommand.self, VersionCommand.self,
        ]
    )
}

/// The process's entry: parses, runs, and turns every error into one line and an exit code.
@main
enum EntryPoint {
    static func main() {
        ProcessSecrecy.begin()
        // A closed pipe or connection is an error of the write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try Mefs.parseAsRoot()
            try command.run()
        } catch {
            exit(FsckCommand.exitStatus(for: error) ?? ControlFailure.report(error))
        }
    }
}
