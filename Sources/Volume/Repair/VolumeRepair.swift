package import Metadata
package import Network
package import Primitives
import Cache
import Disk

/// Repairs a volume that is not mounted.
///
/// The rows of the database first, in one transaction with a copy kept beside it; then the cache,
/// whose bytes go after the last row that names them. Shards are not rebuilt here: the next mount
/// is told which. What cannot be repaired is contained: a block whose bytes are lost is read as an
/// error, never as zeros. `docs/fsck.md` has the rules.
package enum VolumeRepair {
    /// What was found, what was done about it, and what is left.
    package struct Outcome: Sendable {
        /// The check before.
        package let found: CheckReport
        package var repair = RepairReport()
        /// The check after; of a trial the state that the repair would leave.
        package let left: CheckReport
        /// Paths of inodes that `found`, `repair` and `left` speak of.
        package var paths: [InodeNumber: String] = [:]
        /// Files of which blocks are lost, now or from before, at most `lostFilesMax`.
        package var lostFiles: [InodeNumber] = []
        /// Why nothing can be done, and what to do; `nil` if something can.
        package var hopeless: String?

        /// Whether something was wrong and is not any more.
        package var hasRepaired: Bool { repair.count > 0 }
        /// Whether something is wrong still, or lost for good.
        package var hasLoss: Bool { !left.isClean || repair.losses > 0 }
    }

    /// Files with lost blocks that are listed.
    package static let lostFilesMax = 1000
    /// What to do without a database.
    private static let advice =
        "restore it from a backup, or from the network with 'mefs volume recover'"

    /// Checks the volume as `VolumeCheck.run` does, and repairs what was found.
    ///
    /// `isTrial`: nothing is changed, and the outcome tells what would be.
    ///
    /// - Throws: `invalid` if the volume is in use or its database is of another program or
    ///   version, `noSpace` if there is no room for a copy of the database, `inputOutput`.
    package static func run(
        _ configuration: VolumeConfiguration,
        network: (any StorageNetwork)? = nil,
        deep: Bool = false,
        isTrial: Bool,
        progress: (CheckProgress) -> Void = { _ in }
    ) throws(FileSystemError) -> Outcome {
        let faults = VolumeFaults()
        let found = try VolumeCheck.run(
            configuration,
            network: network,
            deep: deep,
            faults: faults,
            progress: progress
        )
        var untouched = Outcome(found: found, left: found)
        guard !found.isClean else {
            try name(&untouched, in: configuration)
            return untouched
        }
        guard found.counts[.databaseMissing] == nil else {
            untouched.hopeless = "there is no database: \(advice)"
            return untouched
        }
        do throws(FileSystemError) {
            return try repair(configuration, found, faults, isTrial: isTrial, progress)
        } catch {
            guard error.code == .corrupt else { throw error }
            untouched.hopeless = error.message
            return untouched
        }
    }

    private static func repair(
        _ configuration: VolumeConfiguration,
        _ found: CheckReport,
        _ faults: VolumeFaults,
        isTrial: Bool,
        _ progress: (CheckProgress) -> Void
    ) throws(FileSystemError) -> Outcome {
        let cacheLock = try VolumeCheck.lockCache(configuration)
        defer { cacheLock?.release() }
        let repair = try MetadataRepair(
            opening: configuration.metadataPath,
            context: context(configuration),
            isTrial: isTrial
        )
        if found.counts[.wrongSchema] != nil { try repair.make([.schema]) }
        try learnOfCache(configuration, repair)
        try repair.settle(progress: progress)
        var contents = ContentRepair(configuration, repair)
        if repair.report.hasLostResidency { try adoptCached(configuration, repair) }
        try contents.makeGoodAtProviders(faults)
        try repair.settle(progress: progress)
        try contents.takeOutWrongBytes(faults)
        // Anew, since rows have changed: what was cached for nobody may be somebody's now.
        let (cacheFaults, _) = try lookAtCache(configuration, repair, progress)
        try contents.makeGoodInCache(cacheFaults)
        try repair.make([.heldBytes, .stripeCounts])
        try repair.settle(progress: progress)
        let (_, left) = try lookAtCache(configuration, repair, progress)
        var outcome = Outcome(
            found: found,
            repair: repair.report,
            left: isTrial ? contents.leftAfterChanges(left) : left
        )
        try name(&outcome, with: repair.check)
        try repair.commit()
        for change in contents.changes {
            let path = CacheStore.path(of: change.ino, in: configuration.cacheDirectory)
            outcome.repair.add(RepairAction(path, change.text))
            if !isTrial { try change.make(in: configuration.cacheDirectory) }
        }
        guard !isTrial else { return outcome }
        try syncCache(configuration, contents.changes)
        return try lookAgain(configuration, repair, outcome)
    }

    /// Looks at what the repair has left, on the disk itself.
    private static func lookAgain(
        _ configuration: VolumeConfiguration,
        _ repair: MetadataRepair,
        _ outcome: Outcome
    ) throws(FileSystemError) -> Outcome {
        let (_, left) = try lookAtCache(configuration, repair) { _ in }
        var again = Outcome(found: outcome.found, repair: outcome.repair, left: left)
        again.paths = outcome.paths
        again.lostFiles = outcome.lostFiles
        return again
    }

    // MARK: The cache

    /// Compares the cache with the rows as they are by now.
    private static func lookAtCache(
        _ configuration: VolumeConfiguration,
        _ repair: MetadataRepair,
        _ progress: (CheckProgress) -> Void
    ) throws(FileSystemError) -> (VolumeFaults, CheckReport) {
        let faults = VolumeFaults()
        var report = CheckReport()
        let check = repair.check
        guard try check.run(into: &report, progress: progress) else { return (faults, report) }
        try CacheCheck(configuration, check, report, faults: faults)
            .run(into: &report, progress: progress)
        return (faults, report)
    }

    /// What rows say of the cache can be believed if it is this volume's and no power cut came
    /// between.
    private static func learnOfCache(
        _ configuration: VolumeConfiguration,
        _ repair: MetadataRepair
    ) throws(FileSystemError) {
        var report = CheckReport()
        let check = repair.check
        // Rows that are wrong are none of its business; a past that is unknown is.
        guard try check.run(into: &report) || !report.counts.keys.contains(.databaseDamaged) else {
            return
        }
        repair.context.isCacheRight =
            try CacheCheck(configuration, check, report).holdsPlacedBytes
    }

    /// Notes blocks as changed that the cache has all of and that no row says to be cached.
    ///
    /// Rows are lost, and what is cached is never older than what is placed.
    private static func adoptCached(
        _ configuration: VolumeConfiguration,
        _ repair: MetadataRepair
    ) throws(FileSystemError) {
        guard repair.context.isCacheRight, try repair.check.wasClosed() else { return }
        let directory = configuration.cacheDirectory
        for bucket in 0..<CacheStore.bucketCount {
            let inodes = try onDisk { () throws(DiskError) in
                try CacheStore.inodes(ofBucket: bucket, in: directory)
            }
            for ino in inodes {
                let path = CacheStore.path(of: ino, in: directory)
                var next: UInt64 = 0
                while let data = try? Descriptor(opening: path).nextData(from: next) {
                    let index = BlockIndex(containing: data)
                    next = index.next.offset
                    try repair.adopt(BlockKey(ino, index))
                }
            }
        }
    }

    private static func context(_ configuration: VolumeConfiguration) -> RepairContext {
        let directory = configuration.cacheDirectory
        var context = RepairContext(code: configuration.code, now: Clock.now())
        context.cachedBytes = { ino in
            try? Descriptor(opening: CacheStore.path(of: ino, in: directory)).size()
        }
        context.cachedSegments = { key in
            let path = CacheStore.path(of: key.ino, in: directory)
            guard let file = try? Descriptor(opening: path) else { return 0 }
            return (try? Self.cachedSegments(of: file, in: key.index)) ?? 0
        }
        return context
    }

    private static func cachedSegments(
        of file: Descriptor,
        in index: BlockIndex
    ) throws(DiskError) -> UInt16 {
        var mask: UInt16 = 0
        var next = index.offset
        while let data = try file.nextData(from: next), data < index.next.offset {
            let segment = (data - index.offset) / UInt64(Geometry.segmentBytes)
            mask |= 1 << UInt16(segment)
            next = index.offset + (segment + 1) * UInt64(Geometry.segmentBytes)
        }
        return mask
    }

    private static func syncCache(
        _ configuration: VolumeConfiguration,
        _ changes: [CacheChange]
    ) throws(FileSystemError) {
        guard !changes.isEmpty else { return }
        try onDisk { () throws(DiskError) in
            try Descriptor(opening: configuration.cacheDirectory, .readOnly, .directory)
                .syncFilesystem()
        }
    }

    // MARK: Names

    private static func name(
        _ outcome: inout Outcome,
        in configuration: VolumeConfiguration
    ) throws(FileSystemError) {
        guard WholeFile.exists(configuration.metadataPath) else { return }
        let check = try MetadataCheck(opening: configuration.metadataPath)
        defer { check.close() }
        try name(&outcome, with: check)
    }

    /// Fills in the paths of what the outcome speaks of; damage may leave none.
    private static func name(
        _ outcome: inout Outcome,
        with check: MetadataCheck
    ) throws(FileSystemError) {
        do throws(FileSystemError) {
            outcome.lostFiles = try check.lostFiles(limit: lostFilesMax)
            var inodes = Set(outcome.lostFiles)
            inodes.formUnion((outcome.found.findings + outcome.left.findings).compactMap(\.ino))
            inodes.formUnion(outcome.repair.actions.compactMap(\.ino))
            outcome.paths = try check.paths(of: inodes)
        } catch {
            guard error.code == .corrupt || error.code == .inputOutput else { throw error }
        }
    }
}
