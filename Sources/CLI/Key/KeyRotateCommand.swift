import ArgumentParser
import Control
import Disk
import Home
import Primitives
import Sealing
import Volume

struct KeyRotateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract: "Give a volume that is not mounted a new key; no contents are sealed anew.",
        discussion: """
            Every file's key is wrapped under the new key. The keys before are kept beside it, \
            under the root seed, for what the network holds from before. May be cut off at any \
            time and repeated.
            """
    )

    @Argument(help: "The volume's name.")
    var name: String

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
        // Read under the lock: another rotation may just have ended.
        var volume = try VolumeDirectory.open(name, in: home)
        let phrase = try PhraseFile.read(phraseIn)
        let seed = try volume.ownerSeed(
            phrase: phrase,
            passphrase: phrase == nil ? try passphrase.read(for: volume) : nil
        )
        let unlocked = try volume.unlock(phrase: RecoveryPhrase(seed: seed))
        var key = unlocked.key
        let hasFiles = WholeFile.exists(volume.metadataPath)
        let isInterrupted =
            hasFiles
            ? try FileKeyRewrapping.isNeeded(metadataPath: volume.metadataPath, key: key) : false
        if !isInterrupted {
            key = try next(after: key)
            volume = try volume.replaceKey(key, sealedBy: seed)
        }
        var outcome = FileKeyRewrapping.Outcome()
        if hasFiles {
            outcome = try FileKeyRewrapping.run(metadataPath: volume.metadataPath, key: key)
        }
        let reason = register(volume, unlocked.identity)
        try report(key, outcome, isInterrupted: isInterrupted, notRegistered: reason)
    }

    private func next(after key: VolumeKey) throws -> VolumeKey {
        if let next = key.next() { return next }
        throw ControlFailure(
            .failed,
            "volume '\(name)' has \(VolumeKey.generationsMax) keys, the most it can have; copy it"
                + " to a new one"
        )
    }

    /// Tells all keepers; why not, if that fails: then the next mount does.
    private func register(_ volume: VolumeDirectory, _ identity: SigningKey) -> String? {
        do {
            let connection = try VolumeConnection(to: volume, as: identity)
            defer { connection.close() }
            try volume.register(at: connection.network, as: identity)
            return nil
        } catch {
            return "\(error)"
        }
    }

    private func report(
        _ key: VolumeKey,
        _ outcome: FileKeyRewrapping.Outcome,
        isInterrupted: Bool,
        notRegistered: String?
    ) throws {
        if let notRegistered {
            Output.error("mefs: \(notRegistered); the next mount registers the new key")
        }
        if outcome.unreadable > 0 {
            Output.error(
                "mefs: \(Readable.count(outcome.unreadable)) files have a damaged key; see"
                    + " 'mefs fsck --deep \(name)'"
            )
        }
        if json {
            return try Output.json(
                RotationReport(
                    volume: name,
                    generation: key.generation,
                    files: outcome.files,
                    rewrapped: outcome.rewrapped,
                    olderKeys: key.older.count,
                    wasInterrupted: isInterrupted,
                    isRegistered: notRegistered == nil
                )
            )
        }
        if isInterrupted { Output.line("finished a rotation that was cut off") }
        Output.line(
            "volume \(name) has key generation \(key.generation);"
                + " file keys wrapped anew: \(Readable.count(outcome.rewrapped));"
                + " older keys kept: \(key.older.count)"
        )
    }
}

/// What `mefs key rotate --json` prints.
private struct RotationReport: Encodable {
    let volume: String
    let generation: UInt32
    let files: UInt64
    let rewrapped: UInt64
    let olderKeys: Int
    /// Whether an earlier rotation was finished and no new key made.
    let wasInterrupted: Bool
    let isRegistered: Bool
}
