import Auditor
import Control
import Glibc
import Home
import Logging
import Network
import Primitives
import Reliability
import Sealing
import Volume

/// Opens the engine of a volume: as its writer with the lease, or only to be read.
struct EngineOpening {
    let directory: VolumeDirectory
    let keys: (identity: SigningKey, key: VolumeKey)
    let network: RemoteNetwork
    let options: MountOptions
    let mountPoint: String
    let logger: Logger

    /// Opens it, as its writer unless the volume is only to be read.
    ///
    /// `note` tells who mounts.
    ///
    /// - Throws: `already`, naming who writes the volume, if another machine does; `corrupt` if
    ///   keepers have gone back; what keeps the engine from being opened.
    func begin(
        note: (String) -> Void
    ) throws(ControlFailure) -> (VolumeEngine, VolumeWriter?) {
        // What is only read is neither published nor changed at providers.
        guard !options.isReadOnly else { return (try open(for: nil), nil) }
        let writer = try makeWriter()
        do throws(ControlFailure) {
            try writer.acquire()
            // Nothing is published before `confirm`.
            return (try settle(try open(for: writer), writer, note), writer)
        } catch {
            writer.stop()
            throw error
        }
    }

    private func makeWriter() throws(ControlFailure) -> VolumeWriter {
        do throws(HomeError) {
            return try VolumeWriter(
                directory,
                network: network,
                identity: keys.identity,
                options: options,
                logger: logger
            )
        } catch {
            throw ControlFailure(error)
        }
    }

    private func settle(
        _ engine: VolumeEngine,
        _ writer: VolumeWriter,
        _ note: (String) -> Void
    ) throws(ControlFailure) -> VolumeEngine {
        var engine = engine
        do throws(ControlFailure) {
            switch try writer.find(for: engine) {
            case .same: writer.confirm(engine)
            case .unknown: try writer.pursue(for: engine)
            case .newer(let head):
                try replace(engine, by: head, note)
                engine = try open(for: writer)
                // Who had the lease meanwhile, if this machine lost it, is found out by itself.
                writer.confirm(engine)
            }
            return engine
        } catch {
            _ = try? engine.shutdown(drainSeconds: 0)
            throw error
        }
    }

    /// Makes the volume on this machine what another one made of it, and closes `engine`; files
    /// that are in no head are copied out before.
    ///
    /// Cut off before the new database is whole, all of it is done again.
    private func replace(
        _ engine: VolumeEngine,
        by head: VolumeHead,
        _ note: (String) -> Void
    ) throws(ControlFailure) {
        do throws(FileSystemError) {
            let folder = try ConflictFolder(directory: directory, engine: engine).fill()
            if let folder {
                let what =
                    "another machine has written volume '\(directory.name)' since this one did;"
                    + " files that were only here are in \(folder)"
                logger.warning("\(what)")
                note(what)
            }
            try engine.shutdown(drainSeconds: 0)
            let recovery = VolumeRecovery(key: keys.key, network: network, logger: logger)
            let plan = try recovery.plan(head)
            let behind = try recovery.restore(plan, to: directory.incomingMetadataPath) { _, _ in }
            for path in behind {
                logger.warning("\(path): its newest bytes are only on the machine that wrote them")
            }
        } catch {
            throw ControlFailure(
                .failed,
                "volume '\(directory.name)' was written by another machine, and is not as it made"
                    + " it here yet: \(error.message)"
            )
        }
        do throws(HomeError) {
            try directory.finishReplacing()
        } catch {
            throw ControlFailure(error)
        }
        logger.notice("volume \(directory.name) is as of head \(head.version)")
    }

    private func open(for writer: VolumeWriter?) throws(ControlFailure) -> VolumeEngine {
        var configuration = VolumeConfiguration(
            id: directory.id,
            name: directory.name,
            code: directory.code,
            key: keys.key,
            metadataPath: directory.metadataPath,
            cacheDirectory: directory.cacheDirectory
        )
        configuration.checksAfterCrash = true
        configuration.discardsLostChanges = options.discardsLostChanges
        if let bytes = options.cacheBytesMax { configuration.cacheBytesMax = bytes }
        if let bytes = options.dirtyBytesMax { configuration.dirtyBytesMax = bytes }
        if let seconds = options.dirtyAgeSeconds { configuration.dirtyAgeSeconds = seconds }
        var checkpoints = VolumeConfiguration.Checkpoints(owner: keys.identity)
        checkpoints.term = { writer?.term ?? 0 }
        configuration.checkpoints = checkpoints
        configuration.mayPublish = { writer?.mayPublish ?? false }
        // Who only reads places nothing, and leaves providers to who writes.
        let isReader = options.follows
        configuration.isSuperseded = { writer?.isLost ?? isReader }
        // What a retained head names may be elsewhere by now: nothing is moved or told by it.
        if !isReader, !directory.isRetained {
            configuration.custody = options.custody(
                of: directory,
                owner: keys.identity,
                on: network.file
            )
        }
        configuration.custody?.rates.mayMove = configuration.mayPublish
        // The root of a new volume belongs to who owns the directory it appears at.
        var owner = stat()
        if stat(mountPoint, &owner) == 0 {
            configuration.rootUID = owner.st_uid
            configuration.rootGID = owner.st_gid
        }
        do throws(FileSystemError) {
            return try VolumeEngine(configuration, network: network, logger: logger)
        } catch {
            throw ControlFailure(HomeError(.init(error.code), error.message))
        }
    }
}

extension MountOptions {
    /// How the volume's shards are to be looked after.
    fileprivate func custody(
        of directory: VolumeDirectory,
        owner: SigningKey,
        on network: NetworkFile
    ) -> VolumeConfiguration.Custody {
        var custody = VolumeConfiguration.Custody(
            owner: owner,
            databasePath: directory.auditPath,
            keepers: network.keepers.map(\.publicKey)
        )
        if let auditLeaves { custody.rates.leavesPerEpoch = UInt32(clamping: auditLeaves) }
        if let repairWaitSeconds {
            custody.rates.repairPolicy = RepairPolicy(wait: .seconds(repairWaitSeconds))
        }
        if let repairBytesPerSecond {
            custody.rates.repairBytesPerSecond = Int(clamping: repairBytesPerSecond)
        }
        custody.delegates = delegates
        return custody
    }
}
