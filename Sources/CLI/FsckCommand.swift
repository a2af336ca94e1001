import ArgumentParser
import Control
import Disk
import Home
import Metadata
import Network
import Primitives
import Sealing
import Volume

struct FsckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fsck",
        abstract: "Check a volume that is not mounted, and repair it.",
        discussion: """
            Compares the metadata database row against row and the cache with it, and repairs what \
            is wrong; never asks. What is lost stays lost: reading it is an error. Exit status, \
            added up: 0 nothing wrong, 1 repaired, 4 something is left or lost, 8 could not check, \
            16 bad argument.
            """
    )

    /// Thrown when something was found; the status of `fsck(8)`.
    private struct Found: Error {
        let status: Int32
    }

    @Argument(help: "The volume's name.")
    var name: String

    @Flag(name: [.customShort("n"), .long], help: "Change nothing; tell what would be done.")
    var dryRun = false

    @Flag(
        name: [.customShort("y"), .customShort("p"), .customShort("f")],
        help: "Taken for other programs of this kind: repairs and full checks are the default."
    )
    var asAlways = false

    @Flag(help: "Also ask providers whether they hold every shard.")
    var shards = false

    @Flag(help: "Also read every shard and open every block; compare what is cached with it.")
    var deep = false

    @Option(
        help: ArgumentHelp(
            "Take the recovery phrase from a file, not this machine's key.",
            valueName: "file"
        )
    )
    var phraseIn: String?

    @OptionGroup var passphrase: PassphraseOption

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        // As fsck(8): who wants both wants nothing.
        guard !dryRun || !CommandLine.arguments.contains(where: { $0 == "-y" || $0 == "-p" }) else {
            throw ValidationError("-n changes nothing, and -y and -p do")
        }
    }

    func run() throws {
        let home = try Home()
        let lock = try VolumeDirectory.open(name, in: home).lock(mountPoint: "")
        defer { lock.release() }
        // Under the lock, for its keys may have been changed until now.
        let volume = try VolumeDirectory.open(name, in: home)
        let outcome =
            try shards || deep ? repairAll(of: volume) : repair(volume, key: .random())
        let report = FsckReport(outcome, of: volume, isDry: dryRun)
        if json { try Output.json(report) } else { report.print() }
        guard report.status == 0 else { throw Found(status: report.status) }
    }

    /// The exit status of `fsck(8)`, if it was this command that ended with `error`.
    static func exitStatus(for error: any Error) -> Int32? {
        guard CommandLine.arguments.dropFirst().first == configuration.commandName else {
            return nil
        }
        if let found = error as? Found { return found.status }
        return switch Control.ExitCode(rawValue: ControlFailure.report(error)) {
        case .ok: 0
        case .usage: 16
        default: 8
        }
    }

    // MARK: Repairing

    /// Checks with the key and the network, which is started if it is the embedded one.
    private func repairAll(of volume: VolumeDirectory) throws -> VolumeRepair.Outcome {
        let phrase = try PhraseFile.read(phraseIn)
        let keys = try volume.unlock(
            phrase: phrase,
            passphrase: phrase == nil ? try passphrase.read(for: volume) : nil
        )
        let connection = try VolumeConnection(to: volume, as: keys.identity)
        defer { connection.close() }
        return try repair(volume, key: keys.key, network: connection.network)
    }

    /// Without a network the key opens nothing and may be any.
    private func repair(
        _ volume: VolumeDirectory,
        key: VolumeKey,
        network: RemoteNetwork? = nil
    ) throws -> VolumeRepair.Outcome {
        let configuration = VolumeConfiguration(
            id: volume.id,
            name: volume.name,
            code: volume.code,
            key: key,
            metadataPath: volume.metadataPath,
            cacheDirectory: volume.cacheDirectory
        )
        var bar = ProgressBar(isTerminal: true)
        defer { bar.clear() }
        let shows = Output.isTerminal && !json
        return try VolumeRepair.run(
            configuration,
            network: network,
            deep: deep,
            isTrial: dryRun
        ) { progress in
            guard shows else { return }
            let fraction =
                progress.total > 0 ? Double(progress.done) / Double(progress.total) : 0
            bar.show(fraction: fraction, "checking: \(progress.phase.rawValue)")
        }
    }
}
