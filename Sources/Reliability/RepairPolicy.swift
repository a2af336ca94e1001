import Glibc
package import Primitives

/// When the missing shards of a stripe are rebuilt.
///
/// After RAFI (Fang, Wan and He, USENIX ATC 2018): a stripe that misses much is taken care of soon,
/// one that misses little waits, because most who are offline come back. With s shards missing, of
/// which all may be lost but m, a suspect shard is waited for wait / shrink^(3 (s-1) / (m-1)), and
/// not at all for s ≥ m.
package struct RepairPolicy: Hashable, Sendable {
    /// What is to be done with a stripe.
    package enum Decision: Hashable, Sendable {
        case nothing
        case wait(until: Timestamp)
        /// Rebuild everything that is missing; the most urgent stripes have the largest number.
        case rebuild(urgency: Double)
    }

    /// How long one suspect shard is waited for.
    package var wait: Duration
    /// What each further missing shard divides the wait by, for a code with m = 4.
    ///
    /// 4 has the traffic of a fixed wait of a day and the availability of one of four hours;
    /// docs/reliability.md has the table.
    package var shrink: Double
    /// How long a shard that is known to be lost is waited for, so that one rebuild serves several.
    package var lostWait: Duration
    /// Off: every stripe waits for `wait`, however much it misses.
    package var isRiskAware: Bool

    /// A wait is never longer, whatever `wait` says: 10 years.
    private static let waitSecondsMax = 10 * Span.year

    package init(
        wait: Duration = .seconds(24 * 3600),
        shrink: Double = 4,
        lostWait: Duration? = nil,
        isRiskAware: Bool = true
    ) {
        self.wait = wait
        self.shrink = shrink
        self.lostWait = lostWait ?? wait / 24
        self.isRiskAware = isRiskAware
    }

    /// What is to be done with a stripe now.
    ///
    /// Between full and the threshold a stripe waits; once its rebuilding has begun
    /// (`isRebuilding`), it is made full again without further waits. Shards that are not listed
    /// are lost since ever.
    package func decision(
        _ code: ErasureCode,
        _ shards: [ShardHealth],
        at time: Timestamp,
        isRebuilding: Bool = false
    ) -> Decision {
        let unlisted = max(0, code.n - shards.count)
        let missing = shards.count { !$0.isHealthy } + unlisted
        guard missing > 0 else { return .nothing }
        if isRebuilding || unlisted > 0 {
            return .rebuild(urgency: urgency(code, shards, missing: missing, at: time))
        }
        let suspectWait = suspectWaitSeconds(code, missing: missing)
        var until: Timestamp?
        for shard in shards {
            guard let end = deadline(shard, suspectWait: suspectWait, at: time) else { continue }
            until = min(until ?? end, end)
        }
        guard let until, until > time.bounded else {
            return .rebuild(urgency: urgency(code, shards, missing: missing, at: time))
        }
        return .wait(until: until)
    }

    /// The shards that a rebuild makes anew: all that are missing, or without the risk-aware rule
    /// those whose own wait is over.
    package func targets(
        _ code: ErasureCode,
        _ shards: [ShardHealth],
        at time: Timestamp
    ) -> [Int] {
        let missing = shards.count { !$0.isHealthy } + max(0, code.n - shards.count)
        let suspectWait = suspectWaitSeconds(code, missing: missing)
        let listed = shards.indices.filter { index in
            guard let end = deadline(shards[index], suspectWait: suspectWait, at: time) else {
                return false
            }
            return isRiskAware || end <= time.bounded
        }
        return listed + Array(shards.count..<max(shards.count, code.n))
    }

    /// How long a suspect shard is waited for when `missing` shards of its stripe are missing.
    package func suspectWaitSeconds(_ code: ErasureCode, missing: Int) -> Double {
        let base = min(wait.secondsNotNegative, Self.waitSecondsMax)
        guard isRiskAware, missing > 1 || missing >= code.m else { return base }
        guard missing < code.m else { return 0 }
        let factor = shrink.isFinite ? max(1, shrink) : 1
        return base / pow(factor, 3 * Double(missing - 1) / Double(code.m - 1))
    }

    /// When the wait for a shard ends; `nil` for one that is not missing.
    private func deadline(
        _ shard: ShardHealth,
        suspectWait: Double,
        at time: Timestamp
    ) -> Timestamp? {
        let now = time.bounded
        switch shard.state {
        case .healthy: return nil
        case .suspect(let since):
            return min(since.bounded, now).adding(seconds: suspectWait)
        case .lost(let since):
            let lostWait = min(lostWait.secondsNotNegative, suspectWait)
            return min(since.bounded, now).adding(seconds: lostWait)
        }
    }

    /// The fewer further losses a stripe survives, the larger; risk decides between equals.
    private func urgency(
        _ code: ErasureCode,
        _ shards: [ShardHealth],
        missing: Int,
        at time: Timestamp
    ) -> Double {
        Double(missing - code.m) + StripeRisk.lossProbability(code, shards, at: time)
    }
}
