/// What `mefs status` shows of a mounted volume.
///
/// Its JSON is what `mefs status --json` prints.
///
/// *Dirty* is what only the local disk holds, *placing* is on its way, *placed* is on providers.
/// Sizes are bytes of the files unless said otherwise.
package struct VolumeStatus: Codable, Hashable, Sendable {
    /// What the mount process is about.
    package enum State: String, Codable, Sendable {
        case mounted
        /// Being unmounted: what is dirty is being placed.
        case draining
    }

    /// A provider as the mount sees it.
    package struct Provider: Codable, Hashable, Sendable {
        /// Hexadecimal.
        package var id: String
        /// HOST:PORT.
        package var address: String
        /// What fails together: at most `m` shards of a stripe are in one domain.
        package var domain: String
        package var up: Bool
        package var usedBytes: UInt64
        package var capacityBytes: UInt64

        package init(
            id: String,
            address: String,
            domain: String,
            up: Bool,
            usedBytes: UInt64,
            capacityBytes: UInt64
        ) {
            self.id = id
            self.address = address
            self.domain = domain
            self.up = up
            self.usedBytes = usedBytes
            self.capacityBytes = capacityBytes
        }
    }

    package var volume: String
    package var mountpoint: String
    package var state: State = .mounted
    /// Process id of the mount.
    package var pid: Int32

    package var dirtyBytes: UInt64 = 0
    package var dirtyFiles: UInt64 = 0
    package var dirtyBlocks: UInt64 = 0
    /// Age of the oldest dirty data; `nil` if nothing is dirty.
    package var oldestDirtyAgeSeconds: Double?
    package var placingBytes: UInt64 = 0
    package var placedBytes: UInt64 = 0
    package var placedFiles: UInt64 = 0
    package var totalFiles: UInt64 = 0
    package var totalBytes: UInt64 = 0

    /// Bytes of local disk that hold contents, and how many they may be.
    package var cacheBytes: UInt64 = 0
    package var cacheBytesMax: UInt64 = 0

    package var stripes: UInt64 = 0
    package var shards: UInt64 = 0
    package var providersUp: Int = 0
    package var providersDown: Int = 0
    package var providers: [Provider] = []

    /// Shard bytes on the wire, lately and since the mount.
    package var uploadBytesPerSecond: Double = 0
    package var downloadBytesPerSecond: Double = 0
    package var uploadedBytesTotal: UInt64 = 0
    package var downloadedBytesTotal: UInt64 = 0

    /// Why data is not getting through, if it is not.
    package var lastError: String?
    /// Recent failures of single shards, newest last.
    package var shardErrors: [String] = []
    /// User and system CPU time of the mount process.
    package var cpuSeconds: Double = 0

    package init(volume: String, mountpoint: String, pid: Int32) {
        self.volume = volume
        self.mountpoint = mountpoint
        self.pid = pid
    }
}

/// How far a `sync` or the draining before an unmount has come.
package struct SyncProgress: Codable, Hashable, Sendable {
    /// Bytes that are not on providers yet.
    package var remainingBytes: UInt64
    /// Bytes that were not when it began, or more if programs went on writing.
    package var totalBytes: UInt64

    package init(remainingBytes: UInt64, totalBytes: UInt64) {
        self.remainingBytes = remainingBytes
        self.totalBytes = totalBytes
    }

    /// 0...1.
    package var fraction: Double {
        guard totalBytes > 0, remainingBytes <= totalBytes else { return totalBytes > 0 ? 0 : 1 }
        return 1 - Double(remainingBytes) / Double(totalBytes)
    }
}
