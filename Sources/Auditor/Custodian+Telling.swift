import Logging
import Network
package import Primitives
import Proofs
import Reliability
import SQLite
import Synchronization
import Transport

/// What follows audits: telling receipts, and finding out which shards are lost.
extension Custodian {
    /// Shards asked for one by one in one tick.
    private static let probesPerTick = 64
    /// Doubts that wait; more are found by audits.
    private static let doubtsMax = 256
    private static let probePatience = Duration.seconds(10)
    /// Seconds between two attempts to tell receipts.
    private static let tellInterval = 60.0

    // MARK: Telling

    /// Gives receipts to providers and keepers, and states to keepers.
    func tellReceipts(at time: Timestamp) {
        let isDue = state.withLock { state -> Bool in
            if let due = state.tellDue, due > time { return false }
            state.tellDue = time.adding(seconds: Self.tellInterval)
            return true
        }
        guard isDue else { return }
        runOnce(.tell, "receipts") { [self] in
            for order in book.allOrders where !isStopping {
                deliver(order)
                report(order)
            }
        }
    }

    private func deliver(_ order: HeldOrder) {
        guard order.isLive, state.withLock({ $0.view.isReachable(order.provider) }) else { return }
        for receipt in book.untold(.provider, of: order) {
            do throws(NetworkError) {
                _ = try book.ask(DeliverReceipt(receipt: receipt), of: order.provider)
            } catch {
                if error.isTransient { return }
                logger.debug("provider \(order.provider.short) takes no receipt: \(error)")
            }
            book.markTold(.provider, of: order, upTo: receipt.number)
        }
    }

    private func report(_ order: HeldOrder) {
        let receipts = book.untold(.keeper, of: order)
        let isKnown = state.withLock {
            $0.reportedSequences[order.id] == order.state.sequence
        }
        guard !receipts.isEmpty || (order.isLive && !isKnown) else { return }
        let report = ReportCustody(
            terms: order.terms,
            state: order.state,
            grant: book.grant(for: order.state) ?? identity.grant,
            receipts: receipts
        )
        do throws(NetworkError) {
            _ = try network.ask(report).wait(for: ReportCustody.timeout + OrderBook.patience)
        } catch {
            logger.debug("no keeper takes the report of order \(order.id.short): \(error)")
            if error.isTransient || receipts.isEmpty { return }
        }
        state.withLock { $0.reportedSequences[order.id] = order.state.sequence }
        if let last = receipts.last { book.markTold(.keeper, of: order, upTo: last.number) }
    }

    // MARK: Probing

    /// Asks for a leaf of each shard of orders with damage, to learn which are lost.
    func probeShards() {
        guard state.withLock({ !$0.probes.isEmpty }) else { return }
        runOnce(.probe, "probe") { [self] in
            guard let (id, position) = state.withLock({ $0.probes.min { $0.key < $1.key } })
            else { return }
            guard let order = book.order(id), order.isLive,
                let entries = book.attempt(
                    "entries",
                    { (store) throws(SQLiteError) in
                        try store.liveEntries(
                            of: order.row,
                            from: position,
                            limit: Self.probesPerTick
                        )
                    }
                ), let last = entries.last
            else {
                state.withLock { $0.probes[id] = nil }
                return
            }
            if probe(entries.map(\.entry), at: order.provider) {
                state.withLock { $0.probes[id] = last.position + 1 }
            }
        }
    }

    /// `false` if the provider does not answer; then the same are asked for again.
    private func probe(_ entries: [OrderEntry], at provider: NodeID) -> Bool {
        let asked = entries.filter { book.loss($0.shard, at: provider) == nil }
        let answers = asked.map { entry in
            // Anywhere, but for each shard always the same: nothing here is random.
            let leaf = Int(entry.shard.bytes[0]) % max(1, entry.leafCount)
            return network.get(
                entry.shard,
                from: provider,
                offset: leaf * Geometry.leafBytes,
                count: Geometry.leafBytes
            )
        }
        var lost = 0
        for (entry, answer) in zip(asked, answers) {
            do throws(NetworkError) {
                _ = try answer.wait(for: Self.probePatience)
            } catch {
                switch error.code {
                case .notFound: lost += book.noteLost([entry.shard], at: provider, .missing)
                case .corrupt: lost += book.noteLost([entry.shard], at: provider, .corrupt)
                default: return false
                }
            }
        }
        noteRepair(lost, at: provider, selfReported: false)
        return true
    }

    // MARK: Doubts

    /// A shard gave wrong bytes or none: it is read whole and checked, and rebuilt if need be.
    package func noteDoubt(stripe: StripeID, index: Int) {
        let doubt = Doubt(stripe: stripe, index: index)
        state.withLock { state in
            guard state.doubts.count < Self.doubtsMax, !state.doubts.contains(doubt) else { return }
            state.doubts.append(doubt)
        }
    }

    func checkDoubts() {
        guard state.withLock({ !$0.doubts.isEmpty }) else { return }
        runOnce(.doubts, "doubts") { [self] in
            while !isStopping, let doubt = state.withLock({ $0.doubts.popLast() }) {
                guard let stripe = try? source.stripe(doubt.stripe),
                    let holding = stripe.shards.first(where: { Int($0.index) == doubt.index }),
                    book.loss(holding.shard, at: holding.provider) == nil
                else { continue }
                // What is wrong is noted as lost, and found by the next scan.
                _ = repairer.check(holding, shardBytes: Int(stripe.shardBytes))
            }
        }
    }
}
