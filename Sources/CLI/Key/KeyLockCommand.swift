import ArgumentParser
import Home
import Sealing

struct KeyLockCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lock",
        abstract: "Put a passphrase before the key that this machine keeps of a volume.",
        discussion: """
            From then on the volume is opened with the passphrase, or with its recovery phrase. \
            A mounted volume stays mounted.
            """
    )

    /// How much work a try of the passphrase is.
    enum Strength: String, ExpressibleByArgument, CaseIterable {
        case interactive, moderate, sensitive

        var cost: PassphraseCost {
            switch self {
            case .interactive: .interactive
            case .moderate: .moderate
            case .sensitive: .sensitive
            }
        }
    }

    @Argument(help: "The volume's name.")
    var name: String

    @OptionGroup var passphrase: PassphraseOption

    @Option(
        help: ArgumentHelp(
            "What each try costs: interactive 64 MiB, moderate 256 MiB, sensitive 1 GiB.",
            valueName: "strength"
        )
    )
    var strength = Strength.moderate

    func run() throws {
        let volume = try VolumeDirectory.open(name, in: try Home())
        // Before somebody thinks of a passphrase for nothing.
        try volume.checkLockable()
        let new = try passphrase.source.readNew("New passphrase of volume '\(name)'")
        try volume.lockSeed(under: new, cost: strength.cost)
        Output.line("the key of volume \(name) is locked")
    }
}

struct KeyUnlockCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unlock",
        abstract: "Take the passphrase away from the key that this machine keeps of a volume."
    )

    @Argument(help: "The volume's name.")
    var name: String

    @OptionGroup var passphrase: PassphraseOption

    func run() throws {
        let volume = try VolumeDirectory.open(name, in: try Home())
        guard let passphrase = try passphrase.read(for: volume) else {
            throw HomeError(.already, "the key of volume '\(name)' is not locked")
        }
        try volume.unlockSeed(with: passphrase)
        Output.line("the key of volume \(name) is in clear")
    }
}
