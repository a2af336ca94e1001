import Logging
package import Network
import Primitives
import Proofs
import Reliability
import SQLite
import Synchronization

/// How healthy the stripes are.
extension Custodian {
    private static let pageStripes = 256
    /// Pages of one tick: the thread is free again after some 20 ms.
    private static let pagesPerTick = 8

    /// A stripe is placed: its shards are to be put under order.
    package func noteNewStripe(_ stripe: StripeManifest) {
        state.withLock { $0.holders.formUnion(stripe.shards.map(\.provider)) }
        for holding in stripe.shards {
            let entry = OrderEntry(
                shard: holding.shard,
                bytes: UInt64(stripe.shardBytes),
                root: holding.root
            )
            book.add([entry], to: holding.provider)
        }
    }

    func scanStripes(at time: Timestamp) {
        beginScan(at: time)
        guard var scan = state.withLock({ $0.scan }) else { return }
        let view = state.withLock { $0.view }
        for _ in 0..<Self.pagesPerTick {
            let page: [StripeManifest]
            do {
                page = try source.stripes(after: scan.cursor, limit: Self.pageStripes)
                remark("stripes", nil)
            } catch {
                remark("stripes", "the stripes cannot be looked at: \(error)")
                return state.withLock { $0.scan = nil }
            }
            guard let last = page.last else { return endScan(scan, at: time) }
            for stripe in page { examine(stripe, view, &scan) }
            scan.cursor = last.id
        }
        state.withLock { [scan] state in state.scan = scan }
    }

    private func beginScan(at time: Timestamp) {
        let (mustReconcile, losses) = book.state.withLock { ($0.mustReconcile, $0.lossVersion) }
        let interval = configuration.scanInterval.inSeconds
        let reconciles = state.withLock { state -> Bool in
            // Without a list of providers every shard would look lost.
            guard !state.view.providers.isEmpty else { return false }
            if state.concerns.takeOverflow() || state.scannedLosses != losses {
                state.mustScan = true
            }
            guard state.mustScan || mustReconcile || Self.isOver(state.scannedAt, interval, time),
                state.scan == nil, state.scanRestsUntil.map({ $0 <= time }) ?? true
            else { return false }
            state.scan = StripeScan(
                reconciles: mustReconcile,
                forgives: state.mustScan,
                concerned: Set(state.concerns.stripes)
            )
            state.mustScan = false
            state.scannedLosses = losses
            state.scannedAt = time
            return mustReconcile
        }
        if reconciles { book.state.withLock { $0.mustReconcile = false } }
    }

    private func endScan(_ scan: StripeScan, at time: Timestamp) {
        state.withLock { state in
            // What was not met is no more.
            for stripe in scan.unmet { state.concerns.remove(stripe) }
            state.worst = scan.worst
            state.holders = scan.holders
            state.shardsMissing = scan.shardsMissing
            state.scan = nil
            // However much comes and goes, half of the time is left for everything else.
            let seconds = state.scannedAt.map { max(0, time.seconds(since: $0)) } ?? 0
            state.scanRestsUntil = time.adding(seconds: seconds)
            state.statusAt = nil
        }
    }

    private func examine(_ stripe: StripeManifest, _ view: NetworkView, _ scan: inout StripeScan) {
        scan.unmet.remove(stripe.id)
        if scan.reconciles { reconcile(stripe) }
        let health = health(of: stripe, view)
        scan.note(
            CustodyStripe(stripe, health, at: view.at),
            heldBy: stripe.shards.map(\.provider)
        )
        consider(stripe, health, view, forgives: scan.forgives)
    }

    /// Queues the shards that are neither under order nor known to be lost.
    private func reconcile(_ stripe: StripeManifest) {
        guard identity.mayRepair(at: now()) else { return }
        for holding in stripe.shards where book.loss(holding.shard, at: holding.provider) == nil {
            if let order = book.liveOrder(with: holding.provider) {
                let added = book.attempt("entries") { (store) throws(SQLiteError) in
                    try store.added(holding.shard, in: order.row)
                }
                guard let added, added == nil else { continue }
            }
            let entry = OrderEntry(
                shard: holding.shard,
                bytes: UInt64(stripe.shardBytes),
                root: holding.root
            )
            book.add([entry], to: holding.provider)
        }
    }

    func health(of stripe: StripeManifest, _ view: NetworkView) -> [ShardHealth] {
        stripe.shards.map { holding in
            view.health(holding, loss: book.loss(holding.shard, at: holding.provider))
        }
    }

    /// Decides what a stripe needs, and queues it.
    func consider(
        _ stripe: StripeManifest,
        _ health: [ShardHealth],
        _ view: NetworkView,
        forgives: Bool
    ) {
        let known = state.withLock { $0.concerns[stripe.id] }
        var concern = Concern(
            due: view.at,
            urgency: Concern.drainUrgency,
            isRebuilding: known?.isRebuilding ?? false,
            failures: forgives ? 0 : known?.failures ?? 0,
            missing: health.count { !$0.isHealthy }
        )
        let decision = configuration.repairPolicy.decision(
            stripe.code,
            health,
            at: view.at,
            isRebuilding: concern.isRebuilding
        )
        switch decision {
        case .rebuild(let urgency): concern.urgency = urgency
        case .wait(let until):
            concern.due = until
            concern.urgency = 0
            // A copy that came back costs nothing to take.
            if hasSpare(stripe, health, view) || isDraining(stripe, view) {
                concern.due = view.at
            }
        case .nothing:
            guard isDraining(stripe, view) else {
                return state.withLock { $0.concerns.remove(stripe.id) }
            }
        }
        if !forgives, let known, known.failures > 0 { concern.due = max(concern.due, known.due) }
        state.withLock { [concern] state in state.concerns.set(concern, of: stripe.id) }
    }

    private func isDraining(_ stripe: StripeManifest, _ view: NetworkView) -> Bool {
        stripe.shards.contains { holding in
            view.providers[holding.provider].map { $0.record.isLeaving && $0.isReachable } ?? false
        }
    }

    private func hasSpare(
        _ stripe: StripeManifest,
        _ health: [ShardHealth],
        _ view: NetworkView
    ) -> Bool {
        zip(stripe.shards, health).contains { holding, health in
            !health.isHealthy && spare(for: holding, of: stripe, view) != nil
        }
    }

    /// A copy elsewhere that may take the place of a holder.
    func spare(
        for holding: ShardHolding,
        of stripe: StripeManifest,
        _ view: NetworkView
    ) -> StrayCopy? {
        let holders = Set(stripe.shards.map(\.provider))
        return book.strays(of: holding.shard).first { stray in
            guard stray.state == .here || stray.state == .away, stray.stripe == stripe.id,
                let provider = view.providers[stray.copy.provider],
                book.loss(stray.copy.shard, at: stray.copy.provider) == nil,
                !holders.contains(stray.copy.provider)
            else { return false }
            return provider.mayTake
        }
    }
}
