package import Auditor
package import Metadata
package import Network
package import Primitives
import Disk
import Logging
import Synchronization

/// What `mefs status` shows of an engine.
package struct EngineStatus: Sendable {
    package let totals: MetadataTotals
    package let placingBytes: UInt64
    package let cacheBytesMax: UInt64
    package let providers: [ProviderRecord]
    package let uploadBytesPerSecond: Double
    package let downloadBytesPerSecond: Double
    package let uploadedBytes: UInt64
    package let downloadedBytes: UInt64
    package let degradedReads: UInt64
    /// Openings that the kernel serves by itself: now, and since the start.
    package let passthroughOpenings: Int
    package let passthroughOpeningsTotal: UInt64
    /// How far the heads of the volume are; `nil` if none are made.
    package let checkpoints: CheckpointStatus?
    /// Why uploads are not getting through, if they are not.
    package let lastError: String?
    package let shardErrors: [String]
    /// Seconds the oldest dirty byte has waited, if there is one.
    package let oldestDirtyAgeSeconds: Double?
    /// How its shards are looked after; `nil` if nobody does.
    package let custody: CustodyStatus?
    /// What the check after an unclean stop has come to; `nil` if there was none.
    package let lastCheck: CrashCheck.State?
    /// Who looks after them while the volume is not open.
    package let delegatedTo: [NodeID]
    /// Why nobody would although somebody should.
    package let delegationError: String?
}

/// What `statfs(2)` tells.
package struct VolumeStatistics: Sendable {
    /// User bytes the providers that are up could hold in all.
    package let totalBytes: UInt64
    package let freeBytes: UInt64
    package let fileCount: UInt64
}

extension VolumeEngine {
    package func status() -> EngineStatus {
        let rates = meters.bytesPerSecond()
        let totals = metadata.totals
        return EngineStatus(
            totals: totals,
            placingBytes: uploader.placingBytes,
            cacheBytesMax: configuration.cacheBytesMax,
            providers: (try? network.providers()) ?? [],
            uploadBytesPerSecond: rates.upload,
            downloadBytesPerSecond: rates.download,
            uploadedBytes: meters.uploadedBytes.load(ordering: .relaxed),
            downloadedBytes: meters.downloadedBytes.load(ordering: .relaxed),
            degradedReads: meters.degradedReads.load(ordering: .relaxed),
            passthroughOpenings: passthrough.handleCount.load(ordering: .relaxed),
            passthroughOpeningsTotal: passthrough.openings.load(ordering: .relaxed),
            checkpoints: checkpoints?.status,
            lastError: meters.lastError,
            shardErrors: meters.shardErrors,
            oldestDirtyAgeSeconds: totals.oldestDirty.map {
                max(0, Clock.now().seconds(since: $0))
            },
            custody: custody?.custodian.status,
            lastCheck: crashCheck?.state,
            delegatedTo: custody?.delegation.flatMap { $0.isDelegated ? [$0.keeper] : nil } ?? [],
            delegationError: custody?.delegation?.trouble
        )
    }

    /// Space as the providers report it, less what the code adds.
    package func statistics() throws(FileSystemError) -> VolumeStatistics {
        let providers = ((try? network.providers()) ?? []).filter(\.isUp)
        let code = configuration.code
        let capacity = providers.reduce(0) { $0 + $1.capacityBytes }
        let used = providers.reduce(0) { $0 + min($1.usedBytes, $1.capacityBytes) }
        let share = Double(code.k) / Double(code.n)
        return VolumeStatistics(
            totalBytes: UInt64(Double(capacity) * share),
            freeBytes: UInt64(Double(capacity - used) * share),
            fileCount: metadata.totals.inodes
        )
    }

    /// Places all that is dirty now, has keepers take a head that names it, and makes the rest
    /// durable on this host: blocks that were written to again while they were on their way.
    ///
    /// - Parameter report: called as it goes with the bytes still dirty.
    /// - Throws: `unavailable`, with the reason, if nothing moved for a minute, or if not more than
    ///   half of the keepers take a head: all is placed then; `stale` if another machine writes.
    package func syncToNetwork(
        report: (_ dirtyBytes: UInt64) -> Void
    ) throws(FileSystemError) {
        try placeAll(report: report)
        do throws(FileSystemError) {
            _ = try checkpoints?.checkpoint()
        } catch {
            // Nobody but this host would find it, and who goes on from the head before would not.
            throw FileSystemError(
                error.code,
                "everything is placed, but keepers do not know of it yet: \(error.message)"
            )
        }
    }

    /// As `syncToNetwork`, but for the head that names it.
    func placeAll(report: (_ dirtyBytes: UInt64) -> Void) throws(FileSystemError) {
        reclaimer.rest()
        defer { reclaimer.rest() }
        try passthrough.harvestAll()
        try uploader.drain(report: report)
        try settler.settleAll()
    }

    /// Stripes listed at a time.
    private static let stripePageMax = 1024

    /// Every placed stripe with its shards.
    package func placedStripes() throws(FileSystemError) -> [StripeRecord] {
        var stripes: [StripeRecord] = []
        while true {
            let page = try metadata.placedStripes(
                after: stripes.last?.id,
                limit: Self.stripePageMax
            )
            guard !page.isEmpty else { return stripes }
            stripes += page
        }
    }

    /// Evicts every clean block from the cache.
    ///
    /// - Returns: the bytes evicted.
    package func dropCache() throws(FileSystemError) -> UInt64 {
        fetcher.forgetFetched()
        return try evictor.dropAll()
    }
}
