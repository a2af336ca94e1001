package import Metadata
package import Primitives

/// One kept head of a volume: its tree as it was at a moment.
package struct SnapshotInfo: Hashable, Sendable {
    /// Of the head; grows from one to the next, whatever clocks do.
    package let version: UInt64
    /// When the head was made, by the clock of its maker.
    package let time: Timestamp
    /// Given by hand, 1 to `nameBytesMax` bytes; empty if the head was kept by the policy.
    package let name: String
    /// Until when nobody lets go of it; `nil` if it is not locked.
    package let lockedUntil: Timestamp?
    /// How much of the lock providers and keepers have promised: 1 if enough of them have for
    /// nobody to undo it, below it else; `nil` if it is not locked, or nobody is asked.
    package var lockedShare: Double?

    package init(
        version: UInt64,
        time: Timestamp,
        name: String,
        lockedUntil: Timestamp?,
        lockedShare: Double? = nil
    ) {
        self.version = version
        self.time = time
        self.name = name
        self.lockedUntil = lockedUntil
        self.lockedShare = lockedShare
    }
}

/// Where read-only trees of a volume come from.
///
/// Called from any thread.
package protocol SnapshotSource: Sendable {
    /// The kept heads, oldest first.
    func snapshots() throws(FileSystemError) -> [SnapshotInfo]

    /// Makes the metadata database of a kept head in a directory of its own, and returns its path.
    ///
    /// May fetch from the network.
    ///
    /// - Throws: `notFound` if the head is not kept.
    func materialize(
        _ version: UInt64,
        in directory: String
    ) throws(FileSystemError) -> String

    /// The stripe as it is placed now: shards may have moved since the snapshot.
    ///
    /// Waits for no network.
    ///
    /// - Throws: `notFound` if it is gone.
    func stripe(_ id: StripeID) throws(FileSystemError) -> StripeRecord
}

/// Who keeps heads and lets go of them.
///
/// Called from any thread; may wait for keepers.
package protocol SnapshotKeeping: Sendable {
    /// The kept heads, oldest first.
    func snapshots() throws(FileSystemError) -> [SnapshotInfo]

    /// Places everything that was written so far and keeps the head that names it.
    ///
    /// `name`: as `SnapshotInfo.isName` allows, or empty. `lockSeconds`: how long nobody can delete
    /// it; `nil` for as long as the policy says.
    func create(name: String, lockSeconds: Int64?) throws(FileSystemError) -> SnapshotInfo

    /// Lets go of a head: what only it needs is deleted at the providers.
    ///
    /// - Throws: `notFound` if it is not kept, `notPermitted` while it is locked.
    func delete(_ version: UInt64) throws(FileSystemError)

    /// Which heads are kept without being asked for.
    func policy() throws(FileSystemError) -> SnapshotPolicy

    /// Keeps heads by another policy from now on; locks that were given stay.
    func setPolicy(_ policy: SnapshotPolicy) throws(FileSystemError)
}
