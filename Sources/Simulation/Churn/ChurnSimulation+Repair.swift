import Primitives
import Reliability

/// Who holds what, and how it is made whole again.
extension ChurnSimulation {
    // MARK: Placement

    mutating func updateWeights() {
        var sum = 0.0
        weightSums = slots.map { provider in
            if provider >= 0 { sum += providers[provider].weight }
            return sum
        }
    }

    /// A provider for a shard of `stripe`, by weight: up, with room, and no `m` of the stripe's
    /// shards in its domain.
    private mutating func chooseHolder(for stripe: Int) -> Int? {
        guard let total = weightSums.last, total > 0 else { return nil }
        let holders = holder[stripe * code.n..<(stripe + 1) * code.n]
        for _ in 0..<1000 {
            let draw = placementGenerator.uniform() * total
            var low = 0
            var high = weightSums.count - 1
            while low < high {
                let middle = (low + high) / 2
                if weightSums[middle] > draw { high = middle } else { low = middle + 1 }
            }
            let provider = slots[low]
            guard provider >= 0, providers[provider].isUp,
                providers[provider].shards.count < providers[provider].capacity,
                !holders.contains(Int32(provider))
            else { continue }
            let domain = providers[provider].domain
            let neighbours = holders.count { $0 >= 0 && providers[Int($0)].domain == domain }
            if neighbours < code.m { return provider }
        }
        return nil
    }

    mutating func placeAll() {
        let shards = configuration.stripes * code.n
        holder = [Int32](repeating: -1, count: shards)
        place = [Int32](repeating: -1, count: shards)
        destroyedAt = [Int64](repeating: -1, count: shards)
        foundAt = [Int64](repeating: -1, count: shards)
        present = [Int16](repeating: 0, count: configuration.stripes)
        destroyed = [Int16](repeating: 0, count: configuration.stripes)
        isLost = [Bool](repeating: false, count: configuration.stripes)
        checkAt = [Int64](repeating: .max, count: configuration.stripes)
        isQueued = isLost
        isStuck = isLost
        belowFull = configuration.stripes
        unavailable = configuration.stripes
        updateWeights()
        for shard in 0..<shards {
            guard let provider = chooseHolder(for: shard / code.n) else {
                preconditionFailure("too few providers for \(code)")
            }
            give(Int32(shard), to: provider)
            change(shard / code.n, present: 1)
        }
    }

    private mutating func give(_ shard: Int32, to provider: Int) {
        holder[Int(shard)] = Int32(provider)
        place[Int(shard)] = Int32(providers[provider].shards.count)
        providers[provider].shards.append(shard)
    }

    /// Takes the shard off its holder's list.
    mutating func release(_ shard: Int32) {
        let provider = Int(holder[Int(shard)])
        let position = Int(place[Int(shard)])
        let last = providers[provider].shards.removeLast()
        if last != shard {
            providers[provider].shards[position] = last
            place[Int(last)] = Int32(position)
        }
    }

    /// Changes how many shards of the stripe can be read.
    mutating func change(_ stripe: Int, present delta: Int) {
        guard !isLost[stripe] else { return }
        let before = Int(present[stripe])
        let after = before + delta
        present[stripe] = Int16(after)
        belowFull += (after < code.n ? 1 : 0) - (before < code.n ? 1 : 0)
        unavailable += (after < code.k ? 1 : 0) - (before < code.k ? 1 : 0)
    }

    // MARK: Spares

    /// Lets a former holder's copy take over, if there is one; true if so.
    @discardableResult
    mutating func useSpare(_ shard: Int32, mustBeUp: Bool) -> Bool {
        guard let spare = spares[shard] else { return false }
        let owner = Int(spare.provider)
        guard spare.until > now, !providers[owner].isDeparted,
            providers[owner].isUp || !mustBeUp
        else { return false }
        let index = Int(shard)
        // Meanwhile it may have been given another shard of the stripe.
        let stripe = index / code.n
        guard !holder[stripe * code.n..<(stripe + 1) * code.n].contains(spare.provider) else {
            return false
        }
        let previous = holder[index]
        let isIntact = destroyedAt[index] < 0
        release(shard)
        give(shard, to: owner)
        report.sparesUsed += 1
        if !isIntact { destroyed[index / code.n] -= 1 }
        destroyedAt[index] = -1
        foundAt[index] = -1
        if providers[owner].isUp { change(index / code.n, present: 1) }
        spares[shard] = nil
        if isIntact {
            spares[shard] = Spare(provider: previous, until: .max, wasRebuilt: false)
            providers[Int(previous)].spares.append(shard)
        }
        return true
    }

    /// Its copies of shards that were rebuilt meanwhile are kept for a while.
    mutating func returnSpares(_ provider: Int) {
        let until = now + Int64(configuration.spareHours * ChurnProvider.hour)
        for shard in providers[provider].spares {
            guard var spare = spares[shard], spare.provider == provider else { continue }
            if spare.wasRebuilt { report.falseRebuilds += 1 }
            spare.wasRebuilt = false
            spare.until = until
            spares[shard] = spare
        }
        providers[provider].spares = []
    }

    // MARK: Repair

    mutating func judgeShards(of provider: Int) {
        for shard in providers[provider].shards { judge(Int(shard) / code.n) }
    }

    /// What an observer sees of the stripe, into `health`.
    private mutating func look(_ stripe: Int) {
        health.removeAll(keepingCapacity: true)
        for shard in stripe * code.n..<(stripe + 1) * code.n {
            let provider = Int(holder[shard])
            let state: ShardHealth.State =
                foundAt[shard] >= 0
                ? .lost(since: timestamp(foundAt[shard]))
                : providers[provider].isUp
                    ? .healthy : .suspect(since: timestamp(providers[provider].downSince))
            let loss = providers[provider].lossProbability
            health.append(ShardHealth(state, lossProbability: loss))
        }
    }

    /// Asks the policy about a stripe, and plans what it says.
    mutating func judge(_ stripe: Int) {
        guard !isLost[stripe], !isQueued[stripe] else { return }
        look(stripe)
        switch configuration.policy.decision(code, health, at: timestamp(now)) {
        case .nothing: break
        case .wait(let until):
            let seconds = until.secondsElapsed(since: timestamp(now))
            let time = now + Int64(seconds * 1000) + 1
            guard time < checkAt[stripe] else { return }
            checkAt[stripe] = time
            events.add(.check(stripe: stripe), at: time)
        case .rebuild(let urgency):
            isQueued[stripe] = true
            repairQueue.add(stripe, at: Int64(-urgency * 1e9))
            if current == nil { startRepair() }
        }
    }

    /// Takes the most urgent stripe, if it still is to be repaired.
    private mutating func startRepair() {
        while let (_, stripe) = repairQueue.next(until: .max) {
            isQueued[stripe] = false
            guard !isLost[stripe] else { continue }
            discoverRot(stripe)
            look(stripe)
            let time = timestamp(now)
            guard case .rebuild = configuration.policy.decision(code, health, at: time) else {
                judge(stripe)
                continue
            }
            let targets = configuration.policy.targets(code, health, at: time)
            let readable = health.count { $0.isHealthy }
            isStuck[stripe] = readable < code.k
            if isStuck[stripe] {
                report.repairsStuck += 1
                continue
            }
            let bytes = (code.k + targets.count) * configuration.shardBytes
            report.repairs += 1
            report.trafficBytes += bytes
            let milliseconds = bytes * 1000 / configuration.repairBytesPerSecond
            isQueued[stripe] = true
            current = (stripe, targets)
            events.add(.repaired, at: now + Int64(milliseconds))
            return
        }
    }

    /// Whoever rebuilds compares each shard with its root.
    private mutating func discoverRot(_ stripe: Int) {
        for shard in stripe * code.n..<(stripe + 1) * code.n
        where destroyedAt[shard] >= 0 && foundAt[shard] < 0
            && providers[Int(holder[shard])].isUp
        {
            foundAt[shard] = now
        }
    }

    mutating func finishRepair() {
        guard let (stripe, targets) = current else { return }
        current = nil
        isQueued[stripe] = false
        if !isLost[stripe] {
            for index in targets { rebuild(Int32(stripe * code.n + index)) }
            judge(stripe)
        }
        if current == nil { startRepair() }
    }

    private mutating func rebuild(_ shard: Int32) {
        let index = Int(shard)
        let old = Int(holder[index])
        guard !providers[old].isUp || foundAt[index] >= 0 else {
            report.cancelledRebuilds += 1
            return
        }
        guard let provider = chooseHolder(for: index / code.n) else { return }
        report.shardsRebuilt += 1
        release(shard)
        give(shard, to: provider)
        change(index / code.n, present: 1)
        spares[shard] = nil
        if destroyedAt[index] >= 0 {
            report.destroyedRebuilt += 1
            report.destroyedRebuiltHours += Double(now - destroyedAt[index]) / ChurnProvider.hour
            destroyed[index / code.n] -= 1
        } else {
            spares[shard] = Spare(provider: Int32(old), until: .max, wasRebuilt: true)
            providers[old].spares.append(shard)
        }
        destroyedAt[index] = -1
        foundAt[index] = -1
    }
}
