import Primitives
import Proofs
import Reliability

/// Who comes, goes, breaks and rots.
extension ChurnSimulation {
    private var domainCount: Int {
        max(1, configuration.providers / configuration.providersPerDomain)
    }

    private static let year = 365 * ChurnProvider.day

    /// Milliseconds until the next of events that come `perYear` times a year.
    private mutating func pause(perYear: Double) -> Int64 {
        guard perYear > 0 else { return .max / 4 }
        return Int64(min(generator.exponential(mean: Self.year / perYear), 1e15))
    }

    /// Plans what befalls domains and shards; nothing is lost before the stripes are placed.
    mutating func planMisfortunes() {
        for domain in 0..<domainCount {
            let outage = pause(perYear: configuration.domainOutagesPerYear)
            events.add(.domainOutage(domain), at: now + outage)
            let loss = pause(perYear: configuration.domainLossPerYear)
            events.add(.domainLoss(domain), at: start + loss)
        }
        events.add(.rot, at: start + pause(perYear: rotsPerYear))
    }

    private var rotsPerYear: Double {
        Double(configuration.stripes * code.n) * configuration.rotPerYear
    }

    mutating func join(_ slot: Int) {
        let mean = Double(configuration.stripes * code.n) / Double(configuration.providers)
        var provider = ChurnProvider(
            domain: slot % domainCount,
            capacity: Int(mean * configuration.capacityFactor) + 1,
            firstSeen: timestamp(now),
            using: &generator
        )
        provider.history.noteSeen(up: true, at: timestamp(now))
        let index = providers.count
        providers.append(provider)
        slots[slot] = index
        updateScore(index)
        planSession(index)
        let base = max(now, start)
        let departure = pause(perYear: provider.kind.departuresPerYear)
        events.add(.depart(index), at: base + departure)
        let disk = pause(perYear: configuration.diskLossPerYear)
        events.add(.diskLoss(index), at: base + disk)
    }

    private mutating func planSession(_ provider: Int) {
        let length = providers[provider].session(from: now, using: &generator)
        let absence = pause(perYear: configuration.longAbsencesPerYear)
        let generation = providers[provider].generation
        if absence < length {
            let days = generator.uniform(2..<20)
            events.add(
                .down(provider, generation: generation, length: Int64(days * ChurnProvider.day)),
                at: now + absence
            )
        } else {
            events.add(.down(provider, generation: generation, length: nil), at: now + length)
        }
    }

    /// Goes offline for `length` milliseconds, or as long as its like do.
    mutating func goDown(_ provider: Int, length: Int64?) {
        guard providers[provider].isUp, !providers[provider].isDeparted else { return }
        report.outages += 1
        setDown(provider)
        let length = length ?? providers[provider].outage(using: &generator)
        events.add(
            .up(provider, generation: providers[provider].generation),
            at: now + length
        )
        judgeShards(of: provider)
    }

    private mutating func setDown(_ provider: Int) {
        providers[provider].isUp = false
        providers[provider].downSince = now
        providers[provider].generation += 1
        providers[provider].history.noteSeen(up: false, at: timestamp(now))
        for shard in providers[provider].shards where destroyedAt[Int(shard)] < 0 {
            change(Int(shard) / code.n, present: -1)
        }
        for shard in Array(providers[provider].shards) { useSpare(shard, mustBeUp: true) }
    }

    mutating func comeUp(_ provider: Int) {
        guard !providers[provider].isUp, !providers[provider].isDeparted else { return }
        providers[provider].isUp = true
        providers[provider].generation += 1
        providers[provider].history.noteSeen(up: true, at: timestamp(now))
        for shard in providers[provider].shards {
            let stripe = Int(shard) / code.n
            if destroyedAt[Int(shard)] < 0 { change(stripe, present: 1) }
            if isStuck[stripe] { judge(stripe) }
        }
        returnSpares(provider)
        planSession(provider)
    }

    /// Leaves for good: for those who look it is offline, no more.
    mutating func depart(_ provider: Int) {
        guard !providers[provider].isDeparted else { return }
        report.departures += 1
        let wasUp = providers[provider].isUp
        if wasUp { setDown(provider) }
        providers[provider].generation += 1
        providers[provider].isDeparted = true
        for shard in Array(providers[provider].shards) { destroy(shard) }
        if wasUp { judgeShards(of: provider) }
        guard let slot = slots.firstIndex(of: provider) else { return }
        slots[slot] = -1
        let delay = generator.uniform(0..<2 * ChurnProvider.day)
        events.add(.join(slot: slot), at: now + Int64(delay))
    }

    mutating func domainOutage(_ domain: Int) {
        let pause = pause(perYear: configuration.domainOutagesPerYear)
        events.add(.domainOutage(domain), at: now + pause)
        let length = generator.heavyTailed(scale: 2 * ChurnProvider.hour, shape: 1.5)
        let capped = Int64(min(max(length, 60_000), 10 * ChurnProvider.day))
        for provider in slots where provider >= 0 && providers[provider].domain == domain {
            goDown(provider, length: capped)
        }
    }

    mutating func domainLoss(_ domain: Int) {
        report.domainsLost += 1
        let pause = pause(perYear: configuration.domainLossPerYear)
        events.add(.domainLoss(domain), at: now + pause)
        for provider in slots where provider >= 0 && providers[provider].domain == domain {
            depart(provider)
        }
    }

    /// A disk dies: all shards, or every second one of a provider with two disks.
    mutating func diskLoss(_ provider: Int) {
        let pause = pause(perYear: configuration.diskLossPerYear)
        guard !providers[provider].isDeparted else { return }
        events.add(.diskLoss(provider), at: now + pause)
        report.disksLost += 1
        let isHalf = generator.chance(0.5)
        let audited = generator.chance(0.2)
        let hours = generator.uniform(0..<1)
        for (number, shard) in providers[provider].shards.enumerated()
        where destroyedAt[Int(shard)] < 0 && !(isHalf && number.isMultiple(of: 2)) {
            destroy(shard)
            plan(finding: shard, after: hours * ChurnProvider.hour, audited: audited)
        }
    }

    mutating func rot() {
        events.add(.rot, at: now + pause(perYear: rotsPerYear))
        guard !holder.isEmpty else { return }
        let shard = Int32(generator.index(holder.count))
        let days = generator.uniform(0..<configuration.scrubDays)
        let audited = generator.chance(0.2)
        guard !isLost[Int(shard) / code.n], destroyedAt[Int(shard)] < 0 else { return }
        report.shardsRotten += 1
        destroy(shard)
        plan(finding: shard, after: days * ChurnProvider.day, audited: audited)
    }

    private mutating func plan(finding shard: Int32, after delay: Double, audited: Bool) {
        let provider = holder[Int(shard)]
        let time = now + Int64(delay)
        events.add(.found(shard: shard, holder: provider, audited: audited), at: time)
    }

    /// A destroyed shard is noticed by its holder's scrub or by an audit.
    mutating func found(_ shard: Int32, holder provider: Int32, audited: Bool) {
        let index = Int(shard)
        guard holder[index] == provider, destroyedAt[index] >= 0, foundAt[index] < 0,
            !isLost[index / code.n]
        else { return }
        if !providers[Int(provider)].isUp {
            let later = now + Int64(ChurnProvider.hour)
            guard !providers[Int(provider)].isDeparted else { return }
            events.add(.found(shard: shard, holder: provider, audited: audited), at: later)
            return
        }
        foundAt[index] = now
        let time = timestamp(now)
        if audited {
            providers[Int(provider)].history.note(.missing, leaves: 0, at: time)
        } else {
            providers[Int(provider)].history
                .noteRepair(lostShards: 1, selfReported: true, at: time)
        }
        judge(index / code.n)
    }

    /// The shard's bytes are gone from its holder; a former holder's copy takes its place.
    private mutating func destroy(_ shard: Int32) {
        let index = Int(shard)
        let stripe = index / code.n
        guard destroyedAt[index] < 0, !isLost[stripe] else { return }
        report.shardsDestroyed += 1
        destroyedAt[index] = now
        if providers[Int(holder[index])].isUp { change(stripe, present: -1) }
        destroyed[stripe] += 1
        if useSpare(shard, mustBeUp: false) { return }
        if Int(destroyed[stripe]) == code.m { report.closeCalls += 1 }
        if Int(destroyed[stripe]) > code.m { lose(stripe) }
    }

    private mutating func lose(_ stripe: Int) {
        report.stripesLost += 1
        change(stripe, present: code.n - Int(present[stripe]))
        isLost[stripe] = true
        for index in 0..<code.n { release(Int32(stripe * code.n + index)) }
    }
}
