import ArgumentParser
import Control
import Disk
import Home
import Network
import Primitives
import Sealing
import Transport

struct VolumeShredCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shred",
        abstract: "Destroy a volume for ever, by destroying its key.",
        discussion: """
            Its key goes from the keepers first, then from this machine, and with it names, cache \
            and settings. What providers hold is noise then. Copies of the key elsewhere (backups \
            of this machine, of a keeper) are not reached.
            """
    )

    @Argument(help: "The volume's name.")
    var name: String

    @Flag(help: "Do not ask for the volume's name once more.")
    var yes = false

    @Flag(help: "Leave the keepers alone: whoever has the recovery phrase still opens it.")
    var onlyHere = false

    @Option(
        help: ArgumentHelp(
            "Take the recovery phrase from a file, not this machine's key.",
            valueName: "file"
        )
    )
    var phraseIn: String?

    @OptionGroup var passphrase: PassphraseOption

    func run() throws {
        let home = try Home()
        let lock = try VolumeDirectory.open(name, in: home).lock(mountPoint: "")
        defer { lock.release() }
        let volume = try VolumeDirectory.open(name, in: home)
        try confirm()
        // One that was cut off has been at the keepers already.
        if !onlyHere, !volume.isShredded { try shredAtKeepers(volume) }
        try volume.shred()
        Output.line(
            onlyHere
                ? "volume \(name) is gone from this machine; the keepers still have its key"
                : "volume \(name) is shredded: nothing that its providers hold can be read any more"
        )
    }

    /// By the name, typed once more.
    private func confirm() throws {
        guard !yes else { return }
        guard Output.isTerminal else {
            throw ControlFailure(
                .usage,
                "no terminal to confirm at that volume '\(name)' is to be destroyed; give --yes"
            )
        }
        Output.raw("This destroys volume '\(name)' and all its files. Type its name: ")
        guard readLine() == name else {
            throw ControlFailure(.usage, "that is not its name; nothing was destroyed")
        }
    }

    /// Has every keeper forget the wrapped key.
    ///
    /// All of them, or nothing is done here: without this machine's seed nobody may tell them.
    private func shredAtKeepers(_ volume: VolumeDirectory) throws {
        let phrase = try PhraseFile.read(phraseIn)
        let seed = try volume.ownerSeed(
            phrase: phrase,
            passphrase: phrase == nil ? try passphrase.read(for: volume) : nil
        )
        let identity = try seed.identityKey()
        let shredding = try VolumeRegistration(
            shredding: volume.id,
            code: volume.code,
            created: volume.created,
            signedBy: identity
        )
        let connection = try VolumeConnection(to: volume, as: identity)
        defer { connection.close() }
        let keepers = connection.network.file.keepers
        var failures: [String] = []
        for keeper in keepers {
            do throws(NetworkError) {
                _ = try connection.network
                    .ask(shredding, ofKeeper: keeper.publicKey.nodeID)
                    .wait(for: RemoteNetwork.keeperTimeout)
            } catch {
                failures.append("\(keeper.address): \(error.message)")
            }
        }
        guard failures.isEmpty else {
            throw ControlFailure(
                .unreachable,
                "\(failures.count) of \(keepers.count) keepers still have the key"
                    + " (\(failures.joined(separator: "; "))); nothing was destroyed on this"
                    + " machine: repeat it when they are there, or give --only-here"
            )
        }
    }
}
