import Network
package import Primitives
package import Proofs
import Reliability
import SQLite
import Sealing
import Synchronization

/// Receipts: durable before they count, told to provider and keepers, shown to third parties.
extension OrderBook {
    /// Receipts of an exported file: six weeks of hours.
    package static let exportMax = 1024
    /// The newest so many receipts are told; older ones stay here.
    private static let toldMax = 64

    /// The newest receipts of an order, newest first.
    package func receipts(
        of order: OrderID,
        limit: Int
    ) throws(CustodyError) -> [Receipt] {
        let order = try known(order)
        return try writeBook { (store) throws(SQLiteError) in
            try store.receipts(of: order.row, limit: limit)
        }
    }

    /// All that a third party needs to check the newest receipts of an order.
    package func receiptFile(order id: OrderID) throws(CustodyError) -> ReceiptFile {
        let order = try known(id)
        let grants = state.withLock { $0.grants }
        let keepers = identity.keepers.map(\.bytes)
        return try writeBook { (store) throws(SQLiteError) in
            let receipts = Array(
                try store.receipts(of: order.row, limit: Self.exportMax).reversed()
            )
            let sequences = Set(receipts.map(\.sequence))
            let states = try store.states(of: order.row)
                .filter { sequences.contains($0.sequence) }
            var beacons: [BeaconBlock] = []
            if let first = receipts.first, let last = receipts.last {
                let values = Set(receipts.map(\.beacon))
                for keeper in keepers {
                    let blocks = try store.beacons(
                        of: keeper,
                        first.epoch.rawValue...max(first.epoch.rawValue, last.epoch.rawValue)
                    )
                    if blocks.contains(where: { values.contains($0.value) }) { beacons += blocks }
                }
            }
            let signers = Set(states.map(\.proposal.clientKey.nodeID))
                .union(receipts.map(\.auditorKey.nodeID))
            return ReceiptFile(
                terms: order.terms,
                states: states,
                grants: grants.filter { signers.contains($0.grantee) },
                beacons: beacons,
                receipts: receipts,
                proof: receipts.last?.hasProof == true ? try store.proof(of: order.row) : nil
            )
        }
    }

    private func known(_ id: OrderID) throws(CustodyError) -> HeldOrder {
        guard let order = order(id) else {
            throw CustodyError(.notFound, "order \(id) is not in this volume's book")
        }
        return order
    }

    // MARK: Audits

    /// What an audit found.
    struct Finding {
        let challenge: Challenge
        let state: OrderState
        let block: BeaconBlock
        let asked: Timestamp
        let answered: Timestamp
        let verdict: Verdict
        let reason: String
        let provedLeaves: Int
        let proof: Proof?
        /// Whether it counts in the provider's history: a first miss does not.
        let counts: Bool
    }

    /// Signs a receipt for what was found; durable when this returns.
    func record(_ finding: Finding) throws(CustodyError) -> Receipt {
        guard var order = order(finding.challenge.order) else {
            throw CustodyError(.notFound, "order \(finding.challenge.order) is gone")
        }
        let receipt: Receipt
        do throws(SealingError) {
            receipt = try Receipt(
                of: finding.challenge,
                after: order.last,
                lastProved: order.lastProved,
                epochSeconds: finding.block.epochSeconds,
                asked: finding.asked,
                answered: finding.answered,
                verdict: finding.verdict,
                reason: finding.reason,
                proof: finding.proof,
                signedBy: identity.signer
            )
        } catch {
            throw CustodyError(.storage, "a receipt cannot be signed: \(error)")
        }
        if finding.verdict.isProof {
            if order.lastProved?.epoch != receipt.epoch { order.provedEpochs += 1 }
            order.lastProved = receipt
            if receipt.leaves >= configuration.leavesWhenDoubtful { order.isDoubtful = false }
        } else {
            order.isDoubtful = true
        }
        order.last = receipt
        if finding.counts {
            note(order.provider) { history in
                history.note(finding.verdict, leaves: finding.provedLeaves, at: finding.answered)
            }
        }
        let history = history(of: order.provider)
        try writeBook { [order] (store) throws(SQLiteError) in
            try store.store(
                receipt,
                proof: finding.proof,
                of: order,
                state: finding.state,
                history: history
            )
        }
        noteAudited(order)
        return receipt
    }

    private func noteAudited(_ order: HeldOrder) {
        state.withLock { state in
            guard var held = state.orders[order.id] else { return }
            held.last = order.last
            held.lastProved = order.lastProved
            held.provedEpochs = order.provedEpochs
            held.isDoubtful = order.isDoubtful
            state.orders[order.id] = held
            state.version += 1
        }
    }

    // MARK: Telling

    func untold(_ recipient: BookStore.Recipient, of order: HeldOrder) -> [Receipt] {
        attempt("receipts") { (store) throws(SQLiteError) in
            try store.untold(recipient, of: order.row, limit: Self.toldMax)
        } ?? []
    }

    func markTold(_ recipient: BookStore.Recipient, of order: HeldOrder, upTo number: UInt64) {
        attempt("receipts") { (store) throws(SQLiteError) in
            try store.markTold(recipient, of: order.row, upTo: number)
        }
    }
}
