/// The durable steps of the engine, in the order in which one block passes through them.
///
/// A crash may fall between any two of them; `docs/crash-safety.md` says what recovery does then.
/// The engine notes each one when it has done it, so that a simulation can tell after which steps
/// its crashes fell. This is the one list of them.
package enum DurableStep: String, CaseIterable, Sendable {
    // MARK: Writing

    /// The dirty mark of a block is in the metadata log.
    case dirtyMarkCommitted
    /// The bytes are in the cache file.
    case cacheBytesWritten
    /// Size and times are changed in memory, to be committed with the next batch.
    case sizeRecorded

    /// The note that the kernel writes to a file unseen is in the metadata log.
    case passthroughBegun

    // MARK: fsync

    /// The cache file is on the disk.
    case cacheSynced
    /// The directory that holds the cache file's name is on the disk.
    case directorySynced
    /// The dirty blocks are noted as wholly and durably in the cache.
    case residencyRecorded
    /// A transaction is in the metadata log.
    case logCommitted
    /// The metadata log is on the disk.
    case logSynced
    /// The metadata log is moved into the database.
    case logMoved

    // MARK: Placing

    /// Stripe and shards are recorded as being placed.
    case stripeBegun
    /// A provider has a shard, synced.
    case shardAcknowledged
    /// One transaction has set the locations and cleared the marks of unchanged tokens.
    case stripeRecorded
    /// That transaction is on the disk.
    case stripeSynced
    /// Memory calls the blocks clean.
    case blocksCleaned

    /// A keeper has a head, and the metadata says so.
    case headRegistered

    // MARK: Destroying cached bytes

    /// Metadata no longer names cached ranges: eviction, truncation, holes, removal.
    case metadataForgot
    /// Clean blocks are noted as not resident.
    case blocksEvicted
    /// The ranges are holes of the cache file.
    case rangesPunched
    /// The cache file is cut.
    case cacheFileCut
    /// The cache file is removed.
    case cacheFileRemoved

    // MARK: Freeing

    /// The metadata that names the stripe no more is on the disk.
    case stripeDead
    /// A provider has deleted a shard.
    case shardsDeleted
    /// The stripe's rows are gone.
    case stripeForgotten

    // MARK: Moving

    /// A rebuilt or relocated shard is named at its new holder, synced.
    case shardMoved

    // MARK: Recovery

    /// What the crash left is made good.
    case recovered

    /// Tells a simulation that the step is done; nothing elsewhere.
    @inline(__always)
    package static func note(_ step: DurableStep) { Simulation.current?.note(step) }
}
