package import Disk
package import Network
package import Primitives
package import Sealing
import Transport

// Layout, below volumes/NAME:
//
//   volume.json     what the volume is: VolumeFile
//   network.json    its network, if that is not the embedded one
//   seed            its owner's root seed in hexadecimal, mode 0600, in clear or under a
//                   passphrase; may be taken away
//   phrase          the recovery phrase, mode 0600; only of volumes made without being asked
//   registered      there once a keeper has the volume's registration
//   retained        there if it was recovered from a head that keepers retain; its version
//   keys.lock       held while seed or wrapped key are changed
//   holder          who the last mounts were to the keepers of writer leases
//   conflicts/      files that were in no head when another machine had written the volume
//   lock            held by the mount process; its text tells pid and mount point
//   metadata/volume.db, metadata/audit.db, cache/, snapshots/, providers, control.sock, mount.log:
//                   the mount process's

/// A volume as this machine knows it.
package struct VolumeDirectory: Sendable {
    /// Where a new volume's providers are to be found.
    package enum NetworkChoice: Sendable {
        /// The embedded network of the same home.
        case local
        case file(NetworkFile)
    }

    package let home: Home
    package let name: String
    let file: VolumeFile

    package var id: VolumeID { file.id }
    package var code: ErasureCode { file.code }
    /// Whole seconds.
    package var created: Timestamp { file.created }
    package var ownerKey: PublicKey { file.ownerKey }
    /// Whether its providers are the embedded ones, which the mount process then runs.
    package var isLocal: Bool { file.network == .local }

    package var path: String { home.path(ofVolume: name) }
    package var metadataPath: String { path + "/metadata/volume.db" }
    /// The database of orders and receipts.
    package var auditPath: String { path + "/metadata/audit.db" }
    package var cacheDirectory: String { path + "/cache" }
    /// Where the databases of snapshots lie while somebody looks into them.
    package var snapshotsDirectory: String { path + "/snapshots" }
    package var controlSocketPath: String { path + "/control.sock" }
    package var logPath: String { path + "/mount.log" }
    /// Whether it is as a retained head has it: newer heads, perhaps an attacker's, are with the
    /// keepers, so that it is only read.
    package var isRetained: Bool { WholeFile.exists(path + "/retained") }
    /// Where `RemoteNetwork` keeps its list of providers between mounts.
    package var providersPath: String { path + "/providers" }
    var seedPath: String { path + "/seed" }
    /// Where the recovery phrase is, of a volume that nobody asked for.
    package var phrasePath: String { path + "/phrase" }
    private var networkPath: String { path + "/network.json" }
    var registeredPath: String { path + "/registered" }

    init(home: Home, name: String, file: VolumeFile) {
        self.home = home
        self.name = name
        self.file = file
    }

    // MARK: Finding

    /// Names of the home's volumes, sorted.
    package static func list(in home: Home) throws(HomeError) -> [String] {
        guard Directory.isDirectory(home.volumesPath) else { return [] }
        let names = try withDisk { () throws(DiskError) in try Directory.list(home.volumesPath) }
        // Names with a dot in front are volumes being made, or left so by a crash.
        return names.filter {
            !$0.hasPrefix(".") && WholeFile.exists(home.path(ofVolume: $0) + "/volume.json")
        }
    }

    /// Reads the description of a volume.
    ///
    /// - Throws: `notFound` if there is none of that name.
    package static func open(_ name: String, in home: Home) throws(HomeError) -> VolumeDirectory {
        try VolumeName.check(name)
        let path = home.path(ofVolume: name) + "/volume.json"
        let bytes: [UInt8]
        do throws(DiskError) {
            bytes = try WholeFile.read(path, limit: VolumeFile.bytesMax)
        } catch {
            guard error.isNotFound else { throw HomeError(error) }
            let known = (try? list(in: home)) ?? []
            let hint =
                known.isEmpty
                ? "make it with 'mefs volume create \(name)'"
                : "there are: \(known.joined(separator: ", "))"
            throw HomeError(.notFound, "no volume '\(name)' in \(home.path); \(hint)")
        }
        return VolumeDirectory(
            home: home,
            name: name,
            file: try VolumeFile(parsing: bytes, path: path)
        )
    }

    // MARK: Making

    /// Makes a volume of a new id and key, owned by `seed`; all or nothing, and durable.
    ///
    /// No keeper knows it yet: see `registration` and `register`.
    ///
    /// With `writesPhrase` the recovery phrase is left in the directory, for a volume that nobody
    /// asked for. With `passphrase` the seed is never in the directory in clear.
    ///
    /// - Throws: `already` if there is one of that name.
    package static func create(
        _ name: String,
        in home: Home,
        network: NetworkChoice,
        code: ErasureCode,
        seed: RootSeed,
        passphrase: Passphrase? = nil,
        writesPhrase: Bool = false
    ) throws(HomeError) -> VolumeDirectory {
        try VolumeName.check(name)
        let path = home.path(ofVolume: name)
        guard !WholeFile.exists(path) else {
            throw HomeError(
                .already,
                "volume '\(name)' exists in \(home.path); choose another name"
            )
        }
        let file = try newFile(network: network, code: code, seed: seed)
        let seedBytes = try seedFile(seed, under: passphrase, for: file.id)
        // A directory beside, renamed when it is whole.
        let draft = home.volumesPath + "/.\(name).\(file.id.short)"
        do throws(DiskError) {
            try Directory.make(draft)
            try WholeFile.create(draft + "/seed", with: seedBytes, permissions: 0o600)
            try write(file, network: network, phraseOf: writesPhrase ? seed : nil, to: draft)
            try Directory.rename(draft, to: path)
        } catch {
            try? Directory.remove(tree: draft)
            guard error.isExists else { throw HomeError(error) }
            throw HomeError(
                .already,
                "volume '\(name)' was just made in \(home.path) by another process"
            )
        }
        return VolumeDirectory(home: home, name: name, file: file)
    }

    private static func newFile(
        network: NetworkChoice,
        code: ErasureCode,
        seed: RootSeed
    ) throws(HomeError) -> VolumeFile {
        guard let id = VolumeID(bytes: SecureRandom.bytes(VolumeID.byteCount)) else {
            preconditionFailure("an id is made of its own number of bytes")
        }
        do throws(SealingError) {
            return VolumeFile(
                id: id,
                code: code,
                created: Clock.now(),
                ownerKey: try seed.identityKey().publicKey,
                wrappedKey: try seed.wrap(.random(), for: id),
                network: network.kind
            )
        } catch {
            throw HomeError(.failed, "cannot make the volume's keys: \(error)")
        }
    }

    /// What the file `seed` is to hold.
    static func seedFile(
        _ seed: RootSeed,
        under passphrase: Passphrase?,
        for id: VolumeID
    ) throws(HomeError) -> [UInt8] {
        do throws(SealingError) {
            let bytes =
                if let passphrase {
                    try LockedSeed(sealing: seed, under: passphrase, for: id).bytes
                } else {
                    seed.bytes
                }
            return Array((Hex.encode(bytes) + "\n").utf8)
        } catch {
            throw HomeError(.failed, "cannot lock the volume's key: \(error)")
        }
    }

    static func write(
        _ file: VolumeFile,
        network: NetworkChoice,
        phraseOf seed: RootSeed?,
        to directory: String
    ) throws(DiskError) {
        if let seed {
            let phrase = RecoveryPhrase(seed: seed).words.joined(separator: " ") + "\n"
            try WholeFile.create(
                directory + "/phrase",
                with: Array(phrase.utf8),
                permissions: 0o600
            )
        }
        if case .file(let network) = network {
            try WholeFile.create(directory + "/network.json", with: network.encoded())
        }
        try Directory.make(directory + "/metadata")
        try Directory.make(directory + "/cache")
        try WholeFile.create(directory + "/volume.json", with: file.encoded())
    }

    // MARK: Network

    /// The network that holds the volume.
    ///
    /// - Throws: `notFound` if it is the embedded one and was never started.
    package func network() throws(HomeError) -> NetworkFile {
        if isLocal { return try LocalNetwork.networkFile(in: home) }
        return try NetworkFile.stored(at: networkPath)
    }

    /// What a keeper keeps of the volume, signed by its owner.
    package func registration(
        signedBy identity: SigningKey
    ) throws(HomeError) -> VolumeRegistration {
        do throws(SealingError) {
            return try VolumeRegistration(
                id: id,
                code: code,
                wrappedKey: file.wrappedKey,
                created: created,
                signedBy: identity
            )
        } catch {
            throw HomeError(.failed, "cannot sign the registration of volume '\(name)': \(error)")
        }
    }

    /// Registers the volume with the keepers of its network, unless all are known to have it.
    ///
    /// Blocks. Those that do not answer are asked again the next time.
    ///
    /// - Throws: `unreachable` if none took it.
    package func register(
        at network: RemoteNetwork,
        as identity: SigningKey
    ) throws(HomeError) {
        guard !WholeFile.exists(registeredPath) else { return }
        guard try register(at: network.keeperIDs, of: network, as: identity) else { return }
        try withDisk { () throws(DiskError) in try WholeFile.replace(registeredPath, with: []) }
    }

    /// Registers the volume with some keepers, which may have lost it.
    ///
    /// Blocks until all have answered, some seconds at most.
    ///
    /// - Returns: whether all have it.
    /// - Throws: `unreachable` if none took it.
    @discardableResult
    package func register(
        at keepers: [NodeID],
        of network: RemoteNetwork,
        as identity: SigningKey
    ) throws(HomeError) -> Bool {
        let registration = try registration(signedBy: identity)
        let answers = keepers.map { network.ask(registration, ofKeeper: $0) }
        var failure: NetworkError?
        var taken = 0
        for answer in answers {
            do throws(NetworkError) {
                _ = try answer.wait(for: KeeperClient.patience)
                taken += 1
            } catch {
                failure = error
            }
        }
        if taken == 0, let failure {
            throw HomeError(
                .unreachable,
                "volume '\(name)' could not be registered: \(failure.message)"
            )
        }
        return failure == nil
    }

    // MARK: Mounting

    /// Takes the volume for this process until the lock is released.
    ///
    /// - Throws: `already`, naming the process and the mount point, if another has it.
    package func lock(mountPoint: String) throws(HomeError) -> FileLock {
        let lock: FileLock
        do throws(FileLock.Failure) {
            lock = try FileLock(path + "/lock", note: mountPoint)
        } catch {
            switch error {
            case .disk(let error): throw HomeError(error)
            case .held(_, let holder):
                let place = holder.note.isEmpty ? "" : " at \(holder.note)"
                let process = holder.pid.map { " by process \($0)" } ?? ""
                throw HomeError(
                    .already,
                    "volume '\(name)' is already mounted\(place)\(process); unmount it first"
                )
            }
        }
        clearKeyDrafts()
        clearFollowed()
        do throws(HomeError) {
            try finishReplacing()
        } catch {
            lock.release()
            throw error
        }
        return lock
    }

    /// The process that has the volume, with the mount point as its note; `nil` if none has.
    package var holder: FileLock.Holder? { FileLock.holder(of: path + "/lock") }
}

extension VolumeDirectory.NetworkChoice {
    fileprivate var kind: VolumeFile.Network {
        switch self {
        case .local: .local
        case .file: .file
        }
    }
}

extension NetworkFile {
    /// Reads a network file that we keep.
    static func stored(at path: String) throws(HomeError) -> NetworkFile {
        let bytes = try withDisk { () throws(DiskError) in
            try WholeFile.read(path, limit: NetworkFile.fileBytesMax)
        }
        do throws(NetworkFileError) {
            return try NetworkFile(parsing: bytes)
        } catch {
            throw HomeError(.corrupt, "\(path): \(error)")
        }
    }
}
