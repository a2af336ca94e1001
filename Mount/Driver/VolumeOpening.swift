import Control
import Disk
import Glibc
import Home
import Logging
import Network
import Primitives
import Sealing
import Transport
import Volume

/// Everything behind the kernel's door: the volume's directory and lock, its network, its engine.
struct VolumeOpening {
    /// The longest file that is looked at for a recovery phrase.
    private static let phraseBytesMax = 4096

    let directory: VolumeDirectory
    let lock: FileLock
    let localNetwork: LocalNetwork?
    let network: RemoteNetwork
    let engine: VolumeEngine
    /// What sees to it that only one machine writes; `nil` if the volume is only read here.
    let writer: VolumeWriter?
    /// What shows the volume as another machine makes it; `nil` unless it is mounted to be read.
    let follower: Follower?
    /// Where the trees of kept heads come from; `nil` if the volume keeps none.
    let snapshotSource: (any SnapshotSource)?
    /// Who keeps heads; `nil` if nobody does.
    let snapshotKeeping: (any SnapshotKeeping)?

    /// The volume's directory, made at the first use of the embedded network.
    static func directory(
        of source: MountOptions.Source,
        in home: Home,
        note: (String) -> Void
    ) throws(HomeError) -> VolumeDirectory {
        guard case .embedded = source else {
            guard case .volume(let name) = source else { preconditionFailure("two cases only") }
            return try VolumeDirectory.open(name, in: home)
        }
        let name = VolumeName.standard
        do throws(HomeError) {
            return try VolumeDirectory.open(name, in: home)
        } catch {
            guard error.code == .notFound else { throw error }
        }
        let made = try VolumeDirectory.create(
            name,
            in: home,
            network: .local,
            code: LocalNetwork.code,
            seed: .random(),
            writesPhrase: true
        )
        note("made volume '\(name)'; its recovery phrase is in \(made.path)/phrase")
        return made
    }

    /// Opens the volume, with `passphrase` if its key is locked; blocks until its embedded
    /// network, if it has one, is up.
    init(
        _ directory: VolumeDirectory,
        options: MountOptions,
        passphrase: Passphrase?,
        mountPoint: String,
        logger: Logger,
        note: (String) -> Void
    ) throws(ControlFailure) {
        let unlocked: (identity: SigningKey, key: VolumeKey)
        do throws(HomeError) {
            lock = try directory.lock(mountPoint: mountPoint)
            // Its keys may have been changed until now.
            let directory = try VolumeDirectory.open(directory.name, in: directory.home)
            self.directory = directory
            guard options.isReadOnly || !directory.isRetained else {
                throw HomeError(
                    .usage,
                    "volume '\(directory.name)' was recovered from a retained head: mount it with"
                        + " -o ro, and copy what you need to a new volume"
                )
            }
            let keys = try directory.unlock(
                phrase: try Self.phrase(options.phraseFile),
                passphrase: passphrase
            )
            localNetwork =
                directory.isLocal
                ? LocalNetwork(
                    home: directory.home,
                    logger: logger,
                    epochSeconds: options.epochSeconds
                ) : nil
            let file =
                if let localNetwork { try localNetwork.start() } else { try directory.network() }
            do {
                network = try Self.connect(
                    file,
                    keys.identity,
                    directory,
                    registers: !options.follows,
                    logger
                )
            } catch {
                localNetwork?.stop()
                throw error
            }
            unlocked = keys
        } catch {
            throw ControlFailure(error)
        }
        do throws(ControlFailure) {
            let begun = try EngineOpening(
                directory: directory,
                keys: unlocked,
                network: network,
                options: options,
                mountPoint: mountPoint,
                logger: logger
            ).begin(note: note)
            (engine, writer) = begun
        } catch {
            network.close()
            localNetwork?.stop()
            throw error
        }
        let heads = KeptHeads(of: engine)
        // Who looks at a retained head wants no newer one.
        guard options.follows, !directory.isRetained, let heads else {
            follower = nil
            (snapshotSource, snapshotKeeping) = (heads, heads)
            return
        }
        do throws(FileSystemError) {
            let follower = try Follower(
                engine,
                directory: directory.followedDirectory,
                markPath: directory.followedMarkPath,
                logger: logger
            )
            try follower.start()
            self.follower = follower
            let snapshots = FollowedSnapshots(follower, own: heads)
            (snapshotSource, snapshotKeeping) = (snapshots, snapshots)
        } catch {
            _ = try? engine.shutdown(drainSeconds: 0)
            network.close()
            localNetwork?.stop()
            throw ControlFailure(error)
        }
    }

    private static func connect(
        _ file: NetworkFile,
        _ identity: SigningKey,
        _ directory: VolumeDirectory,
        registers: Bool,
        _ logger: Logger
    ) throws(HomeError) -> RemoteNetwork {
        let network: RemoteNetwork
        do throws(NetworkError) {
            network = try RemoteNetwork(
                file: file,
                identity: identity,
                logger: logger,
                directoryCache: directory.providersPath
            )
        } catch {
            throw HomeError(.failed, error.message)
        }
        guard registers else { return network }
        do throws(HomeError) {
            try directory.register(at: network, as: identity)
        } catch {
            // Files in the cache, and those of providers that are up, can be had without a keeper.
            logger.warning("\(error.message); it is tried again at the next mount")
        }
        return network
    }

    private static func phrase(_ path: String?) throws(HomeError) -> RecoveryPhrase? {
        guard let path else { return nil }
        let bytes: [UInt8]
        do throws(DiskError) {
            bytes = try WholeFile.read(path, limit: phraseBytesMax)
        } catch {
            throw HomeError(error)
        }
        do throws(PhraseError) {
            return try RecoveryPhrase(parsing: String(decoding: bytes, as: UTF8.self))
        } catch {
            throw HomeError(.wrongSecret, "\(path): \(error)")
        }
    }

    /// Closes everything, uploading nothing more.
    func close(logger: Logger) {
        follower?.stop()
        do throws(FileSystemError) {
            let remaining = try engine.shutdown(drainSeconds: 0)
            if remaining > 0 {
                logger.warning(
                    "\(remaining) bytes are only on this machine; the next mount places them"
                )
            }
        } catch {
            logger.error("the volume was not closed cleanly: \(error.message)")
        }
        writer?.stop()
        network.close()
        localNetwork?.stop()
        lock.release()
    }
}

extension HomeError.Code {
    init(_ code: FileSystemError.Code) {
        switch code {
        case .notFound: self = .notFound
        case .exists: self = .already
        case .noSpace: self = .diskFull
        case .unavailable: self = .unreachable
        case .corrupt: self = .corrupt
        default: self = .failed
        }
    }
}

extension ControlFailure {
    init(_ error: HomeError) {
        let code: ExitCode =
            switch error.code {
            case .failed: .failed
            case .usage: .usage
            case .notFound: .notFound
            case .already: .already
            case .unreachable: .unreachable
            case .wrongSecret: .wrongSecret
            case .diskFull: .diskFull
            case .corrupt: .corrupt
            }
        self.init(code, error.message)
    }
}
