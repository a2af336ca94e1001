import Logging
import Network
import Primitives
import Proofs
import SQLite
import Sealing
import Synchronization
import Transport

/// Finding, opening and following orders at providers.
extension OrderBook {
    /// How much longer than the transport one waits, so that its own error comes first.
    static let patience = Duration.seconds(5)
    /// Attempts at a delta that changes while it is read.
    private static let fetchesMax = 4

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
                && order(head.terms.id) == nil
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

    /// Brings our copy of an order up to what its provider has.
    func resync(_ order: HeldOrder, in lane: inout Lane) throws(NetworkError) -> HeldOrder {
        var order = order
        let known = order.state
        let fetched = try fetch(order.terms, since: known.sequence)
        try verify(fetched.state, order.terms, grants: fetched.grants)
        if fetched.state.sequence == known.sequence {
            guard fetched.state.commitment == known.commitment else {
                throw NetworkError(
                    .corrupt,
                    "provider \(order.provider.short) signed two states of one sequence"
                )
            }
            return order
        }
        if fetched.state.sequence > known.sequence,
            try follow(&order, by: fetched, in: &lane)
        {
            return order
        }
        if fetched.state.sequence < known.sequence {
            logger.error(
                """
                provider \(order.provider.short) lost signed changes: it shows sequence \
                \(fetched.state.sequence) of order \(order.id.short), we hold \(known.sequence)
                """
            )
            state.withLock { $0.mustReconcile = true }
        }
        return try refetch(order, in: &lane)
    }

    /// Takes all entries of an order as its provider has them.
    @discardableResult
    func refetch(_ order: HeldOrder, in lane: inout Lane) throws(NetworkError) -> HeldOrder {
        var order = order
        let fetched = try fetch(order.terms, since: 0)
        try verify(fetched.state, order.terms, grants: fetched.grants)
        try replaceEntries(of: &order, by: fetched, in: &lane)
        return order
    }

    /// Applies a delta to the entries we have; `false` if it does not lead to its state.
    private func follow(
        _ order: inout HeldOrder,
        by fetched: Fetched,
        in lane: inout Lane
    ) throws(NetworkError) -> Bool {
        let known = try read { [row = order.row] (store) throws(SQLiteError) in
            try store.entries(of: row)
        }
        guard let entries = Self.apply(fetched.changes, to: known) else { return false }
        guard let tree = try? OrderTree(entries: entries),
            tree.commitment == fetched.state.commitment
        else { return false }
        let shards = entries.count { !$0.isTombstone }
        try write { [row = order.row] (store) throws(SQLiteError) in
            try store.store(fetched.changes, of: row, state: fetched.state, shards: shards)
        }
        order.state = fetched.state
        order.shards = shards
        merge(order)
        lane = Lane(tree: tree, order: order.id, usedAt: now())
        return true
    }

    /// Takes all entries as fetched.
    private func replaceEntries(
        of order: inout HeldOrder,
        by fetched: Fetched,
        in lane: inout Lane
    ) throws(NetworkError) {
        guard let entries = Self.apply(fetched.changes, to: []),
            let tree = try? OrderTree(entries: entries),
            tree.commitment == fetched.state.commitment
        else {
            throw NetworkError(
                .corrupt,
                "provider \(order.provider.short) lists entries that do not make its commitment"
            )
        }
        let shards = entries.count { !$0.isTombstone }
        let changes = entries.enumerated().map { position, entry in
            OrderChange(position: UInt64(position), entry: entry)
        }
        try write { [row = order.row] (store) throws(SQLiteError) in
            try store.store(
                changes,
                of: row,
                state: fetched.state,
                shards: shards,
                count: entries.count
            )
        }
        order.state = fetched.state
        order.shards = shards
        merge(order)
        lane = Lane(tree: tree, order: order.id, usedAt: now())
    }

    /// Entries after some changes, `nil` if those leave a gap.
    ///
    /// One that came and went is there twice: itself, and its tombstone.
    private static func apply(
        _ changes: [OrderChange],
        to entries: [OrderEntry]
    ) -> [OrderEntry]? {
        var entries = entries
        for change in changes {
            guard change.position <= UInt64(entries.count) else { return nil }
            if change.position == UInt64(entries.count) {
                entries.append(change.entry)
            } else {
                entries[Int(change.position)] = change.entry
            }
        }
        return entries
    }

    // MARK: Fetching

    struct Fetched {
        let state: OrderState
        let grants: [Grant]
        let changes: [OrderChange]
    }

    /// All pages of what changed in an order since a sequence.
    private func fetch(
        _ terms: OrderTerms,
        since sequence: UInt64
    ) throws(NetworkError) -> Fetched {
        for _ in 0..<Self.fetchesMax {
            if let fetched = try fetchOnce(terms, since: sequence) { return fetched }
        }
        throw NetworkError(.timedOut, "order \(terms.id.short) changes faster than it is read")
    }

    /// `nil` if the order changed between two pages.
    private func fetchOnce(
        _ terms: OrderTerms,
        since sequence: UInt64
    ) throws(NetworkError) -> Fetched? {
        var changes: [OrderChange] = []
        var state: OrderState?
        var cursor: UInt64 = 0
        while true {
            let delta = try ask(
                FetchOrder(order: terms.id, sinceSequence: sequence, from: cursor),
                of: terms.provider
            )
            guard delta.terms == terms, state == nil || delta.state == state else { return nil }
            state = delta.state
            changes += delta.changes
            guard let next = delta.next else {
                return Fetched(state: delta.state, grants: delta.grants, changes: changes)
            }
            // A page that leads nowhere would be asked for ever.
            guard next > cursor, !delta.changes.isEmpty, changes.count <= OrderTree.entriesMax
            else {
                throw NetworkError(
                    .malformed,
                    "provider \(terms.provider.short) lists order \(terms.id.short) in circles"
                )
            }
            cursor = next
        }
    }

    /// Checks a state; grants that vouch for it are kept.
    func verify(
        _ state: OrderState,
        _ terms: OrderTerms,
        grants: [Grant]
    ) throws(NetworkError) {
        let known = self.state.withLock { $0.grants }
        let new = grants.filter { !known.contains($0) && $0.ownerKey == identity.ownerKey }
        do throws(OrderError) {
            try state.verify(terms: terms, grants: known + new)
        } catch {
            throw NetworkError(
                .corrupt,
                "provider \(terms.provider.short) shows a state of an order that is none: \(error)"
            )
        }
        guard let grant = new.first(where: { $0.grantee == state.proposal.clientKey.nodeID })
        else { return }
        try write { (store) throws(SQLiteError) in try store.add(grant) }
        self.state.withLock { $0.grants.append(grant) }
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
