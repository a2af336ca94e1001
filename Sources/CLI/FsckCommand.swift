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
        abstract: "Check a volume that is not mounted; nothing is changed.",
        discussion: """
            Compares the metadata database row against row and the cache with it. It repairs \
            nothing yet. Exit status: 0 nothing found, 4 something found, 8 could not check, 16 \
            bad argument.
            """
    )

    /// Thrown when the check ran and found something.
    private struct Found: Error {}

    @Argument(help: "The volume's name.")
    var name: String

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

    func run() throws {
        let home = try Home()
        let lock = try VolumeDirectory.open(name, in: home).lock(mountPoint: "")
        defer { lock.release() }
        // Under the lock, for its keys may have been changed until now.
        let volume = try VolumeDirectory.open(name, in: home)
        let report = try shards || deep ? checkAll(of: volume) : check(volume, key: .random())
        try print(report, of: volume)
        guard report.isClean else { throw Found() }
    }

    /// The exit status of `fsck(8)`, if it was this command that ended with `error`.
    static func exitStatus(for error: any Error) -> Int32? {
        guard CommandLine.arguments.dropFirst().first == configuration.commandName else {
            return nil
        }
        if error is Found { return 4 }
        return switch Control.ExitCode(rawValue: ControlFailure.report(error)) {
        case .ok: 0
        case .usage: 16
        default: 8
        }
    }

    // MARK: Checking

    /// Checks with the key and the network, which is started if it is the embedded one.
    private func checkAll(of volume: VolumeDirectory) throws -> CheckReport {
        let phrase = try PhraseFile.read(phraseIn)
        let keys = try volume.unlock(
            phrase: phrase,
            passphrase: phrase == nil ? try passphrase.read(for: volume) : nil
        )
        let connection = try VolumeConnection(to: volume, as: keys.identity)
        defer { connection.close() }
        return try check(volume, key: keys.key, network: connection.network)
    }

    /// Without a network the key opens nothing and may be any.
    private func check(
        _ volume: VolumeDirectory,
        key: VolumeKey,
        network: RemoteNetwork? = nil
    ) throws -> CheckReport {
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
        return try VolumeCheck.run(configuration, network: network, deep: deep) { progress in
            guard shows else { return }
            let fraction =
                progress.total > 0 ? Double(progress.done) / Double(progress.total) : 0
            bar.show(fraction: fraction, "checking: \(progress.phase.rawValue)")
        }
    }

    // MARK: Printing

    private func print(_ report: CheckReport, of volume: VolumeDirectory) throws {
        if json { return try Output.json(FsckReport(report, of: volume)) }
        for finding in report.findings { Output.line("\(finding)") }
        let hidden = report.findingCount - UInt64(report.findings.count)
        if hidden > 0 { Output.line("and \(Readable.count(hidden)) more of these kinds") }
        for note in report.notes { Output.line("note: \(note.text)") }
        Output.line(
            "\(volume.name): \(Readable.count(report.inodes)) inodes,"
                + " \(Readable.count(report.entries)) entries,"
                + " \(Readable.count(report.blocks)) placed blocks,"
                + " \(Readable.count(report.dirtyBlocks)) changed,"
                + " \(Readable.count(report.stripes)) stripes,"
                + " \(Readable.count(report.cacheFiles)) cache files"
                + (report.shardsSeen > 0
                    ? ", \(Readable.count(report.shardsSeen)) shards seen" : "")
        )
        Output.line(
            report.isClean
                ? "\(volume.name): nothing wrong found"
                : "\(volume.name): \(Readable.count(report.findingCount)) findings; nothing was"
                    + " changed, see mefs-fsck(8)"
        )
    }
}

/// What `mefs fsck --json` prints.
private struct FsckReport: Encodable {
    private struct Finding: Encodable {
        let kind, subject, message: String
    }

    private struct Note: Encodable {
        let kind: String
        let count: UInt64
        let message: String
    }

    private let volume: String
    private let isClean: Bool
    private let wasCleanlyClosed: Bool
    /// At most 100 of each kind.
    private let findings: [Finding]
    private let findingCount: UInt64
    private let findingsByKind: [String: UInt64]
    private let notes: [Note]
    private let inodes, entries, blocks, dirtyBlocks, stripes, shards, cacheFiles: UInt64
    private let shardsSeen: UInt64

    init(_ report: CheckReport, of volume: VolumeDirectory) {
        self.volume = volume.name
        isClean = report.isClean
        wasCleanlyClosed = report.wasCleanlyClosed
        findings = report.findings.map {
            Finding(kind: $0.kind.rawValue, subject: $0.subject, message: $0.message)
        }
        findingCount = report.findingCount
        findingsByKind = Dictionary(
            report.counts.map { ($0.key.rawValue, $0.value) },
            uniquingKeysWith: +
        )
        notes = report.notes.map {
            Note(kind: $0.kind.rawValue, count: $0.count, message: $0.text)
        }
        inodes = report.inodes
        entries = report.entries
        blocks = report.blocks
        dirtyBlocks = report.dirtyBlocks
        stripes = report.stripes
        shards = report.shards
        cacheFiles = report.cacheFiles
        shardsSeen = report.shardsSeen
    }
}

extension CheckNote {
    /// The note for people.
    fileprivate var text: String {
        let count = Readable.count(count)
        return switch kind {
        case .uncleanStop: "the volume was not unmounted in order; the next mount recovers it"
        case .orphan: "\(count) unlinked inodes; the next mount removes them"
        case .placingStripe: "\(count) stripes were being placed; the next mount gives them up"
        case .strayCacheFile: "\(count) cache files of no inode; the next mount removes them"
        case .strayCacheBytes:
            "\(count) places of cached bytes of no block; the next mount clears them"
        case .cacheForgotten:
            "the cache is gone and held no changes; the next mount begins a new one"
        case .clearedResidency:
            "\(count) cached blocks are not cached any more; they will be fetched"
        case .unsyncedChange: "\(count) changed blocks that no sync acknowledged; they may go back"
        case .futureDirtyMark: "\(count) changes are later than the clock, which was set back"
        case .unseenShard: "\(count) shards at providers that did not answer were not looked at"
        }
    }
}
