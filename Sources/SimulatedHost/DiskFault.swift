/// Calls of a simulated disk that can be made to fail.
package enum DiskCall: String, CaseIterable, Sendable {
    case read
    case write
    /// Of a file, a directory, or all.
    case sync
    /// Making, renaming, linking or removing a name.
    case name
    case open
}

/// A call that will fail.
struct DiskFault {
    let call: DiskCall
    /// Part of the paths it is about.
    let path: String
    /// Calls until it happens; 1: the next.
    var countdown: Int
    /// How many calls fail from then on.
    var times: Int
    let errno: Int32
}

/// What a simulated disk promises of what was not synced.
package enum DiskDurability: String, CaseIterable, Sendable {
    /// As little as POSIX does: each sector, size and hole kept or lost by itself, names in the
    /// order of their directory.
    case posix
    /// About what ext4 does: everything in the order in which it was done, up to some point.
    case ordered
}
