package import Primitives

/// Which heads are kept without being asked for, and for how long.
///
/// Of each of the last so many hours, days, weeks and months, all of UTC, that have a snapshot, the
/// newest is kept. What counts is the snapshots that there are, not how long ago they were: time
/// that passes without new ones, on a host that is off or whose clock jumps ahead, expires nothing.
package struct SnapshotPolicy: Hashable, Sendable {
    /// The most of one unit.
    package static let countMax = 1000
    /// The longest lock: ten years.
    package static let lockDaysMax = 3653

    package var hours = 0
    package var days = 0
    package var weeks = 0
    package var months = 0
    /// How long a new snapshot cannot be deleted, in seconds; 0 for not at all.
    package var lockSeconds: Int64 = 0

    /// Keeps nothing by itself.
    package init() {}

    /// What a volume has if nothing else is said: a day of hours, a week of days, a month of weeks
    /// and a year of months.
    package static var standard: SnapshotPolicy {
        var policy = SnapshotPolicy()
        (policy.hours, policy.days, policy.weeks, policy.months) = (24, 7, 4, 12)
        return policy
    }

    /// Parses "24h,7d,4w,12m", any of them in any order; "none" keeps nothing by itself.
    ///
    /// - Throws: `invalid` with the part that makes no sense.
    package init(parsing text: String) throws(FileSystemError) {
        if text == "none" { return }
        var seen: Set<Character> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let unit = part.last, let count = Int(part.dropLast()), part.first != "+",
                (0...Self.countMax).contains(count), seen.insert(unit).inserted
            else { throw Self.unknown(part) }
            switch unit {
            case "h": hours = count
            case "d": days = count
            case "w": weeks = count
            case "m": months = count
            default: throw Self.unknown(part)
            }
        }
    }

    private static func unknown(_ part: Substring) -> FileSystemError {
        FileSystemError(
            .invalid,
            "'\(part)' says not what to keep; 24h,7d,4w,12m keeps one of each of the last 24 hours,"
                + " 7 days, 4 weeks and 12 months (each unit once, up to \(countMax))"
        )
    }

    /// What `init(parsing:)` reads.
    package var text: String {
        let parts = [(hours, "h"), (days, "d"), (weeks, "w"), (months, "m")]
            .filter { $0.0 > 0 }.map { "\($0.0)\($0.1)" }
        return parts.isEmpty ? "none" : parts.joined(separator: ",")
    }

    /// Whether it keeps nothing by itself.
    package var isEmpty: Bool { hours + days + weeks + months == 0 }

    // MARK: Locks

    /// Parses "30d", also with s, h and w; "none" is no lock.
    ///
    /// - Throws: `invalid` if it is none, or too long.
    package static func lockSeconds(parsing text: String) throws(FileSystemError) -> Int64 {
        if text == "none" { return 0 }
        let units: [Character: Int64] = ["s": 1, "h": 3600, "d": 86_400, "w": 7 * 86_400]
        guard let unit = text.last.flatMap({ units[$0] }), text.first != "+",
            let count = Int64(text.dropLast()), count >= 0,
            count <= Int64(lockDaysMax) * 86_400 / unit
        else {
            throw FileSystemError(
                .invalid,
                "'\(text)' is no time of a lock: such as 30d, also with s, h or w, up to"
                    + " \(lockDaysMax)d, or none"
            )
        }
        return count * unit
    }

    /// What `lockSeconds(parsing:)` reads.
    package var lockText: String {
        guard lockSeconds > 0 else { return "none" }
        if lockSeconds % 86_400 == 0 { return "\(lockSeconds / 86_400)d" }
        return lockSeconds % 3600 == 0 ? "\(lockSeconds / 3600)h" : "\(lockSeconds)s"
    }

    /// Until when a snapshot made now is locked.
    package func lockedUntil(from now: Timestamp) -> Timestamp? {
        guard lockSeconds > 0 else { return nil }
        let (seconds, overflow) = now.seconds.addingReportingOverflow(lockSeconds)
        return Timestamp(seconds: overflow ? .max : seconds, nanoseconds: now.nanoseconds)
    }
}
