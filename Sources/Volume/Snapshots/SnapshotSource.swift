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
    /// Until when keepers refuse to let go of it; `nil` if they do not.
    package let lockedUntil: Timestamp?

    package init(version: UInt64, time: Timestamp, name: String, lockedUntil: Timestamp?) {
        self.version = version
        self.time = time
        self.name = name
        self.lockedUntil = lockedUntil
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
    /// `name`: as `SnapshotInfo.isName` allows, or empty.
    func create(name: String) throws(FileSystemError) -> SnapshotInfo

    /// Lets go of a head: what only it needs is deleted at the providers.
    ///
    /// - Throws: `notFound` if it is not kept, `notPermitted` while it is locked.
    func delete(_ version: UInt64) throws(FileSystemError)

    /// Which heads are kept without being asked for.
    func policy() throws(FileSystemError) -> SnapshotPolicy

    /// Keeps heads by another policy from now on; locks that were given stay.
    func setPolicy(_ policy: SnapshotPolicy) throws(FileSystemError)
}
