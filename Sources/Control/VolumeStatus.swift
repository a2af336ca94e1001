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
        /// Whether it asked for everything to be moved away.
        package var isLeaving = false
        /// How far it is to be relied on, 0...1; `nil` if nothing is known.
        package var score: Double?
        /// What the score comes from, in plain words.
        package var scoreReasons: [String] = []
        /// Of the last audit of it: `ok`, `slow`, `unreachable`, `missing`, `corrupt`, `forged`.
        package var lastVerdict: String?
        package var lastVerdictReason: String?
        /// When it last proved to hold what it should: RFC 3339.
        package var lastProof: String?
        package var lastProofAgeSeconds: Double?
        /// Shards of this volume that it should hold, and those under its last good proof.
        package var shards: UInt64 = 0
        package var provedShards: UInt64 = 0

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

    /// A stripe in danger.
    package struct Stripe: Codable, Hashable, Sendable {
        /// The first eight hexadecimal digits of its id.
        package var stripe: String
        /// Shards that are where they should be, of `n`.
        package var healthy: Int
        package var n: Int
        /// The chance that it is lost within 30 days if nothing is repaired.
        package var lossProbability: Double

        package init(stripe: String, healthy: Int, n: Int, lossProbability: Double) {
            self.stripe = stripe
            self.healthy = healthy
            self.n = n
            self.lossProbability = lossProbability
        }
    }

    /// Entries of `worstStripes` at most.
    package static let worstStripesMax = 8

    package var volume: String
    package var mountpoint: String
    package var state: State = .mounted
    /// Process id of the mount.
    package var pid: Int32

    /// Whether this machine writes the volume: `held`, `unknown` as long as keepers are out of
    /// reach, or `lost to NAME`; `nil` if it is mounted to be read.
    package var writer: String?

    /// What a mount that is read only follows.
    package struct Following: Codable, Hashable, Sendable {
        /// The head that is shown; `nil` as long as it is what this machine has itself.
        package var headVersion: UInt64?
        /// How long ago that head was made.
        package var headAgeSeconds: Double?
        /// What the machine is called that writes the volume, or did last; `nil` if unknown.
        package var writer: String?
        /// How long ago a keeper told of the newest head; `nil` if none did.
        package var heardSeconds: Double?
        /// Why what is shown may not be the newest, if it may not.
        package var trouble: String?

        package init(
            headVersion: UInt64?,
            headAgeSeconds: Double?,
            writer: String?,
            heardSeconds: Double?,
            trouble: String?
        ) {
            self.headVersion = headVersion
            self.headAgeSeconds = headAgeSeconds
            self.writer = writer
            self.heardSeconds = heardSeconds
            self.trouble = trouble
        }
    }

    /// What is followed; `nil` unless the volume is mounted to be read.
    package var follows: Following?

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

    /// The network's epoch, and how long one is; `nil` as long as no keeper has told.
    package var epoch: UInt64?
    package var epochSeconds: UInt32?
    /// When the provider that proved least lately did so: RFC 3339; `nil` if one never did.
    package var lastProof: String?
    package var lastProofAgeSeconds: Double?
    /// The stripes likeliest to be lost, the worst first; at most `worstStripesMax`.
    package var worstStripes: [Stripe] = []
    /// Shards that wait to be rebuilt or moved; those that were since the mount, and their bytes.
    package var repairsPending: UInt64 = 0
    package var repairsDone: UInt64 = 0
    package var repairedBytes: UInt64 = 0
    /// Copies that came back after they were rebuilt elsewhere; `nil` from an older mount.
    package var spareShards: UInt64?
    /// Short ids of the keepers that audit and repair while nothing is mounted.
    package var delegatedTo: [String] = []
    /// Why audits do not go on, if they do not.
    package var auditError: String?

    /// Openings of files that the kernel reads and writes by itself: now, and since the mount;
    /// `nil` from an older mount.
    package var passthroughOpenings: UInt64?
    package var passthroughOpeningsTotal: UInt64?

    /// The newest head that a keeper has, and how old it is: what would come back if this machine
    /// were lost; `nil` if there is none.
    package var headVersion: UInt64?
    package var headAgeSeconds: Double?
    /// Blocks of which that head has an older version or none.
    package var headBehindBlocks: UInt64?
    /// Why there is no newer head, if there should be.
    package var headError: String?

    /// How the check of the metadata after an unclean stop has ended; `nil` if there was none.
    package var lastCheck: String?
    /// What it has found.
    package var checkFindings: UInt64?

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
