package import Metadata
package import Network
package import Primitives
import Cache
import Disk
import Sealing

/// Checks a volume that is not mounted, changing nothing.
package enum VolumeCheck {
    /// Checks the metadata database, the cache directory against it, and, with a network, the
    /// shards at their providers.
    ///
    /// Takes the locks of database and cache, so that no engine may have the volume open. Works
    /// after any crash: what the next opening will see to is noted and is no finding.
    ///
    /// `deep`: opens every file key; with a network reads every shard and compares it with its
    /// root, every block with its tags, and cached bytes with placed ones.
    ///
    /// - Throws: `invalid` if the volume is in use or its database is of another program or
    ///   version, `inputOutput` if something could not be read. Damage is never thrown.
    package static func run(
        _ configuration: VolumeConfiguration,
        network: (any StorageNetwork)? = nil,
        deep: Bool = false,
        progress: (CheckProgress) -> Void = { _ in }
    ) throws(FileSystemError) -> CheckReport {
        try run(configuration, network: network, deep: deep, faults: nil, progress: progress)
    }

    /// The same; `faults` is told what a repair has to know of the cache and of providers.
    static func run(
        _ configuration: VolumeConfiguration,
        network: (any StorageNetwork)?,
        deep: Bool,
        faults: VolumeFaults?,
        progress: (CheckProgress) -> Void
    ) throws(FileSystemError) -> CheckReport {
        var report = CheckReport()
        let path = configuration.metadataPath
        guard WholeFile.exists(path) else {
            if CacheIdentity(configuration).hasTraces {
                report.add(
                    CheckFinding(
                        .databaseMissing,
                        path,
                        "the volume was used before, and its database is gone"
                    )
                )
            }
            return report
        }
        let metadata = try MetadataCheck(opening: path)
        defer { metadata.close() }
        let cacheLock = try lockCache(configuration)
        defer { cacheLock?.release() }
        guard try metadata.run(into: &report, progress: progress) else { return report }
        let cache = try CacheCheck(configuration, metadata, report, faults: faults)
        try cache.run(into: &report, progress: progress)
        if deep {
            try checkKeys(configuration, metadata, faults, &report, progress)
        }
        if let network {
            let shards = ShardCheck(
                configuration,
                metadata,
                network,
                isDeep: deep,
                comparesCache: cache.holdsPlacedBytes,
                faults: faults
            )
            try shards.run(into: &report, progress: progress)
        }
        return report
    }

    /// `nil` if there is no cache directory.
    static func lockCache(
        _ configuration: VolumeConfiguration
    ) throws(FileSystemError) -> FileLock? {
        guard Directory.isDirectory(configuration.cacheDirectory) else { return nil }
        do {
            return try FileLock(
                configuration.cacheDirectory + "/.lock",
                note: "check of a volume"
            )
        } catch {
            throw FileSystemError(.invalid, "the cache is in use: \(error)")
        }
    }

    /// Keys read at once.
    private static let keyPage = 4096

    /// Opens the key of every file.
    private static func checkKeys(
        _ configuration: VolumeConfiguration,
        _ metadata: MetadataCheck,
        _ faults: VolumeFaults?,
        _ report: inout CheckReport,
        _ progress: (CheckProgress) -> Void
    ) throws(FileSystemError) {
        var last: InodeNumber?
        var done: UInt64 = 0
        while true {
            let keys = try metadata.fileKeys(after: last, limit: keyPage)
            guard let end = keys.last else { return }
            for (ino, wrapped) in keys {
                do throws(SealingError) {
                    _ = try configuration.key.unwrap(wrapped, for: ino)
                    faults?.noteOpenedKey()
                } catch {
                    faults?.add(.wrongKey(ino))
                    report.add(
                        CheckFinding(
                            .wrongKey,
                            "inode \(ino.rawValue)",
                            "the volume's key does not open its key: \(error)"
                        )
                    )
                }
            }
            last = end.ino
            done += UInt64(keys.count)
            progress(CheckProgress(.keys, done: done))
        }
    }
}

/// Runs `body`, its failures of the disk turned into those of the file system.
func onDisk<T>(_ body: () throws(DiskError) -> T) throws(FileSystemError) -> T {
    do {
        return try body()
    } catch {
        throw FileSystemError(error)
    }
}
