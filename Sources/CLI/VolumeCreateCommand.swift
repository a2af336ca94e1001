import ArgumentParser
import Control
import Disk
import Home
import Network
import Primitives
import Sealing

struct VolumeCreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a volume on a network.",
        discussion: """
            The recovery phrase, 24 words, is the only way to the files when this machine is lost. \
            It is shown once, or written to the file of --phrase-out.
            """
    )

    @Argument(help: "Its name, for this machine only.")
    var name: String

    @Option(
        help: ArgumentHelp(
            "File of the network: see 'mefs network export'.",
            valueName: "file"
        )
    )
    var network: String

    @Option(
        help: ArgumentHelp(
            "k data and m parity shards: any m providers may be lost (default: the network's).",
            valueName: "k+m"
        )
    )
    var code: ErasureCode?

    @Option(help: ArgumentHelp("New file for the recovery phrase.", valueName: "file"))
    var phraseOut: String?

    @Option(
        help: ArgumentHelp("Take the phrase from a file instead of a new one.", valueName: "file")
    )
    var phraseIn: String?

    @Flag(help: "Keep the key on this machine under a passphrase from the beginning.")
    var lock = false

    @OptionGroup var passphrase: PassphraseOption

    @Flag(help: "Print JSON; needs --phrase-out or --phrase-in.")
    var json = false

    func run() throws {
        let home = try Home()
        try refuseWhatExists(in: home)
        let passphrase =
            lock ? try self.passphrase.source.readNew("New passphrase of volume '\(name)'") : nil
        let phrase = try PhraseFile.read(phraseIn) ?? RecoveryPhrase(seed: .random())
        let identity = try phrase.seed.identityKey()
        let file = try NetworkFile(readingFrom: network)
        let code = self.code ?? file.code

        let remote = try RemoteNetwork(file: file, identity: identity, logger: .silent)
        defer { remote.close() }
        try ProviderCount(of: try remote.providers(), code: code).check(network: file.name)

        try writePhrase(phrase)
        let volume: VolumeDirectory
        do {
            volume = try VolumeDirectory.create(
                name,
                in: home,
                network: .file(file),
                code: code,
                seed: phrase.seed,
                passphrase: passphrase
            )
        } catch {
            removePhrase()
            throw error
        }
        do {
            try volume.register(at: remote, as: identity)
        } catch {
            try? Directory.remove(tree: volume.path)
            removePhrase()
            throw error
        }
        try report(volume, phrase)
    }

    /// Before anything is made: what would be overwritten, or could not be told to the user.
    private func refuseWhatExists(in home: Home) throws {
        try VolumeName.check(name)
        guard !WholeFile.exists(home.path(ofVolume: name)) else {
            throw ControlFailure(
                .already,
                "volume '\(name)' exists in \(home.path); choose another name"
            )
        }
        if let phraseOut, WholeFile.exists(phraseOut) {
            throw ControlFailure(
                .already,
                "\(phraseOut) exists, maybe with a phrase in it; give a new file"
            )
        }
        guard phraseOut != nil || phraseIn != nil || (Output.isTerminal && !json) else {
            throw ControlFailure(
                .usage,
                "no terminal to show the recovery phrase on; give --phrase-out FILE"
            )
        }
    }

    private func writePhrase(_ phrase: RecoveryPhrase) throws {
        if let phraseOut { try PhraseFile.write(phrase, to: phraseOut) }
    }

    private func removePhrase() {
        if let phraseOut { try? WholeFile.remove(phraseOut) }
    }

    private func report(_ volume: VolumeDirectory, _ phrase: RecoveryPhrase) throws {
        if json { return try Output.json(VolumeReport(volume)) }
        Output.line("volume \(name), code \(volume.code); mount it: mount.mefs \(name) DIR")
        if let phraseOut {
            Output.line("its recovery phrase is in \(phraseOut): keep it away from this machine")
        } else if phraseIn == nil {
            Output.line("its recovery phrase, shown only now; write it down:\n")
            for start in stride(from: 0, to: phrase.words.count, by: 6) {
                let row = phrase.words[start..<min(start + 6, phrase.words.count)]
                Output.line("    " + row.joined(separator: " "))
            }
        }
    }
}

/// Whether a network has the providers that a code needs.
struct ProviderCount {
    private let code: ErasureCode
    private let up: Int
    /// Shards that the providers that are up may take of one stripe: at most m in each failure
    /// domain.
    private let room: Int

    init(of providers: [ProviderRecord], code: ErasureCode) {
        let live = providers.filter(\.isUp)
        self.code = code
        up = live.count
        room = Dictionary(grouping: live, by: \.domain).values.reduce(0) { sum, domain in
            sum + min(domain.count, code.m)
        }
    }

    func check(network: String) throws {
        guard up >= code.n else {
            throw ControlFailure(
                .unreachable,
                "network \(network) has \(up) providers up, code \(code) needs \(code.n); start"
                    + " more, or choose a smaller --code"
            )
        }
        guard room >= code.n else {
            throw ControlFailure(
                .unreachable,
                "the \(up) providers of network \(network) are in too few failure domains for code"
                    + " \(code); a stripe has at most \(code.m) shards in one"
            )
        }
    }
}
