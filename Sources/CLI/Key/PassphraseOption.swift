import ArgumentParser
import Home
import Sealing

/// Where the passphrase of a locked key comes from; never from the command line itself, which
/// everybody on the machine can read.
struct PassphraseOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Read the passphrase from a file, '-' for standard input, instead of the terminal.",
            valueName: "file"
        )
    )
    var passphraseFile: String?

    var source: PassphraseSource { PassphraseSource(file: passphraseFile) }

    /// The passphrase of the volume's key; `nil` if it has none.
    func read(for volume: VolumeDirectory) throws -> Passphrase? {
        guard try volume.needsPassphrase() else { return nil }
        return try source.read("Passphrase of volume '\(volume.name)'")
    }
}
