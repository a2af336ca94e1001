package import Metadata
package import Primitives
package import Sealing

/// What an engine needs to know of its volume and of this host.
package struct VolumeConfiguration: Sendable {
    package var id: VolumeID
    package var name: String
    package var code: ErasureCode
    package var key: VolumeKey
    /// Path of the metadata database; created if absent.
    package var metadataPath: String
    /// Directory of the cache; created if absent.
    package var cacheDirectory: String
    /// Owner and group of the root directory of a new volume.
    package var rootUID: UInt32 = 0
    package var rootGID: UInt32 = 0
    /// Cached bytes above which clean blocks are evicted, least recently used files first.
    package var cacheBytesMax: UInt64 = 16 << 30
    /// Dirty bytes above which writers are slowed.
    package var dirtyBytesMax: UInt64 = 4 << 30
    /// How long a change may stay only here before its upload begins, in seconds.
    ///
    /// Long enough that a burst of small files fills stripes, short enough that a lost laptop loses
    /// little.
    package var dirtyAgeSeconds: Double = 10

    /// How long a change may stay without being durable on this host although nobody syncs it, in
    /// seconds: as long as Linux leaves pages unwritten (`vm.dirty_expire_centisecs`).
    package var settleSeconds: Double = 30

    /// Free bytes of the cache's disk below which no file is opened for the kernel to write by
    /// itself: such a writer cannot be told to wait until what is placed has made room.
    package var passthroughFreeBytesMin: UInt64 = 16 << 30

    /// Cap on cached bytes below which none is either: whoever sets it lower wants less here.
    package var passthroughCacheBytesMin: UInt64 = 1 << 30

    /// The bounds of the metadata store.
    package var metadataLimits = MetadataLimits()

    /// Whether to go on when the cache is gone and with it changes that were nowhere else: what is
    /// placed counts again.
    ///
    /// Otherwise opening fails, so that nobody loses them unawares.
    package var discardsLostChanges = false

    /// Whether this machine is the volume's writer at this moment, so that heads may be published
    /// and shards deleted at providers; asked often, from many threads.
    package var mayPublish: @Sendable () -> Bool = { true }

    /// Whether another machine has taken the volume, so that nothing more of this one is placed;
    /// asked often, from many threads.
    package var isSuperseded: @Sendable () -> Bool = { false }

    /// How its metadata is brought to the network; `nil` for not at all.
    package var checkpoints: Checkpoints?

    /// How checkpoints of the metadata are made.
    package struct Checkpoints: Sendable {
        /// Signs heads.
        package var owner: SigningKey
        /// How long a change of the metadata waits for others before it is placed.
        package var interval: Duration = .seconds(10)
        /// The term of the writer lease that heads are made under now; 0 for none.
        package var term: @Sendable () -> UInt64 = { 0 }

        package init(owner: SigningKey) { self.owner = owner }
    }

    /// Whether the rows of the metadata are checked in the background after an unclean stop.
    package var checksAfterCrash = false

    /// How its shards are looked after; `nil` for not at all.
    package var custody: Custody?

    package init(
        id: VolumeID,
        name: String,
        code: ErasureCode,
        key: VolumeKey,
        metadataPath: String,
        cacheDirectory: String
    ) {
        self.id = id
        self.name = name
        self.code = code
        self.key = key
        self.metadataPath = metadataPath
        self.cacheDirectory = cacheDirectory
    }
}

/// Whether a call may wait for a disk sync or the network.
package enum Wait: Sendable {
    /// Throws `FileSystemError` with code `wouldWait` instead.
    case never
    case allowed
}

/// What `lseek` looks for.
package enum SeekTarget: Sendable {
    case data
    case hole
}
