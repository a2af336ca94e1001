package import Primitives

/// What came of a simulated network.
package struct ChurnReport: Hashable, Sendable {
    package var code: ErasureCode
    package var providers = 0
    package var stripes = 0
    package var days = 0
    package var shardBytes = 0

    // What happened.
    package var outages = 0
    package var departures = 0
    package var domainsLost = 0
    package var disksLost = 0
    package var shardsRotten = 0
    /// Shards whose bytes were destroyed, by whatever.
    package var shardsDestroyed = 0

    // What became of it.
    package var stripesLost = 0
    /// Times that a stripe had lost m shards, and one more would have been its end.
    package var closeCalls = 0
    /// Hours, summed over stripes, in which fewer than n shards could be read.
    package var stripeHoursBelowFull = 0.0
    /// Hours, summed over stripes, in which fewer than k shards could be read.
    package var stripeHoursUnavailable = 0.0

    // What it cost.
    package var repairs = 0
    package var shardsRebuilt = 0
    package var trafficBytes = 0
    /// Rebuilt shards whose holder came back later with the shard.
    package var falseRebuilds = 0
    /// Shards whose holder came back while they were being rebuilt.
    package var cancelledRebuilds = 0
    /// Times that the kept copy of a late holder took over, without traffic.
    package var sparesUsed = 0
    /// Destroyed shards that were rebuilt, and the hours from destruction to that.
    package var destroyedRebuilt = 0
    package var destroyedRebuiltHours = 0.0
    package var repairsStuck = 0
    /// Whether the sums that were kept all along agree with the end: the simulation's own check.
    package var isConsistent = false

    package init(code: ErasureCode) { self.code = code }

    /// User data in TB (10^12 bytes).
    package var storedTB: Double {
        Double(stripes * code.k) * Double(shardBytes) / 1e12
    }

    /// Repair traffic in TB for each TB of user data in a year.
    package var trafficPerStoredTBYear: Double {
        guard storedTB > 0, days > 0 else { return 0 }
        return Double(trafficBytes) / 1e12 / storedTB * 365 / Double(days)
    }

    /// The share of rebuilt shards that need not have been.
    package var falseShare: Double {
        shardsRebuilt == 0 ? 0 : Double(falseRebuilds) / Double(shardsRebuilt)
    }

    package var meanHoursToRepair: Double {
        destroyedRebuilt == 0 ? 0 : destroyedRebuiltHours / Double(destroyedRebuilt)
    }

    /// The share of time in which a stripe cannot be read.
    package var unavailability: Double {
        let all = Double(stripes) * Double(days) * 24
        return all > 0 ? stripeHoursUnavailable / all : 0
    }

    /// The share of time in which a stripe is not whole.
    package var belowFullShare: Double {
        let all = Double(stripes) * Double(days) * 24
        return all > 0 ? stripeHoursBelowFull / all : 0
    }
}
