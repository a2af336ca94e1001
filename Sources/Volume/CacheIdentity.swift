import Disk
import Primitives
import Sealing

/// Tells whether the cache directory is the one that the metadata's residency speaks of.
///
/// The same random id is kept beside the metadata database and in the cache directory. A cache
/// that was deleted, emptied, or belongs to another volume lacks it.
struct CacheIdentity {
    private static let idBytes = 16
    private let cachePath: String
    private let metadataPath: String

    init(_ configuration: VolumeConfiguration) {
        // Not a hidden name: who empties the directory with `rm -r cache/*` must take it along.
        cachePath = configuration.cacheDirectory + "/id"
        metadataPath = configuration.metadataPath + ".cache-id"
    }

    /// Whether this volume was opened before.
    var hasTraces: Bool { WholeFile.exists(cachePath) || WholeFile.exists(metadataPath) }

    /// Whether both sides know each other.
    func isIntact() throws(FileSystemError) -> Bool {
        guard WholeFile.exists(cachePath), WholeFile.exists(metadataPath) else { return false }
        do throws(DiskError) {
            let ours = try WholeFile.read(metadataPath, limit: 1024)
            return try WholeFile.read(cachePath, limit: 1024) == ours
        } catch {
            throw FileSystemError(error)
        }
    }

    /// Makes the two sides known to each other.
    ///
    /// The cache's side comes last: until it is there the cache does not count.
    func renew() throws(FileSystemError) {
        let id = Array(Hex.encode(SecureRandom.bytes(Self.idBytes)).utf8)
        do throws(DiskError) {
            try WholeFile.replace(metadataPath, with: id)
            try WholeFile.replace(cachePath, with: id)
        } catch {
            throw FileSystemError(error)
        }
    }
}
