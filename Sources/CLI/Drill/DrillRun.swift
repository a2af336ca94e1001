import Control
import Disk
import Glibc
import Home
import Network
import Primitives
import Sealing
import Volume

/// A drill of a volume of this machine: `mefs recover --drill`.
struct DrillRun {
    /// What a shell says of a program that a signal ended: 128 and its number.
    private static let signalBase: Int32 = 128

    private let directory: VolumeDirectory
    private let mountPoint: String?
    private let seed: RootSeed
    private let network: NetworkFile?

    /// `place`: a path in the mounted volume, or the name of one.
    ///
    /// - Throws: as opening the volume's key does.
    init(
        of place: String,
        phrase: RecoveryPhrase?,
        passphrase: PassphraseOption,
        network: NetworkFile?
    ) throws {
        (directory, mountPoint) = try Self.volume(place)
        seed = try directory.ownerSeed(
            phrase: phrase,
            passphrase: phrase == nil ? try passphrase.read(for: directory) : nil
        )
        self.network = network
    }

    /// The volume, and where it is mounted.
    private static func volume(_ place: String) throws -> (VolumeDirectory, String?) {
        let home = try Home()
        let socket: String
        do throws(ControlFailure) {
            socket = try MountLocator.controlSocket(of: place)
        } catch {
            guard error.code == .notFound, !place.contains("/") else { throw error }
            let directory = try VolumeDirectory.open(place, in: home)
            let status = try? ControlClient(path: directory.controlSocketPath).status()
            return (directory, status?.mountpoint)
        }
        let status = try ControlClient(path: socket).status()
        let directory = try VolumeDirectory.open(status.volume, in: home)
        guard directory.controlSocketPath == socket else {
            throw ControlFailure(
                .usage,
                "\(place) is mounted from another home than \(home.path); set MEFS_HOME"
            )
        }
        return (directory, status.mountpoint)
    }

    /// Drills, reports, and throws what makes the exit code of a volume that would not come back.
    func run(sample: Int, json: Bool) throws {
        // Before any other thread is there.
        let signals = SignalWaiter()
        let place = try DrillDirectory(of: directory)
        defer { place.remove() }
        try Disk.Thread.spawn("signals") {
            let signal = signals.wait()
            place.remove()
            _exit(Self.signalBase + signal)
        }
        let began = Clock.monotonic()
        let identity = try seed.identityKey()
        let connection = try connect(as: identity)
        defer { connection.close() }
        let drill = RecoveryDrill(
            of: directory.id,
            owner: identity.publicKey.nodeID,
            key: try key(at: connection.network),
            network: connection.network,
            logger: .silent
        )
        var bar = ProgressBar(isTerminal: Output.isTerminal && !json)
        defer { bar.clear() }
        let tree = mountPoint.map { MountedTree(mountPoint: $0) }
        let report = try drill.run(in: place.path, sample: sample, live: tree, since: began) {
            guard !json, Output.isTerminal else { return }
            Self.show($0, &bar)
        }
        bar.clear()
        let changes = tree?.changes(after: report.newestChange ?? report.headTime)
        let text = DrillText(report, volume: directory.name, mountPoint, changes)
        if json { try Output.json(text.json) } else { text.print() }
        try text.verdict()
    }

    private static func show(_ progress: RecoveryDrill.Progress, _ bar: inout ProgressBar) {
        switch progress {
        case .metadata(let done, let total):
            bar.show(
                fraction: Double(done) / Double(max(1, total)),
                "\(Readable.bytes(done)) of \(Readable.bytes(total)) of names"
            )
        case .files(let done, let total, let bytes):
            bar.show(
                fraction: Double(done) / Double(max(1, total)),
                "\(done) of \(total) files, \(Readable.bytes(bytes))"
            )
        }
    }

    private func connect(as identity: SigningKey) throws -> VolumeConnection {
        if let network { return try VolumeConnection(to: network, as: identity) }
        return try VolumeConnection(to: directory, as: identity, leavesTraces: false)
    }

    /// The volume's key as keepers have it, which is what an empty machine would open.
    private func key(at network: RemoteNetwork) throws -> VolumeKey {
        let found = try network.registrations().first { $0.id == directory.id }
        guard let found else {
            throw ControlFailure(
                .notFound,
                "no keeper knows volume '\(directory.name)': mount it once more, so that it is"
                    + " registered"
            )
        }
        return try seed.unwrap(found.wrappedKey, for: found.id)
    }
}
