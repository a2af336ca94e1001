package import Primitives

// Which snapshots go and when the next is due. Pure: the time comes in.

extension SnapshotPolicy {
    /// A stretch of UTC of which one snapshot is kept.
    private enum Unit: CaseIterable {
        case hour
        case day
        case week
        case month

        /// Which hour, day, week (from Monday) or month a time is in; grows with time.
        func number(of time: Timestamp) -> Int64 {
            switch self {
            case .hour: time.seconds.floored(by: 3600)
            case .day: time.seconds.floored(by: 86_400)
            // 1970-01-01 was a Thursday.
            case .week: (time.seconds.floored(by: 86_400) + 3).floored(by: 7)
            case .month: time.month
            }
        }
    }

    private func count(of unit: Unit) -> Int {
        switch unit {
        case .hour: hours
        case .day: days
        case .week: weeks
        case .month: months
        }
    }

    /// The snapshots that are to be let go of.
    ///
    /// Never those that have a name, nor those that are locked. Snapshots that are dated later than
    /// `now`, by a clock that was ahead, neither count among the last hours nor stay for ever:
    /// the same rule is applied to them by themselves.
    package func expired(_ snapshots: [SnapshotInfo], now: Timestamp) -> [SnapshotInfo] {
        let byPolicy = snapshots.filter(\.name.isEmpty)
        let kept = kept(of: byPolicy.filter { $0.time <= now })
            .union(kept(of: byPolicy.filter { $0.time > now }))
        return byPolicy.filter { snapshot in
            !kept.contains(snapshot.version) && !(snapshot.lockedUntil.map { $0 > now } ?? false)
        }
    }

    /// Versions of the newest snapshot of each of the last hours, days, weeks and months that
    /// have one.
    private func kept(of snapshots: [SnapshotInfo]) -> Set<UInt64> {
        let newestFirst = snapshots.sorted { ($0.time, $0.version) > ($1.time, $1.version) }
        var kept: Set<UInt64> = []
        for unit in Unit.allCases {
            var left = count(of: unit)
            var last: Int64?
            for snapshot in newestFirst where left > 0 {
                let number = unit.number(of: snapshot.time)
                guard number != last else { continue }
                last = number
                left -= 1
                kept.insert(snapshot.version)
            }
        }
        return kept
    }

    /// Whether a snapshot should be made: the shortest unit that is kept has none yet now.
    ///
    /// One that has a name does not count, nor one that is dated later than `now`.
    package func isDue(_ snapshots: [SnapshotInfo], now: Timestamp) -> Bool {
        guard let unit = Unit.allCases.first(where: { count(of: $0) > 0 }) else { return false }
        let current = unit.number(of: now)
        return !snapshots.contains { snapshot in
            snapshot.name.isEmpty && snapshot.time <= now
                && unit.number(of: snapshot.time) == current
        }
    }
}

extension Timestamp {
    /// Months since the year 0, by the calendar of UTC.
    fileprivate var month: Int64 {
        let parts = text.split(separator: "-")
        guard parts.count >= 2, let year = Int64(parts[0]), let month = Int64(parts[1]) else {
            preconditionFailure("a time is written as year, month and day")
        }
        return year * 12 + month
    }
}

extension Int64 {
    fileprivate func floored(by divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}
