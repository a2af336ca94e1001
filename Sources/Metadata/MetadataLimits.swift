/// The bounds of a metadata store's memory, batches and log.
package struct MetadataLimits: Sendable {
    /// Inodes in memory, some 300 bytes each: a source tree of 100,000 files stays warm in 40 MB.
    package var inodesCached = 1 << 17
    /// Directory entries in memory, known absences too, some 130 bytes each.
    ///
    /// More than inodes, since programs ask for many names that are not there.
    package var entriesCached = 1 << 18
    /// Block rows in memory, some 150 bytes each: 256 GiB of files in use.
    package var blocksCached = 1 << 18
    /// Stripes in memory, some 600 bytes each with 4+2: 64 GiB of files being read.
    package var stripesCached = 1 << 12
    /// How long a change waits for others before they are committed together.
    ///
    /// A crash of the process loses no more than that; shorter gains nothing against 1 ms of a disk
    /// sync.
    package var commitDelay: Duration = .milliseconds(5)
    /// Changes that are committed at once.
    ///
    /// More make the commit only little cheaper each.
    package var commitOperations = 256
    /// Changes not committed yet at which an operation waits for a commit: a bound on memory, and
    /// on what is lost if the disk fails.
    ///
    /// A commit of so many takes some 50 ms.
    package var unsavedOperationsMax = 8192
    /// Pages in the write-ahead log at which they are moved into the database in the background: 16
    /// MiB.
    ///
    /// Reopening after a crash reads the log once.
    package var logFrames = 4096
    /// Pages in the log at which the commit that made them moves them by itself before the next: 64
    /// MiB.
    ///
    /// Changes go on in memory. So that, and one commit, is the bound, unless another program reads
    /// the database all the time.
    package var logFramesMax = 16384

    /// Cookie from which on an empty directory begins anew with the first: half of what 32-bit
    /// programs can read.
    package var cookiesRenewedFrom: UInt64 = 1 << 30

    package init() {}
}
