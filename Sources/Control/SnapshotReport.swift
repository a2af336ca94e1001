/// A snapshot as people read it.
package struct SnapshotRecord: Codable, Hashable, Sendable {
    package var version: UInt64
    /// When it was made: RFC 3339.
    package var time: String
    /// Given by hand; empty if the policy made it.
    package var name: String
    /// Its directory in `.mefs/snapshots`.
    package var directory: String
    /// Until when it cannot be deleted: RFC 3339.
    package var lockedUntil: String?
    /// How much of the lock providers and keepers have promised, 0...1; 1 if enough of them have
    /// for nobody to undo it, and absent if nobody is asked.
    package var lockedShare: Double?

    package init(
        version: UInt64,
        time: String,
        name: String,
        directory: String,
        lockedUntil: String?,
        lockedShare: Double? = nil
    ) {
        self.version = version
        self.time = time
        self.name = name
        self.directory = directory
        self.lockedUntil = lockedUntil
        self.lockedShare = lockedShare
    }
}

/// Which snapshots are kept without being asked for.
package struct SnapshotRules: Codable, Hashable, Sendable {
    /// What is to be changed; `nil` leaves it.
    package struct Change: Hashable, Sendable {
        package var keep: String?
        package var lock: String?

        package init(keep: String? = nil, lock: String? = nil) {
            self.keep = keep
            self.lock = lock
        }
    }

    /// Such as "24h,7d,4w,12m", or "none".
    package var keep: String
    /// How long a new one cannot be deleted: such as "30d", or "none".
    package var lock: String

    package init(keep: String, lock: String) {
        self.keep = keep
        self.lock = lock
    }
}
