import ArgumentParser
import Control
import Disk
import Home
import Network
import Primitives
import Sealing
import Volume

struct VolumeRecoverCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover",
        abstract: "Bring a volume back from its network with the recovery phrase alone.",
        discussion: """
            Fetches the volume's names from the network as of its newest head; files are fetched \
            when they are read. Mount it afterwards. The volume must not be in use elsewhere.

            With --head it is brought back as of a locked snapshot, whatever heads have come after \
            it; --list shows which there are. Such a volume is mounted with -o ro, and copied.

            With --drill nothing is recovered: the volume of this machine, mounted or not, is \
            brought back beside itself, random files are read and compared, and all is removed.
            """
    )

    @Argument(
        help: "What to call it here (default: what it was called); with --drill, what to prove."
    )
    var name: String?

    @Flag(help: "Only prove that the volume would come back.")
    var drill = false

    @Option(
        help: ArgumentHelp(
            "Files that a drill draws (default \(RecoveryDrill.sampleDefault)).",
            valueName: "n"
        )
    )
    var sample: Int?

    @OptionGroup var passphrase: PassphraseOption

    @Option(
        help: ArgumentHelp("File with the 24 words; - for standard input.", valueName: "file")
    )
    var phraseFile: String?

    @Option(help: ArgumentHelp("File of the network.", valueName: "file"))
    var network: String?

    @Option(
        help: ArgumentHelp("Which volume, if the phrase has several: its id's beginning.")
    )
    var volume: String?

    @Flag(help: "Only show the heads of locked snapshots that keepers retain.")
    var list = false

    @Option(
        help: ArgumentHelp(
            "Take this retained head, not the newest: its version, time or digest.",
            valueName: "version|time"
        )
    )
    var head: String?

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        if drill {
            guard name != nil else {
                throw ValidationError("say which volume: mefs recover --drill DIR|NAME")
            }
            guard volume == nil else { throw ValidationError("--drill takes no --volume") }
            guard !list, head == nil else {
                throw ValidationError("--drill takes neither --list nor --head")
            }
            guard (1...RecoveryDrill.sampleMax).contains(sample ?? 1) else {
                throw ValidationError("--sample takes 1 to \(RecoveryDrill.sampleMax)")
            }
        } else {
            guard phraseFile != nil, network != nil else {
                throw ValidationError("--phrase-file and --network are needed")
            }
            guard sample == nil else { throw ValidationError("--sample is of --drill") }
        }
    }

    func run() throws {
        if drill { return try runDrill() }
        guard let phrase = try PhraseFile.read(phraseFile), let network else { return }
        try recover(phrase, NetworkFile(readingFrom: network))
    }

    private func runDrill() throws {
        let drill = try DrillRun(
            of: name ?? "",
            phrase: try PhraseFile.read(phraseFile),
            passphrase: passphrase,
            network: try network.map { try NetworkFile(readingFrom: $0) }
        )
        try drill.run(sample: sample ?? RecoveryDrill.sampleDefault, json: json)
    }

    private func recover(_ phrase: RecoveryPhrase, _ file: NetworkFile) throws {
        let clock = ContinuousClock()
        let start = clock.now
        let home = try Home()
        let identity = try phrase.seed.identityKey()
        let remote = try RemoteNetwork(file: file, identity: identity, logger: .silent)
        defer { remote.close() }

        let registered = try registration(of: try remote.registrations(), in: file)
        let retained = RetainedRecovery(volume: registered.id, network: remote)
        if list { return try retained.report(json: json) }
        let chosen = try head.map { try retained.fetch($0) }
        // The one that is registered now may be an attacker's.
        let registration = chosen?.registration ?? registered
        let key = try phrase.seed.unwrap(registration.wrappedKey, for: registration.id)
        let survey =
            chosen == nil
            ? HeadRegister.newest(
                of: registration.id,
                owner: identity.publicKey.nodeID,
                at: remote
            ) : nil
        let head = try chosen?.head ?? survey.map { try newest($0, of: registration) }
        guard let head else { return }
        let recovery = VolumeRecovery(
            key: key,
            network: remote,
            retainer: chosen == nil ? nil : identity.publicKey.nodeID,
            logger: .silent
        )
        let plan = try recovery.plan(head)
        let name = self.name ?? plan.name
        var bar = ProgressBar(isTerminal: Output.isTerminal && !json)
        defer { bar.clear() }
        var behind: [String] = []
        let made = try VolumeDirectory.recover(
            name,
            in: home,
            registration: registration,
            network: file,
            seed: phrase.seed,
            retained: chosen?.head.version
        ) { path throws(HomeError) in
            do throws(FileSystemError) {
                behind = try recovery.restore(plan, to: path) { done, total in
                    guard !json else { return }
                    bar.show(
                        fraction: Double(done) / Double(max(1, total)),
                        "\(Readable.bytes(done)) of \(Readable.bytes(total)) of names"
                    )
                }
            } catch {
                throw HomeError(error.code == .unavailable ? .unreachable : .corrupt, error.message)
            }
        }
        bar.clear()
        try report(
            Recovered(
                name: made.name,
                id: made.id.hex,
                version: plan.version,
                headSeconds: plan.time.seconds,
                metadataBytes: plan.bytes,
                seconds: (clock.now - start) / .seconds(1),
                behind: behind,
                keepers: survey?.findings.map { "\($0.keeper.hex) \($0.finding)" } ?? [],
                isRetained: chosen != nil
            )
        )
    }

    /// The volume that is meant.
    private func registration(
        of volumes: [VolumeRegistration],
        in file: NetworkFile
    ) throws -> VolumeRegistration {
        let wanted = volumes.filter { $0.id.hex.hasPrefix(volume?.lowercased() ?? "") }
        guard let first = wanted.first else {
            let ids = volumes.map { $0.id.hex }.joined(separator: ", ")
            throw ControlFailure(
                .notFound,
                volumes.isEmpty
                    ? "network \(file.name) knows no volume of this phrase"
                    : "no volume of this phrase begins with '\(volume ?? "")'; there are: \(ids)"
            )
        }
        guard wanted.count == 1 else {
            let ids = wanted.map { $0.id.hex }.joined(separator: ", ")
            throw ControlFailure(.usage, "the phrase has several volumes; give --volume: \(ids)")
        }
        return first
    }

    private func newest(
        _ survey: HeadSurvey,
        of registration: VolumeRegistration
    ) throws -> VolumeHead {
        for (keeper, finding) in survey.findings where finding != .current {
            Output.error("keeper \(keeper.short) \(finding)")
        }
        if !survey.isByMajority {
            Output.error(
                "\(survey.answered) of \(survey.findings.count) keepers answered: the others may"
                    + " have a newer head"
            )
        }
        guard let head = survey.newest else {
            throw ControlFailure(
                .unreachable,
                "no keeper has a head of volume \(registration.id.short): it was never mounted long"
                    + " enough to have one, or its keepers are out of reach"
            )
        }
        return head
    }

    private func report(_ recovered: Recovered) throws {
        if json { return try Output.json(recovered) }
        Output.line(
            "volume '\(recovered.name)' is back as of head \(recovered.version), in"
                + " \(Readable.decimal(recovered.seconds, digits: 1)) s; mount it:"
                + " mount.mefs \(recovered.isRetained ? "-o ro " : "")\(recovered.name) DIR"
        )
        guard !recovered.behind.isEmpty else { return }
        Output.line("of these files the newest bytes were only on the lost machine:")
        for path in recovered.behind { Output.line("  \(path)") }
    }
}

/// What `mefs volume recover` prints.
private struct Recovered: Encodable {
    let name: String
    let id: String
    /// Of the head.
    let version: UInt64
    /// When the head was made, since 1970.
    let headSeconds: Int64
    let metadataBytes: UInt64
    /// What it took.
    let seconds: Double
    /// Files whose newest bytes were not placed.
    let behind: [String]
    /// What each keeper said.
    let keepers: [String]
    /// Whether it is of a head that keepers retain, so that it can only be mounted read-only.
    let isRetained: Bool
}
