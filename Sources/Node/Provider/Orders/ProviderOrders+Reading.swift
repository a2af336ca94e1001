import Logging
import Network
import Primitives
import Proofs
import Transport
import Sealing

extension ProviderOrders {
    private static let anyRight: [Grant.Rights] = [.audit, .repair]

    /// The orders of a volume that still matter: those with live bytes, and the newest generation.
    func heads(_ query: OrderHead, from peer: NodeID) throws(NetworkError) -> OrderHeads {
        try withState { state in
            let orders = state.byOwner[query.owner, default: []]
                .compactMap { state.orders[$0] }
                .filter { $0.terms.volume == query.volume }
                .sorted { $0.terms.generation > $1.terms.generation }
            if let newest = orders.first {
                try check(peer, may: Self.anyRight, on: newest, in: state)
            }
            let live = orders.enumerated().filter { index, order in
                index == 0 || order.state.commitment.totalBytes > 0
            }
            return OrderHeads(
                orders: live.prefix(OrderHeads.ordersMax).map { _, order in
                    OrderHeads.Head(terms: order.terms, state: order.state)
                }
            )
        }
    }

    /// A page of what changed in an order.
    func delta(_ query: FetchOrder, from peer: NodeID) throws(NetworkError) -> OrderDelta {
        try withState { state in
            guard let order = state.orders[query.order] else { throw Self.unknown(query.order) }
            try check(peer, may: Self.anyRight, on: order, in: state)
            // An entry that came and went is two changes.
            let (changes, next) = try state.database.changes(
                of: order.number,
                since: query.sinceSequence,
                from: query.from,
                limit: OrderDelta.changesMax / 2
            )
            return OrderDelta(
                terms: order.terms,
                state: order.state,
                changes: changes,
                next: next,
                grants: order.grant.map { [$0] } ?? []
            )
        }
    }

    // MARK: Grants and receipts

    /// Takes a grant on a volume that has an order here.
    func present(_ grant: Grant, from peer: NodeID) throws(NetworkError) {
        try withState { state in
            let orders = state.byOwner[grant.ownerKey.nodeID, default: []]
            let order = orders.compactMap { state.orders[$0] }.first {
                $0.terms.volume == grant.volume
            }
            guard let order else {
                throw NetworkError(
                    .notFound,
                    "volume \(grant.volume.short) has no order here; open one first"
                )
            }
            try take(grant, on: order.terms, from: peer, in: &state)
        }
    }

    /// Keeps what an auditor says of this provider.
    func deliver(_ receipt: Receipt, from peer: NodeID) throws(NetworkError) {
        guard receipt.auditorKey.nodeID == peer, receipt.isSignatureValid else {
            throw NetworkError(.unauthorized, "the receipt is not signed by \(peer.short)")
        }
        guard receipt.provider == provider.publicKey.nodeID else {
            throw NetworkError(.malformed, "the receipt is of another provider")
        }
        try withState { state in
            guard let order = state.orders[receipt.order] else {
                throw Self.unknown(receipt.order)
            }
            try check(peer, may: [.audit], on: order, in: state)
            try state.database.save(receipt, of: order.number)
        }
        let order = receipt.order.short
        if receipt.verdict.isAccusation {
            logger.notice(
                "\(peer.short) audited order \(order): \(receipt.verdict): \(receipt.reason)"
            )
        } else {
            logger.debug("\(peer.short) audited order \(order): \(receipt.verdict)")
        }
    }

    /// Receipts for the provider's own people, or for those of one order.
    func receipts(_ query: ListReceipts, from peer: NodeID) throws(NetworkError) -> ReceiptList {
        let isOwn = peer == provider.publicKey.nodeID
        return try withState { state in
            var number: Int64?
            if let id = query.order {
                guard let order = state.orders[id] else { throw Self.unknown(id) }
                if !isOwn { try check(peer, may: Self.anyRight, on: order, in: state) }
                number = order.number
            } else if !isOwn {
                throw NetworkError(
                    .unauthorized,
                    "all receipts are told to the provider's own key only; ask for one order's"
                )
            }
            return ReceiptList(
                receipts: try state.database.receipts(of: number, limit: Int(query.limit))
            )
        }
    }
}
