package import Logging
package import Network
package import Primitives
import Cache
import Disk
import Erasure
import Metadata
import Sealing
import Synchronization

/// One volume: its names, its bytes, their way to the providers and back; without a kernel.
///
/// Namespace operations are answered from memory and an open transaction of the metadata store.
/// Reads and writes go through the cache on the local disk; `Uploader` empties it towards the
/// providers and `Fetcher` fills it from there. All methods may be called from any thread. Those
/// with a `wait` argument throw `wouldWait` rather than wait when told so.
///
/// Order of locks: a file's content, then the metadata store's own. Never two contents at once.
package final class VolumeEngine: Sendable {
    package let configuration: VolumeConfiguration
    let metadata: MetadataStore
    let cache: CacheStore
    let contents = ContentTable()
    let inodes: LiveInodes
    let network: any StorageNetwork
    let meters = Meters()
    let fetcher: Fetcher
    let uploader: Uploader
    let reclaimer: Reclaimer
    let evictor: Evictor
    let settler: Settler
    let passthrough: PassthroughFiles
    let custody: VolumeCustody?
    let checkpoints: CheckpointWriter?
    let snapshotKeeper: SnapshotKeeper?
    /// Who has locks kept by others; `nil` if there are no heads, or no orders.
    let retainer: Retainer?
    /// The check after an unclean stop; `nil` if the volume was closed in order.
    let crashCheck: CrashCheck?
    let logger: Logger
    private let isClosed = Mutex(false)

    /// Opens the volume, recovering what a crash left, and starts its threads.
    ///
    /// - Throws: `FileSystemError` if the database or cache cannot be used; the message names the
    ///   path and what to do.
    package init(
        _ configuration: VolumeConfiguration,
        network: any StorageNetwork,
        logger: Logger
    ) throws(FileSystemError) {
        self.configuration = configuration
        self.network = network
        self.logger = logger
        metadata = try Self.openMetadata(configuration)
        let mustCheck = configuration.checksAfterCrash && !metadata.wasCleanlyClosed
        crashCheck = mustCheck ? CrashCheck(configuration.metadataPath, logger: logger) : nil
        cache = try CacheStore(directory: configuration.cacheDirectory)
        try Self.recover(
            configuration,
            metadata: metadata,
            cache: cache,
            logger: logger
        )
        inodes = LiveInodes()
        custody = try Self.custody(configuration, metadata, network, logger)
        let reader = StripeReader(
            network: network,
            key: configuration.key,
            meters: meters,
            custody: custody,
            logger: logger
        )
        fetcher = Fetcher(
            metadata: metadata,
            cache: cache,
            reader: reader,
            key: configuration.key,
            logger: logger
        )
        uploader = Uploader(
            configuration: configuration,
            metadata: metadata,
            cache: cache,
            contents: contents,
            network: network,
            meters: meters,
            custody: custody,
            logger: logger
        )
        let retention = try configuration.custody.map { custody throws(FileSystemError) in
            try ShardRetention(custody, network: network, logger: logger)
        }
        reclaimer = Reclaimer(
            metadata: metadata,
            cache: cache,
            contents: contents,
            network: network,
            fetcher: fetcher,
            custody: custody,
            retention: retention,
            mayPublish: configuration.mayPublish,
            logger: logger
        )
        evictor = Evictor(
            configuration: configuration,
            metadata: metadata,
            cache: cache,
            contents: contents,
            logger: logger
        )
        passthrough = PassthroughFiles(
            configuration: configuration,
            metadata: metadata,
            cache: cache,
            contents: contents,
            logger: logger
        )
        settler = Settler(
            configuration: configuration,
            metadata: metadata,
            cache: cache,
            contents: contents,
            passthrough: passthrough,
            logger: logger
        )
        checkpoints = configuration.checkpoints.map { [metadata, meters, custody] settings in
            CheckpointWriter(
                configuration: configuration,
                settings: settings,
                metadata: metadata,
                network: network,
                meters: meters,
                custody: custody,
                logger: logger
            )
        }
        snapshotKeeper = checkpoints.map { _ in SnapshotKeeper(logger: logger) }
        retainer = retention.flatMap { [metadata, custody] retention in
            Retainer(
                configuration: configuration,
                metadata: metadata,
                network: network,
                retention: retention,
                custody: custody,
                logger: logger
            )
        }
        // Before any thread is started, which nobody would end.
        try checkpoints?.prepare()
        let doubts = try custody == nil ? [] : metadata.takeDoubts(limit: Self.doubtsMax)
        for ino in try metadata.orphans() { reclaimer.reap(ino) }
        try fetcher.start()
        try uploader.start()
        try reclaimer.start()
        try evictor.start()
        try settler.start()
        try custody?.start()
        for doubt in doubts { custody?.noteDoubt(doubt.index, of: doubt.stripe) }
        try checkpoints?.start()
        if let heads = KeptHeads(of: self) { try snapshotKeeper?.start(heads) }
        try retainer?.start()
        try crashCheck?.start()
    }

    /// Shards of which a check's doubts are handed on at one opening, as many as a custodian keeps.
    private static let doubtsMax = 256

    /// Stops the threads and closes the database, after up to `drainSeconds` of uploading.
    ///
    /// What remains dirty is safe on the local disk and is uploaded by the next engine.
    ///
    /// - Returns: the dirty bytes that remain.
    @discardableResult
    package func shutdown(drainSeconds: Double) throws(FileSystemError) -> UInt64 {
        guard
            isClosed.withLock({ closed in
                defer { closed = true }; return !closed
            })
        else {
            return 0
        }
        crashCheck?.stop()
        passthrough.finish()
        if drainSeconds > 0, metadata.totals.dirtyBytes > 0 {
            do throws(FileSystemError) {
                try uploader.drain(seconds: drainSeconds) { _ in }
            } catch {
                logger.warning("not everything could be placed: \(error.message)")
            }
        }
        snapshotKeeper?.stop()
        retainer?.stop()
        checkpoints?.stop()
        evictor.stop()
        settler.stop()
        reclaimer.stop()
        uploader.stop()
        fetcher.stop()
        custody?.stop()
        try cache.syncAll()
        let remaining = metadata.totals.dirtyBytes
        try metadata.close()
        return remaining
    }

    private static func custody(
        _ configuration: VolumeConfiguration,
        _ metadata: MetadataStore,
        _ network: any StorageNetwork,
        _ logger: Logger
    ) throws(FileSystemError) -> VolumeCustody? {
        guard let custody = configuration.custody else { return nil }
        return try VolumeCustody(
            configuration,
            custody,
            metadata: metadata,
            network: network,
            logger: logger
        )
    }

    private static func openMetadata(
        _ configuration: VolumeConfiguration
    ) throws(FileSystemError) -> MetadataStore {
        let path = configuration.metadataPath
        let limits = configuration.metadataLimits
        do throws(FileSystemError) {
            return try MetadataStore(opening: path, limits: limits)
        } catch {
            guard error.code == .notFound else { throw error }
            guard !CacheIdentity(configuration).hasTraces else {
                // An empty volume in its place would throw away the cache and what is placed.
                throw FileSystemError(
                    .corrupt,
                    "the metadata database \(path) is missing, but the volume was used before:"
                        + " put the database back"
                )
            }
            try MetadataStore.create(
                at: path,
                uid: configuration.rootUID,
                gid: configuration.rootGID,
                now: Clock.now()
            )
            return try MetadataStore(opening: path, limits: limits)
        }
    }
}
