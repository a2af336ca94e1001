import Logging
import Network
import Primitives
import Proofs
import SQLite
import Transport
import Sealing

extension ProviderOrders {
    /// Opens an order, or answers the state of the one that is open.
    func open(_ query: OpenOrder, from peer: NodeID) throws(NetworkError) -> OrderState {
        let terms = query.terms
        guard terms.provider == provider.publicKey.nodeID else {
            throw NetworkError(.malformed, "the order is one of provider \(terms.provider.short)")
        }
        try check(query.proposal, of: terms.id, sequence: 0, by: peer)
        guard query.proposal.commitment == .empty else {
            throw NetworkError(.malformed, "an order opens empty")
        }
        let owner = terms.ownerKey.nodeID
        return try withState { state in
            if let grant = query.grant { try take(grant, on: terms, from: peer, in: &state) }
            let grant = try grant(of: peer, for: owner, on: terms.volume, in: state)
            let own = state.byOwner[owner, default: []].compactMap { state.orders[$0] }
            let open = own.first {
                $0.terms.volume == terms.volume && $0.terms.generation == terms.generation
            }
            if let open { return open.state }
            guard own.count < Self.ordersPerOwnerMax, state.orders.count < Self.ordersMax else {
                throw NetworkError(
                    .full,
                    "\(owner.short) has \(own.count) orders of \(state.orders.count) here, and no"
                        + " more may be opened; use another provider"
                )
            }
            let accepted = try OrderState(accepting: query.proposal, signedBy: provider)
            let order = HeldOrder(try state.database.open(terms, accepted, grant))
            noteOpened(order, in: &state)
            logger.info("order \(terms.id.short) of \(owner.short) is open")
            return accepted
        }
    }

    /// Applies an amendment to the state it names as its base, and countersigns.
    func amend(_ query: AmendOrder, from peer: NodeID) throws(NetworkError) -> OrderState {
        let amendment = Amendment(
            order: query.order,
            baseSequence: query.baseSequence,
            proposal: query.proposal,
            grant: query.grant
        )
        return try apply(amendment, from: peer) { order, state in
            for change in query.changes where !change.entry.isTombstone {
                try checkStored(change.entry, for: order.owner, in: state)
            }
            let removed = query.changes.lazy.map(\.entry).filter(\.isTombstone)
            try checkLetGo(removed.map(\.shard), in: state)
        } changing: { (tree) throws(OrderError) in
            try tree.apply(query.changes)
            return .changes(query.changes)
        }
    }

    /// Takes tombstones out of the order in the state it names as its base, and countersigns.
    func compact(_ query: CompactOrder, from peer: NodeID) throws(NetworkError) -> OrderState {
        let amendment = Amendment(
            order: query.order,
            baseSequence: query.baseSequence,
            proposal: query.proposal,
            grant: query.grant
        )
        return try apply(amendment, from: peer) { (tree) throws(OrderError) in
            let moves = try tree.compact(dropping: Int(query.drops))
            return .compaction(moves, count: tree.count)
        }
    }

    /// What all changes of an order have.
    private struct Amendment {
        let order: OrderID
        let baseSequence: UInt64
        let proposal: OrderProposal
        let grant: Grant?
    }

    /// The compare-and-swap: `check` sees the order before, `changing` makes its next tree.
    private func apply(
        _ amendment: Amendment,
        from peer: NodeID,
        check: (HeldOrder, State) throws -> Void = { _, _ in },
        changing: (inout OrderTree) throws(OrderError) -> OrderDatabase.Step
    ) throws(NetworkError) -> OrderState {
        let (sequence, isTooLarge) = amendment.baseSequence.addingReportingOverflow(1)
        guard !isTooLarge, sequence <= UInt64(Int64.max) else {
            throw NetworkError(.malformed, "sequence \(amendment.baseSequence) has no next")
        }
        try self.check(amendment.proposal, of: amendment.order, sequence: sequence, by: peer)
        return try withState { state in
            guard let order = state.orders[amendment.order] else {
                throw Self.unknown(amendment.order)
            }
            if let grant = amendment.grant {
                try take(grant, on: order.terms, from: peer, in: &state)
            }
            let grant = try self.check(peer, may: [.repair], on: order, in: state)
            // The client has not heard our first answer.
            if order.state.proposal == amendment.proposal { return order.state }
            guard order.state.sequence == amendment.baseSequence else {
                throw NetworkError(
                    .exists,
                    "order \(order.id.short) is at sequence \(order.state.sequence), not"
                        + " \(amendment.baseSequence); fetch what changed and try again"
                )
            }
            try check(order, state)
            let (tree, step) = try amendedTree(amendment, changing, in: &state)
            let accepted = try OrderState(accepting: amendment.proposal, signedBy: provider)
            try state.database.amend(order.number, step, accepted, grant)
            state.orders[order.id]?.adopt(accepted, grant)
            state.uses += 1
            state.trees[order.id] = (tree, state.uses)
            return accepted
        }
    }

    /// The tree after the amendment, taken out of the table so that changing it copies nothing.
    ///
    /// If anything fails, the next use loads it again.
    private func amendedTree(
        _ amendment: Amendment,
        _ changing: (inout OrderTree) throws(OrderError) -> OrderDatabase.Step,
        in state: inout State
    ) throws -> (OrderTree, OrderDatabase.Step) {
        _ = try tree(of: amendment.order, in: &state)
        guard var tree = state.trees.removeValue(forKey: amendment.order)?.tree else {
            throw Self.unknown(amendment.order)
        }
        let order = amendment.order.short
        let step: OrderDatabase.Step
        do throws(OrderError) {
            step = try changing(&tree)
        } catch {
            throw NetworkError(.malformed, "order \(order): \(error)")
        }
        let wanted = amendment.proposal.commitment
        guard tree.commitment == wanted else {
            throw NetworkError(
                .malformed,
                "order \(order): the changes lead to root \(tree.commitment.root.short), not to"
                    + " \(wanted.root.short)"
            )
        }
        return (tree, step)
    }

    /// Nothing is signed for that is not here, whole as far as is known, and the owner's.
    private func checkStored(
        _ entry: OrderEntry,
        for owner: NodeID,
        in state: State
    ) throws(NetworkError) {
        let shard = entry.shard.short
        guard state.deleting[entry.shard] == nil else {
            throw NetworkError(.refused, "shard \(shard) is being deleted; put it again after that")
        }
        guard let stored = try store.stored(entry.shard) else {
            throw NetworkError(.notFound, "shard \(shard) is not here, whole; put it first")
        }
        guard stored.owner == owner else {
            throw NetworkError(.unauthorized, "shard \(shard) has another owner")
        }
        guard stored.root == entry.root, stored.bytes == entry.bytes else {
            throw NetworkError(
                .malformed,
                "shard \(shard) is here with \(stored.bytes) bytes and root"
                    + " \(stored.root?.short ?? "unknown"), not with \(entry.bytes) and"
                    + " \(entry.root.short)"
            )
        }
    }

    private func check(
        _ proposal: OrderProposal,
        of order: OrderID,
        sequence: UInt64,
        by peer: NodeID
    ) throws(NetworkError) {
        guard proposal.order == order, proposal.sequence == sequence else {
            throw NetworkError(
                .malformed,
                "the proposal is for sequence \(proposal.sequence) of order"
                    + " \(proposal.order.short), not \(sequence) of \(order.short)"
            )
        }
        guard proposal.clientKey.nodeID == peer, proposal.isSignatureValid else {
            throw NetworkError(.unauthorized, "the proposal is not signed by \(peer.short)")
        }
    }

    private func grant(
        of peer: NodeID,
        for owner: NodeID,
        on volume: VolumeID,
        in state: State
    ) throws(NetworkError) -> Grant? {
        guard peer != owner else { return nil }
        guard let grant = state.grants.grant(.repair, to: peer, of: owner, on: volume) else {
            throw NetworkError(
                .unauthorized,
                "\(peer.short) has no grant of \(owner.short) to repair volume \(volume.short)"
            )
        }
        return grant
    }
}
