import Logging
import Network
import Primitives
import Proofs
import SQLite
import Sealing
import Synchronization
import Transport

/// Taking over what other clients, or a lost book, left us behind with.
extension OrderBook {
    /// Attempts at a delta that changes while it is read.
    private static let fetchesMax = 4

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
            lane.isConfirmed = true
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
        guard let entries = Self.apply(fetched, to: known) else { return false }
        guard let tree = try? OrderTree(entries: entries),
            tree.commitment == fetched.state.commitment
        else { return false }
        let shards = entries.count { !$0.isTombstone }
        try write { [row = order.row] (store) throws(SQLiteError) in
            try store.store(
                fetched.changes,
                of: row,
                state: fetched.state,
                shards: shards,
                count: entries.count
            )
        }
        order.state = fetched.state
        order.shards = shards
        merge(order)
        lane = Lane(tree: tree, order: order.id, usedAt: now(), isConfirmed: true)
        return true
    }

    /// Takes all entries as fetched.
    func replaceEntries(
        of order: inout HeldOrder,
        by fetched: Fetched,
        in lane: inout Lane
    ) throws(NetworkError) {
        guard let entries = Self.apply(fetched, to: []),
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
        lane = Lane(tree: tree, order: order.id, usedAt: now(), isConfirmed: true)
    }

    /// Entries after some changes, `nil` if those leave a gap.
    ///
    /// One that came and went is there twice: itself, and its tombstone. Those behind the state's
    /// count were moved or dropped by a compaction.
    private static func apply(
        _ fetched: Fetched,
        to entries: [OrderEntry]
    ) -> [OrderEntry]? {
        var entries = entries
        for change in fetched.changes {
            guard change.position <= UInt64(entries.count) else { return nil }
            if change.position == UInt64(entries.count) {
                entries.append(change.entry)
            } else {
                entries[Int(change.position)] = change.entry
            }
        }
        let count = Int(clamping: fetched.state.commitment.count)
        if entries.count > count { entries.removeSubrange(count...) }
        return entries
    }

    // MARK: Fetching

    struct Fetched {
        let state: OrderState
        let grants: [Grant]
        let changes: [OrderChange]
    }

    /// All pages of what changed in an order since a sequence.
    func fetch(
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
}
