import Logging
import Network
import Primitives
import Proofs
import Reliability
import SQLite
import Synchronization
import Transport

/// Rebuilding and moving shards, worst stripes first.
extension Custodian {
    /// Waits after failures: 30 s, doubled up to an hour.
    private static let retryFirst = 30.0
    private static let retryMax = 3600.0
    private static let sparePatience = Duration.seconds(10)

    func repairStripes(at time: Timestamp) {
        settleMeter()
        guard configuration.repairs, configuration.mayMove(), identity.mayRepair(at: time) else {
            return
        }
        while let stripe = takeWorst(at: time) {
            let isRunning = run("repair") { [self] in
                repair(stripe)
                release(stripe)
                while !isStopping, let next = takeWorst(at: now()) {
                    repair(next)
                    release(next)
                }
            }
            guard isRunning else { return release(stripe) }
        }
    }

    /// The next stripe, if a worker and bandwidth are free.
    private func takeWorst(at time: Timestamp) -> StripeID? {
        state.withLock { state in
            guard state.working.count < Self.repairsMax, state.bucket.isOpen(at: time),
                let stripe = state.concerns.takeWorst(at: time, excluding: state.working)
            else { return nil }
            state.working.insert(stripe)
            return stripe
        }
    }

    private func release(_ stripe: StripeID) {
        settleMeter()
        _ = state.withLock { $0.working.remove(stripe) }
    }

    private func settleMeter() {
        let bytes = meter.take()
        guard bytes > 0 else { return }
        state.withLock { state in
            state.bucket.spend(bytes)
            state.repairedBytes += UInt64(bytes)
        }
    }

    /// Does for one stripe what is to be done now.
    private func repair(_ id: StripeID) {
        do {
            guard let stripe = try source.stripe(id) else {
                return state.withLock { $0.concerns.remove(id) }
            }
            try repair(stripe)
            if let stripe = try source.stripe(id) { reconsider(stripe) }
        } catch {
            putOff(id, "\(error)")
        }
    }

    private func repair(_ stripe: StripeManifest) throws {
        let view = state.withLock { $0.view }
        let health = health(of: stripe, view)
        let swapped = swapSpares(stripe, health, view)
        let missing = zip(stripe.shards, health).filter { holding, health in
            !health.isHealthy && !swapped.contains(Int(holding.index))
        }.map { Int($0.0.index) }
        let concern = state.withLock { $0.concerns[stripe.id] }
        let decision = configuration.repairPolicy.decision(
            stripe.code,
            health,
            at: view.at,
            isRebuilding: concern?.isRebuilding ?? false
        )
        if case .rebuild = decision, !missing.isEmpty {
            guard let fresh = try source.stripe(stripe.id) else { return }
            try rebuild(fresh, missing, view)
        } else {
            try drain(stripe, view)
        }
    }

    private func rebuild(_ stripe: StripeManifest, _ missing: [Int], _ view: NetworkView) throws {
        var context = Repairer.Context(view: view)
        context.inPlace = Set(
            stripe.shards.filter { holding in
                book.loss(holding.shard, at: holding.provider)?.cause == .reported
                    && view.providers[holding.provider]?.suspectSince == nil
            }.map { Int($0.index) }
        )
        context.isNeeded = { [self] holding in
            // Its holder may be back.
            let view = state.withLock { $0.view }
            let loss = book.loss(holding.shard, at: holding.provider)
            return !view.health(holding, loss: loss).isHealthy
        }
        let outcome = try repairer.rebuild(stripe, missing, context)
        note(outcome, of: stripe)
        guard outcome.done.count < missing.count else { return }
        state.withLock { state in
            guard var concern = state.concerns[stripe.id] else { return }
            concern.isRebuilding = true
            state.concerns.set(concern, of: stripe.id)
        }
        if let failure = outcome.failures.first { throw CustodyError(.unavailable, failure) }
    }

    private func drain(_ stripe: StripeManifest, _ view: NetworkView) throws {
        for holding in stripe.shards {
            guard let provider = view.providers[holding.provider], provider.record.isLeaving,
                provider.isReachable, let fresh = try source.stripe(stripe.id)
            else { continue }
            let outcome = try repairer.relocate(
                fresh,
                Int(holding.index),
                Repairer.Context(view: view)
            )
            note(outcome, of: stripe)
        }
    }

    private func note(_ outcome: Repairer.Outcome, of stripe: StripeManifest) {
        for (index, provider) in outcome.done {
            logger.info(
                "shard \(index) of stripe \(stripe.id.short) is at provider \(provider.short) now"
            )
        }
        let done = UInt64(outcome.done.count)
        state.withLock { $0.repairsDone += done }
    }

    private func reconsider(_ stripe: StripeManifest) {
        let view = state.withLock { state in
            NetworkView(
                providers: state.view.providers,
                absent: state.view.absent,
                at: max(now(), state.view.at)
            )
        }
        state.withLock { state in
            guard var concern = state.concerns[stripe.id] else { return }
            concern.failures = 0
            state.concerns.set(concern, of: stripe.id)
        }
        let health = health(of: stripe, view)
        consider(stripe, health, view, forgives: false)
        state.withLock { state in
            if let index = state.worst.firstIndex(where: { $0.id == stripe.id }) {
                let before = state.worst[index].healthy
                let seen = CustodyStripe(stripe, health, at: view.at)
                state.worst[index] = seen
                state.shardsMissing = max(0, state.shardsMissing - max(0, seen.healthy - before))
            }
            // Others are the worst now.
            if state.concerns.stripes.isEmpty { state.mustScan = true }
            state.statusAt = nil
        }
        remark("repair", nil)
    }

    private func putOff(_ id: StripeID, _ reason: String) {
        let time = now()
        state.withLock { state in
            guard var concern = state.concerns[id] else { return }
            let wait = min(Self.retryFirst * Double(1 << min(concern.failures, 20)), Self.retryMax)
            concern.failures += 1
            concern.due = time.adding(seconds: wait)
            state.concerns.set(concern, of: id)
        }
        // Stripes fail for the same reasons; the first one says it for all.
        let isFirst = state.withLock { $0.remarks["repair"] == nil }
        if isFirst { remark("repair", "not repaired yet: \(reason)") }
        logger.debug("stripe \(id.short) is not repaired yet: \(reason)")
    }

    // MARK: Spares

    /// Takes copies that came back too late in place of holders that fail now: no byte moves but
    /// one leaf.
    ///
    /// - Returns: The indices that are well now.
    private func swapSpares(
        _ stripe: StripeManifest,
        _ health: [ShardHealth],
        _ view: NetworkView
    ) -> Set<Int> {
        var swapped: Set<Int> = []
        var taken: Set<NodeID> = []
        for (holding, health) in zip(stripe.shards, health) where !health.isHealthy {
            // One provider never holds two shards of a stripe.
            guard let spare = spare(for: holding, of: stripe, view),
                !taken.contains(spare.copy.provider), isThere(spare),
                swap(holding, of: stripe, for: spare, view)
            else { continue }
            swapped.insert(Int(holding.index))
            taken.insert(spare.copy.provider)
        }
        return swapped
    }

    private func isThere(_ spare: StrayCopy) -> Bool {
        do throws(NetworkError) {
            _ = try network.get(
                spare.copy.shard,
                from: spare.copy.provider,
                offset: 0,
                count: Geometry.leafBytes
            ).wait(for: Self.sparePatience)
            return true
        } catch {
            if error.code == .notFound || error.code == .corrupt {
                book.noteLost(
                    [spare.copy.shard],
                    at: spare.copy.provider,
                    error.code == .notFound ? .missing : .corrupt
                )
            }
            return false
        }
    }

    private func swap(
        _ holding: ShardHolding,
        of stripe: StripeManifest,
        for spare: StrayCopy,
        _ view: NetworkView
    ) -> Bool {
        let isMoved = try? source.moveShard(
            stripe.id,
            index: Int(holding.index),
            from: holding.provider,
            to: spare.copy.provider
        )
        guard isMoved == true else { return false }
        let isLost = book.loss(holding.shard, at: holding.provider) != nil
        book.attempt("copies") { (store) throws(SQLiteError) in
            try store.removeStrays([spare.copy])
            try store.put([
                StrayCopy(
                    copy: Copy(shard: holding.shard, provider: holding.provider),
                    stripe: stripe.id,
                    index: Int(holding.index),
                    state: isLost ? .garbage : .away,
                    due: now()
                )
            ])
        }
        let provider = spare.copy.provider.short
        logger.info(
            "shard \(holding.index) of stripe \(stripe.id.short) is back at provider \(provider)"
        )
        state.withLock { $0.repairsDone += 1 }
        return true
    }
}
