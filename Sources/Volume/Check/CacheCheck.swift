import Cache
import Disk
import Metadata
import Primitives

/// Compares the cache directory with what the metadata says it holds.
///
/// It sees what can be seen without the network: that files are there and reach as far as they
/// must, that segments called cached have bytes where there must be some, and that what reads as
/// zero is zero. One file at a time.
struct CacheCheck {
    private let configuration: VolumeConfiguration
    private let metadata: MetadataCheck
    /// Whether the volume was closed in order, so that nothing is left for a recovery.
    private let isSettled: Bool
    private let didHostGoDown: Bool
    private let isKnown: Bool
    private let faults: VolumeFaults?

    /// Whether clean blocks that are called cached have the placed bytes: it is this volume's
    /// cache, and no power cut may have left it behind its rows.
    var holdsPlacedBytes: Bool { isKnown && !didHostGoDown }

    /// Rows of cached files read at once.
    private static let page = 1024

    init(
        _ configuration: VolumeConfiguration,
        _ metadata: MetadataCheck,
        _ report: CheckReport,
        faults: VolumeFaults? = nil
    ) throws(FileSystemError) {
        self.faults = faults
        self.configuration = configuration
        self.metadata = metadata
        isSettled = report.wasCleanlyClosed
        let bootID = try onDisk { () throws(DiskError) in try Host.bootID() }
        didHostGoDown = !isSettled && metadata.bootID != bootID
        isKnown = try CacheIdentity(configuration).isIntact()
    }

    func run(
        into report: inout CheckReport,
        progress: (CheckProgress) -> Void
    ) throws(FileSystemError) {
        progress(CheckProgress(.cache))
        // Another cache than the metadata speaks of counts for nothing.
        guard isKnown else { return checkLost(&report) }
        try checkMissing(&report)
        let directory = configuration.cacheDirectory
        for bucket in 0..<CacheStore.bucketCount {
            progress(
                CheckProgress(
                    .cache,
                    done: UInt64(bucket),
                    total: UInt64(CacheStore.bucketCount)
                )
            )
            for ino in try inodes(ofBucket: bucket) {
                report.cacheFiles += 1
                let path = CacheStore.path(of: ino, in: directory)
                do throws(FileSystemError) {
                    try check(ino, at: path, &report)
                } catch {
                    switch error.code {
                    // A row of it was told of before.
                    case .corrupt: continue
                    case .inputOutput:
                        faults?.add(.unreadableFile(ino))
                        report.add(CheckFinding(.unreadableCacheFile, path, error.message))
                    default: throw error
                    }
                }
            }
        }
    }

    /// A bucket is made when it is first needed.
    private func inodes(ofBucket bucket: Int) throws(FileSystemError) -> [InodeNumber] {
        do throws(DiskError) {
            return try CacheStore.inodes(ofBucket: bucket, in: configuration.cacheDirectory)
        } catch {
            if error.isNotFound { return [] }
            throw FileSystemError(error)
        }
    }

    private func checkLost(_ report: inout CheckReport) {
        guard report.dirtyBlocks > 0 else {
            report.note(.cacheForgotten)
            return
        }
        report.add(
            CheckFinding(
                .cacheMissing,
                configuration.cacheDirectory,
                "the cache is gone or another volume's, and with it \(report.dirtyBlocks) changed"
                    + " blocks"
            )
        )
    }

    /// Looks for files that blocks are cached in, and that are not there.
    private func checkMissing(_ report: inout CheckReport) throws(FileSystemError) {
        var last: InodeNumber?
        while true {
            let files = try metadata.cachedFiles(after: last, limit: Self.page)
            guard let end = files.last else { return }
            last = end.ino
            for file in files {
                let path = CacheStore.path(of: file.ino, in: configuration.cacheDirectory)
                guard !WholeFile.exists(path) else { continue }
                if file.dirtyBlocks > 0 {
                    try checkLostFile(file, at: path, &report)
                } else {
                    report.note(.clearedResidency, count: file.blocks)
                }
            }
        }
    }

    private func checkLostFile(
        _ file: MetadataCheck.CachedFile,
        at path: String,
        _ report: inout CheckReport
    ) throws(FileSystemError) {
        // After a power cut, changes that were never acknowledged go back to what is placed, or
        // to nothing.
        let unsynced = didHostGoDown ? try unsyncedBlocks(of: file.ino) : 0
        report.note(.unsyncedChange, count: unsynced)
        guard file.dirtyBlocks > unsynced else { return }
        faults?.add(.missingFile(file.ino, onlySynced: didHostGoDown))
        report.add(
            CheckFinding(
                .cacheFileMissing,
                path,
                "\(file.dirtyBlocks - unsynced) changed blocks of inode \(file.ino.rawValue) were"
                    + " in it and nowhere else"
            )
        )
    }

    private func unsyncedBlocks(of ino: InodeNumber) throws(FileSystemError) -> UInt64 {
        var count: UInt64 = 0
        var next: UInt64 = 0
        while let start = try metadata.nextBlock(of: ino, from: next) {
            next = start + CacheFileCheck.windowBlocks
            for block in try metadata.blocks(of: ino, in: start..<next)
            where block.dirtySince != nil && block.resident != SegmentMask.all.rawValue {
                count += 1
            }
        }
        return count
    }

    private func check(
        _ ino: InodeNumber,
        at path: String,
        _ report: inout CheckReport
    ) throws(FileSystemError) {
        guard let file = try metadata.file(ino), file.isRegular else {
            faults?.add(.fileOfNobody(ino))
            if isSettled {
                report.add(
                    CheckFinding(
                        .cacheFileOfNobody,
                        path,
                        "there is no regular file with inode \(ino.rawValue)"
                    )
                )
            } else {
                report.note(.strayCacheFile)
            }
            return
        }
        guard try !metadata.isPassthrough(ino) else { return }
        let descriptor = try onDisk { () throws(DiskError) in try Descriptor(opening: path) }
        var check = try CacheFileCheck(
            ino,
            descriptor,
            fileBytes: file.size,
            metadata,
            isSettled: isSettled,
            didHostGoDown: didHostGoDown,
            faults: faults
        )
        try check.run(into: &report)
    }
}
