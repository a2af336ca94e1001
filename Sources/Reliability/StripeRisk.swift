package import Primitives

/// How likely a stripe is lost.
package enum StripeRisk {
    /// The probability that more than `m` of the stripe's shards are lost within 30 days.
    ///
    /// Shards are lost independently of each other, with probabilities of their own (a
    /// Poisson-binomial distribution). It is summed from below with one absorbing state, so that
    /// risks of 1e-30 come out right: nothing is ever subtracted. Shards that are not listed are
    /// lost. Costs n × m multiplications.
    package static func lossProbability(
        _ code: ErasureCode,
        _ shards: [ShardHealth],
        at time: Timestamp
    ) -> Double {
        let absent = max(0, code.n - shards.count)
        guard absent <= code.m else { return 1 }
        // exactly[j]: the probability that j shards are lost so far; the last one means "or more".
        var exactly = [Double](repeating: 0, count: code.m + 2)
        exactly[absent] = 1
        for shard in shards {
            let p = lossProbability(shard, at: time)
            exactly[code.m + 1] += exactly[code.m] * p
            for lost in stride(from: code.m, to: 0, by: -1) {
                exactly[lost] = exactly[lost] * (1 - p) + exactly[lost - 1] * p
            }
            exactly[0] *= 1 - p
        }
        return min(1, exactly[code.m + 1])
    }

    /// The probability that the shard is lost within 30 days: 1 if it is already; while its holder
    /// is offline at least what the time away says.
    package static func lossProbability(_ shard: ShardHealth, at time: Timestamp) -> Double {
        let told = shard.lossProbability.clampedToUnit(ifNaN: 1)
        switch shard.state {
        case .healthy: return told
        case .lost: return 1
        case .suspect(let since):
            let away = time.secondsElapsed(since: since)
            return max(told, OutageModel.calmest.neverReturns(after: away))
        }
    }
}
