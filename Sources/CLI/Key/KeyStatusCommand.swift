import ArgumentParser
import Disk
import Home
import Sealing

struct KeyStatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Tell how the keys of a volume are kept on this machine."
    )

    @Argument(help: "The volume's name.")
    var name: String

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let report = try KeyReport(VolumeDirectory.open(name, in: try Home()))
        if json { return try Output.json(report) }
        report.print()
    }
}

/// What `mefs key status` prints of a volume.
private struct KeyReport: Encodable {
    let volume: String
    /// "clear", "locked" or "absent".
    let seed: String
    /// Of a locked one.
    let argon2idPasses: UInt32?
    let argon2idMemoryBytes: UInt64?
    /// How often the volume's key was changed; absent if the volume file does not tell.
    let keyGeneration: UInt32?
    /// Where the recovery phrase lies beside it, in clear.
    let phraseFile: String?

    init(_ volume: VolumeDirectory) throws {
        self.volume = volume.name
        keyGeneration = volume.keyGeneration
        phraseFile = WholeFile.exists(volume.phrasePath) ? volume.phrasePath : nil
        var cost: PassphraseCost?
        switch try volume.keptSeed() {
        case .clear: seed = "clear"
        case .absent: seed = "absent"
        case .locked(let found):
            seed = "locked"
            cost = found
        }
        argon2idPasses = cost?.passes
        argon2idMemoryBytes = cost.map { UInt64($0.memoryKiB) << 10 }
    }

    func print() {
        Output.table([
            ["volume", volume], ["key", seedText], ["phrase", phraseFile ?? "not here"],
            ["generation", keyGeneration.map { "\($0)" } ?? "-"],
        ])
    }

    private var seedText: String {
        switch seed {
        case "clear": "in clear; 'mefs key lock \(volume)' puts a passphrase before it"
        case "absent": "not on this machine; mounting takes the recovery phrase"
        default:
            "locked by a passphrase: Argon2id with \(Readable.bytes(argon2idMemoryBytes ?? 0)),"
                + " \(argon2idPasses ?? 0) passes"
        }
    }
}
