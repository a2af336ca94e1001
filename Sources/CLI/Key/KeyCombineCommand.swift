import ArgumentParser
import Control
import Disk
import Home
import Primitives
import Sealing

struct KeyCombineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "combine",
        abstract: "Put shares of a root seed together.",
        discussion: """
            Tells whether they give a seed, and whose. With --volume it must be the volume's \
            owner's. The seed is kept on this machine with --keep, or written as a recovery \
            phrase with --phrase-out; else it is forgotten.
            """
    )

    /// The longest file that is looked at for a share.
    private static let shareBytesMax = 4096

    @Argument(help: "Files of shares, each made by 'mefs key split' or typed by hand.")
    var shares: [String]

    @Option(help: ArgumentHelp("The volume that the seed must open.", valueName: "name"))
    var volume: String?

    @Flag(help: "Keep the seed on this machine, in clear, as the key of --volume.")
    var keep = false

    @Option(help: ArgumentHelp("New file for the recovery phrase.", valueName: "file"))
    var phraseOut: String?

    func validate() throws {
        if keep, volume == nil { throw ValidationError("--keep needs --volume") }
    }

    func run() throws {
        let read = try shares.map(read)
        let seed: RootSeed
        do throws(ShareError) {
            seed = try SeedShare.combine(read)
        } catch {
            throw ControlFailure(.wrongSecret, "\(error)")
        }
        if let volume { try use(seed, for: volume) }
        if let phraseOut {
            try PhraseFile.write(RecoveryPhrase(seed: seed), to: phraseOut)
            Output.line("the recovery phrase is in \(phraseOut)")
        }
        let owner = try seed.identityKey().publicKey.nodeID
        Output.line("\(shares.count) shares give the seed of owner \(owner.hex)")
    }

    private func use(_ seed: RootSeed, for name: String) throws {
        let volume = try VolumeDirectory.open(name, in: try Home())
        guard try volume.isOwner(seed) else {
            throw ControlFailure(
                .wrongSecret,
                "the shares give a seed, but it does not open volume '\(name)'"
            )
        }
        // That the owner is right is not all: the volume's key must open too.
        _ = try volume.unlock(phrase: RecoveryPhrase(seed: seed))
        if keep {
            try volume.keepSeed(seed)
            Output.line("the key of volume \(name) is kept on this machine, in clear")
        } else {
            Output.line("the shares open volume \(name)")
        }
    }

    private func read(_ path: String) throws -> SeedShare {
        var bytes = try WholeFile.read(path, limit: Self.shareBytesMax)
        defer { SecretBytes.wipe(&bytes) }
        do throws(ShareError) {
            return try SeedShare(parsing: String(decoding: bytes, as: UTF8.self))
        } catch {
            throw ControlFailure(.wrongSecret, "\(path): \(error)")
        }
    }
}
