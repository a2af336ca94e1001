import Disk

extension VolumeDirectory {
    /// Where files are kept that were in no head when another machine had written the volume.
    package var conflictsDirectory: String { path + "/conflicts" }

    /// Where a metadata database is put, whole and durable, that is to take the place of the
    /// present one and of the cache with it.
    package var incomingMetadataPath: String { path + "/metadata/incoming.db" }

    /// What goes with the database that is replaced.
    private static let suffixes = ["", "-wal", "-shm", ".cache-id"]

    /// Puts the incoming metadata database, if there is one, in the place of the present one.
    ///
    /// Cut off at any instant, it can be repeated: the new one gets its name once nothing is left
    /// of the old. The caller has the volume's lock.
    package func finishReplacing() throws(HomeError) {
        guard WholeFile.exists(incomingMetadataPath) else { return }
        try withDisk { () throws(DiskError) in
            for name in try Directory.list(cacheDirectory) {
                try Directory.remove(tree: cacheDirectory + "/" + name)
            }
            try Directory.remove(tree: snapshotsDirectory)
            for suffix in Self.suffixes { try Directory.remove(tree: metadataPath + suffix) }
            // The old log must not come to the new database.
            try Directory.sync(Directory.parent(of: metadataPath))
            try Directory.rename(incomingMetadataPath, to: metadataPath)
        }
    }
}
