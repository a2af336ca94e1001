import Disk
import Logging
import Network
package import Primitives
import Proofs
import Reliability
import SQLite
import Synchronization
import Transport

/// Challenging orders epoch by epoch, and what follows from the answers.
extension Custodian {
    /// Seconds between two questions for a beacon that is not there.
    private static let beaconInterval = 10.0

    func tickAudits(at time: Timestamp) {
        followBeacon(at: time)
        guard let block = beacons.newest, isCurrent(block, at: time) else { return }
        askForScores(at: time)
        let version = book.state.withLock { $0.version }
        let isPlanned = state.withLock {
            $0.plannedVersion == version && $0.agenda.epoch == block.epoch
        }
        if !isPlanned {
            var orders: [OrderID: Epoch?] = [:]
            for order in book.liveOrders where !order.isEmpty {
                orders[order.id] = .some(order.last?.epoch)
            }
            state.withLock { [orders] state in
                state.agenda.plan(block, orders: orders, at: time)
                state.plannedVersion = version
            }
        }
        // One more a second while some are due: those that answer need no more than one.
        let isDue = state.withLock { state -> Bool in
            guard let due = state.agenda.nextDue, due <= time, state.audits < Self.auditsMax else {
                return false
            }
            state.audits += 1
            return true
        }
        guard isDue else { return }
        let isRunning = run("audit") { [self] in
            auditDue()
            state.withLock { $0.audits -= 1 }
        }
        if !isRunning { state.withLock { $0.audits -= 1 } }
    }

    /// Whether a block's epoch is the one that it is now, or just was.
    private func isCurrent(_ block: BeaconBlock, at time: Timestamp) -> Bool {
        let now = BeaconBlock.epoch(at: time, seconds: block.epochSeconds).rawValue
        return now <= block.epoch.rawValue || now - block.epoch.rawValue <= 1
    }

    private func followBeacon(at time: Timestamp) {
        let known = beacons.newest
        let isDue = state.withLock { state -> Bool in
            if let known, BeaconBlock.epoch(at: time, seconds: known.epochSeconds) <= known.epoch {
                return false
            }
            if let due = state.beaconDue, due > time { return false }
            let wait = known.map { min(Self.beaconInterval, Double($0.epochSeconds) / 8) }
            state.beaconDue = time.adding(seconds: wait ?? Self.beaconInterval)
            return true
        }
        guard isDue else { return }
        runOnce(.beacon, "beacon") { [self] in
            do throws(CustodyError) {
                try beacons.refresh()
                remark("beacon", nil)
            } catch {
                state.withLock { $0.remarks["beacon"] = "nothing is audited: \(error)" }
            }
        }
    }

    /// Audits what is due, each with the newest beacon: an epoch may end meanwhile.
    private func auditDue() {
        while !isStopping {
            let time = now()
            guard let block = beacons.newest, isCurrent(block, at: time),
                let (order, item) = state.withLock({ $0.agenda.take(1, at: time).first }),
                let held = book.order(order)
            else { return }
            let leaves = AuditAgenda.leaves(
                provedEpochs: held.provedEpochs,
                isDoubtful: held.isDoubtful,
                configuration
            )
            do throws(CustodyError) {
                _ = try audit(order, in: block, leaves: leaves, isFirstLook: !item.isSecondLook)
            } catch {
                logger.error("order \(order.short) is not audited: \(error)")
            }
        }
    }

    /// Audits an order; after an accusation once more, with as many leaves as tell how bad it is.
    private func audit(
        _ order: OrderID,
        in block: BeaconBlock,
        leaves: UInt32,
        isFirstLook: Bool
    ) throws(CustodyError) -> OrderAuditor.Audit? {
        guard
            let audit = try auditor.audit(
                order,
                in: block,
                leaves: leaves,
                isFirstLook: isFirstLook
            )
        else { return nil }
        state.withLock { $0.tellDue = nil }
        follow(audit, in: block, isFirstLook: isFirstLook)
        let isSample = audit.receipt.leaves < configuration.leavesWhenDoubtful
        guard audit.verdict.isAccusation, isSample, book.order(order)?.isLive == true else {
            return audit
        }
        let extent = try auditor.audit(
            order,
            in: block,
            leaves: configuration.leavesWhenDoubtful,
            isFirstLook: false
        )
        if let extent { follow(extent, in: block, isFirstLook: false) }
        return extent ?? audit
    }

    /// Takes in what an audit showed.
    private func follow(_ audit: OrderAuditor.Audit, in block: BeaconBlock, isFirstLook: Bool) {
        let receipt = audit.receipt
        let provider = receipt.provider
        var lost = book.noteLost(audit.missing, at: provider, .missing)
        lost += book.noteLost(audit.corrupt, at: provider, .corrupt)
        noteRepair(lost, at: provider, selfReported: false)
        let reported = book.noteLost(audit.damaged, at: provider, .reported)
        noteRepair(reported, at: provider, selfReported: true)
        if receipt.verdict.isProof {
            state.withLock { $0.unreachableSince[provider] = nil }
        } else if receipt.verdict == .unreachable {
            missed(receipt, in: block, isFirstLook: isFirstLook)
        } else {
            accused(receipt, in: block)
        }
        // What is placed from now on is to follow from what was seen.
        guard lost + reported > 0 || !receipt.verdict.isProof else { return }
        state.withLock { $0.lookedAt = nil }
        look(at: now())
    }

    func noteRepair(_ shards: Int, at provider: NodeID, selfReported: Bool) {
        guard shards > 0 else { return }
        let time = now()
        book.note(provider) {
            $0.noteRepair(lostShards: shards, selfReported: selfReported, at: time)
        }
    }

    private func missed(_ receipt: Receipt, in block: BeaconBlock, isFirstLook: Bool) {
        let eighth = Double(block.epochSeconds) / 8
        let wait = isFirstLook ? min(configuration.secondLook.inSeconds, eighth) : eighth
        state.withLock { state in
            if !isFirstLook {
                let since = state.unreachableSince[receipt.provider]
                state.unreachableSince[receipt.provider] = since ?? receipt.asked
                // One that is down is asked again when it is back.
                guard state.view.isReachable(receipt.provider) else { return }
            }
            state.agenda.again(
                receipt.order,
                at: receipt.answered.adding(seconds: wait),
                isSecondLook: true
            )
        }
    }

    private func accused(_ receipt: Receipt, in block: BeaconBlock) {
        guard let order = book.order(receipt.order) else { return }
        guard receipt.hasProof || receipt.verdict == .forged else {
            reviewOrder(order, receipt)
            return
        }
        guard receipt.leaves >= configuration.leavesWhenDoubtful else { return }
        if receipt.verdict == .forged {
            distrust(order)
        } else {
            state.withLock { state in
                if state.probes[order.id] == nil { state.probes[order.id] = 0 }
            }
        }
    }

    /// A provider that forges is trusted with nothing: all it holds is brought elsewhere.
    private func distrust(_ order: HeldOrder) {
        let shards = book.attempt("entries") { (store) throws(SQLiteError) in
            try store.entries(of: order.row).filter { !$0.isTombstone }.map(\.shard)
        }
        let lost = book.noteLost(shards ?? [], at: order.provider, .distrusted)
        noteRepair(lost, at: order.provider, selfReported: false)
    }

    /// A provider does not know its order, or not all of it.
    private func reviewOrder(_ order: HeldOrder, _ receipt: Receipt) {
        do throws(NetworkError) {
            try book.review(order, isDamaged: receipt.verdict == .corrupt)
        } catch {
            logger.warning("order \(order.id.short) is to be looked at again: \(error)")
        }
        guard book.order(order.id)?.isLive != true else { return }
        noteRepair(order.shards, at: order.provider, selfReported: false)
    }

    // MARK: On demand

    /// Challenges all live orders, or one provider's, now and with `leaves` (460) leaves.
    ///
    /// Blocks until all have answered or not.
    ///
    /// - Throws: `noBeacon`
    package func auditNow(
        leaves: UInt32? = nil,
        provider: NodeID? = nil
    ) throws(CustodyError) -> [AuditResult] {
        let block = try beacons.refresh()
        let orders = book.liveOrders
            .filter { !$0.isEmpty && (provider == nil || $0.provider == provider) }
            .map(\.id).sorted()
        let leaves = leaves ?? configuration.leavesWhenDoubtful
        let work = AuditRound(orders)
        let workers = min(Self.auditsMax, orders.count)
        let done = Condition(0)
        for _ in 0..<workers {
            let body: @Sendable () -> Void = { [self] in
                while let order = work.next() {
                    work.note { () throws(CustodyError) in
                        try audit(order, in: block, leaves: leaves, isFirstLook: true)
                    }
                }
                done.update { $0 += 1 }
            }
            if !run("audit", body) { body() }
        }
        _ = done.wait { $0 == workers ? true : nil }
        return try work.results()
    }
}
