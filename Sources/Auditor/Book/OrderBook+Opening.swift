import Logging
import Network
import Primitives
import Proofs
import SQLite
import Sealing
import Synchronization
import Transport

/// Finding and opening orders at providers.
extension OrderBook {
    /// How much longer than the transport one waits, so that its own error comes first.
    static let patience = Duration.seconds(5)

    /// Asks a provider; one that does not know our grant is shown it first.
    ///
    /// Blocks.
    func ask<Q: ProviderQuery>(_ query: Q, of provider: NodeID) throws(NetworkError) -> Q.Answer {
        do throws(NetworkError) {
            return try network.ask(query, of: provider).wait(for: Q.timeout + Self.patience)
        } catch  where error.code == .unauthorized && identity.grant != nil {
            try presentGrant(to: provider)
            return try network.ask(query, of: provider).wait(for: Q.timeout + Self.patience)
        }
    }

    func presentGrant(to provider: NodeID) throws(NetworkError) {
        guard let grant = identity.grant else { return }
        _ = try network.ask(PresentGrant(grant: grant), of: provider)
            .wait(for: PresentGrant.timeout + Self.patience)
    }

    /// The live order with a provider, found there if the book has none; `nil` if there is none.
    func findOrder(
        with provider: NodeID,
        in lane: inout Lane
    ) throws(NetworkError) -> HeldOrder? {
        if let order = liveOrder(with: provider) { return order }
        if state.withLock({ $0.withoutOrder.contains(provider) }) { return nil }
        let heads = try ask(
            OrderHead(volume: identity.volume, owner: identity.owner),
            of: provider
        ).orders.filter { head in
            isOurs(head.terms, at: provider) && head.terms.id == head.state.order
                && !state.withLock { $0.abandoned.contains(head.terms.id) }
        }
        guard let head = heads.max(by: { $0.terms.generation < $1.terms.generation }) else {
            _ = state.withLock { $0.withoutOrder.insert(provider) }
            return nil
        }
        return try adopt(head.terms, head.state, in: &lane)
    }

    private func isOurs(_ terms: OrderTerms, at provider: NodeID) -> Bool {
        terms.volume == identity.volume && terms.ownerKey == identity.ownerKey
            && terms.provider == provider
    }

    func ensureOrder(
        with provider: NodeID,
        in lane: inout Lane
    ) throws(NetworkError) -> HeldOrder {
        // Opening is rare, and what was there before may be there again.
        forgetAbsence(of: provider)
        if let order = try findOrder(with: provider, in: &lane) { return order }
        let known = state.withLock { state in
            state.orders.values.filter { $0.provider == provider }.map(\.terms.generation).max()
        }
        let time = now()
        let terms = OrderTerms(
            volume: identity.volume,
            ownerKey: identity.ownerKey,
            provider: provider,
            generation: known.map { $0 &+ 1 } ?? 0,
            opened: time
        )
        let proposal = try proposal(terms.id, sequence: 0, .empty)
        let state = try ask(
            OpenOrder(terms: terms, proposal: proposal, grant: identity.grant),
            of: provider
        )
        guard state.order == terms.id else {
            // Another client opened one meanwhile.
            _ = self.state.withLock { $0.withoutOrder.remove(provider) }
            guard let order = try findOrder(with: provider, in: &lane) else {
                throw NetworkError(.malformed, "provider \(provider.short) opened another order")
            }
            return order
        }
        logger.debug("order \(terms.id.short) opened with provider \(provider.short)")
        return try adopt(terms, state, in: &lane)
    }

    func proposal(
        _ order: OrderID,
        sequence: UInt64,
        _ commitment: Commitment
    ) throws(NetworkError) -> OrderProposal {
        do throws(SealingError) {
            return try OrderProposal(
                order: order,
                sequence: sequence,
                commitment: commitment,
                at: now(),
                signedBy: identity.signer
            )
        } catch {
            throw NetworkError(.closed, "\(error)")
        }
    }

    /// Takes an order that a provider showed into the book, with its entries.
    private func adopt(
        _ terms: OrderTerms,
        _ state: OrderState,
        in lane: inout Lane
    ) throws(NetworkError) -> HeldOrder {
        if let known = order(terms.id) { return try revive(known, in: &lane) }
        guard state.sequence > 0 else {
            try verify(state, terms, grants: [])
            let order = try write { (store) throws(SQLiteError) in
                try store.insert(terms, state)
            }
            update(order)
            return order
        }
        let fetched = try fetch(terms, since: 0)
        try verify(fetched.state, terms, grants: fetched.grants)
        var order = try write { (store) throws(SQLiteError) in
            try store.insert(terms, fetched.state)
        }
        update(order)
        try replaceEntries(of: &order, by: fetched, in: &lane)
        return order
    }

    /// An order that was given up is there after all: a disk was mounted late.
    private func revive(
        _ order: HeldOrder,
        in lane: inout Lane
    ) throws(NetworkError) -> HeldOrder {
        let entries = try read { (store) throws(SQLiteError) in
            try store.setLive(order.row, true)
            return try store.entries(of: order.row)
        }
        var order = order
        order.isLive = true
        update(order)
        // Audits will tell what is there.
        forgetLosses(
            entries.map { Copy(shard: $0.shard, provider: order.provider) }
                .filter { loss($0.shard, at: $0.provider)?.cause == .orderLost }
        )
        return try resync(order, in: &lane)
    }

    /// Another client may have opened an order where we know of none.
    func forgetAbsence(of provider: NodeID) {
        _ = state.withLock { $0.withoutOrder.remove(provider) }
    }

    // MARK: The file

    func write<T>(
        _ body: (BookStore) throws(SQLiteError) -> sending T
    ) throws(NetworkError) -> sending T {
        do throws(SQLiteError) {
            return try store.withLock { (store) throws(SQLiteError) in try body(store) }
        } catch {
            logger.error("the book of orders: \(error)")
            throw NetworkError(error)
        }
    }

    func read<T>(
        _ body: (BookStore) throws(SQLiteError) -> sending T
    ) throws(NetworkError) -> sending T {
        try write(body)
    }
}
