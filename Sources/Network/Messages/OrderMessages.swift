package import Primitives
package import Proofs
package import Wire

/// Opens an order: what a volume will keep at a provider, still empty.
///
/// Idempotent for the same terms. If another order of the same volume and generation is open, the
/// provider answers that one's state.
package struct OpenOrder: Hashable, ProviderQuery {
    /// The state that is in force then.
    package typealias Answer = OrderState
    package static let operation = Operation.openOrder
    /// It ends with a disk sync.
    package static let timeout = RemoteNetwork.putTimeout

    package let terms: OrderTerms
    /// Of sequence 0 and the empty commitment.
    package let proposal: OrderProposal
    /// Where the client is not the owner.
    package let grant: Grant?

    package init(terms: OrderTerms, proposal: OrderProposal, grant: Grant? = nil) {
        self.terms = terms
        self.proposal = proposal
        self.grant = grant
    }

    package func write(to writer: inout ByteWriter) {
        terms.write(to: &writer)
        proposal.write(to: &writer)
        writer.optional(grant)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        terms = try OrderTerms(from: &reader)
        proposal = try OrderProposal(from: &reader)
        grant = try reader.optional("grant")
    }
}

/// Asks for the live orders of a volume at a provider.
package struct OrderHead: Hashable, ProviderQuery {
    /// The orders with their newest states.
    package typealias Answer = OrderHeads
    package static let operation = Operation.orderHead

    package let volume: VolumeID
    package let owner: NodeID

    package init(volume: VolumeID, owner: NodeID) {
        self.volume = volume
        self.owner = owner
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(volume)
        writer.id(owner)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        volume = try reader.id()
        owner = try reader.id()
    }
}

/// The live orders of a volume at a provider, each with its newest state.
package struct OrderHeads: Hashable, Message {
    /// The most live orders of one volume at one provider: one, and those that it could not read.
    package static let ordersMax = 64

    /// One order.
    package struct Head: Hashable, Message {
        package let terms: OrderTerms
        package let state: OrderState

        package init(terms: OrderTerms, state: OrderState) {
            self.terms = terms
            self.state = state
        }

        package func write(to writer: inout ByteWriter) {
            terms.write(to: &writer)
            state.write(to: &writer)
        }

        package init(from reader: inout ByteReader) throws(DecodeError) {
            terms = try OrderTerms(from: &reader)
            state = try OrderState(from: &reader)
        }
    }

    package let orders: [Head]

    package init(orders: [Head]) { self.orders = orders }

    package func write(to writer: inout ByteWriter) { writer.list(orders) }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        orders = try reader.list("orders", limit: Self.ordersMax)
    }
}

/// Changes an order, if its newest sequence is still the one named: the provider applies, compares
/// the commitment, countersigns and stores, or answers `exists` if the base is stale.
package struct AmendOrder: Hashable, ProviderQuery {
    /// The state that is in force then.
    package typealias Answer = OrderState
    package static let operation = Operation.amendOrder
    /// It ends with a disk sync.
    package static let timeout = RemoteNetwork.putTimeout
    /// The most changes of one amendment: less than 256 KiB.
    package static let changesMax = 4096

    package let order: OrderID
    package let baseSequence: UInt64
    package let changes: [OrderChange]
    package let proposal: OrderProposal
    /// Where the client is not the owner.
    package let grant: Grant?

    package init(
        order: OrderID,
        baseSequence: UInt64,
        changes: [OrderChange],
        proposal: OrderProposal,
        grant: Grant? = nil
    ) {
        self.order = order
        self.baseSequence = baseSequence
        self.changes = changes
        self.proposal = proposal
        self.grant = grant
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(order)
        writer.integer(baseSequence)
        writer.list(changes)
        proposal.write(to: &writer)
        writer.optional(grant)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        order = try reader.id()
        baseSequence = try reader.integer()
        changes = try reader.list("changes", limit: Self.changesMax)
        proposal = try OrderProposal(from: &reader)
        grant = try reader.optional("grant")
    }
}

/// Takes tombstones out of an order (`OrderTree.compact`), if its newest sequence is still the one
/// named; an amendment in all else.
package struct CompactOrder: Hashable, ProviderQuery {
    /// The state that is in force then.
    package typealias Answer = OrderState
    package static let operation = Operation.compactOrder
    /// It ends with a disk sync.
    package static let timeout = RemoteNetwork.putTimeout
    /// The most tombstones at once: the work of one amendment.
    package static let dropsMax: UInt32 = 4096

    package let order: OrderID
    package let baseSequence: UInt64
    /// Entries fewer, 1...`dropsMax`.
    package let drops: UInt32
    package let proposal: OrderProposal
    /// Where the client is not the owner.
    package let grant: Grant?

    package init(
        order: OrderID,
        baseSequence: UInt64,
        drops: UInt32,
        proposal: OrderProposal,
        grant: Grant? = nil
    ) {
        self.order = order
        self.baseSequence = baseSequence
        self.drops = drops
        self.proposal = proposal
        self.grant = grant
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(order)
        writer.integer(baseSequence)
        writer.integer(drops)
        proposal.write(to: &writer)
        writer.optional(grant)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        order = try reader.id()
        baseSequence = try reader.integer()
        drops = try reader.integer()
        guard (1...Self.dropsMax).contains(drops) else {
            throw .invalid(field: "drops", reason: "\(drops), not 1 to \(Self.dropsMax)")
        }
        proposal = try OrderProposal(from: &reader)
        grant = try reader.optional("grant")
    }
}

/// Asks for what changed in an order since a sequence, a page at a time.
package struct FetchOrder: Hashable, ProviderQuery {
    /// One page of the changes.
    package typealias Answer = OrderDelta
    package static let operation = Operation.fetchOrder

    package let order: OrderID
    /// The sequence whose entries the client has; 0 for none.
    package let sinceSequence: UInt64
    /// Where the page begins: 0, then `OrderDelta.next`.
    package let from: UInt64

    package init(order: OrderID, sinceSequence: UInt64, from: UInt64 = 0) {
        self.order = order
        self.sinceSequence = sinceSequence
        self.from = from
    }

    package func write(to writer: inout ByteWriter) {
        writer.id(order)
        writer.integer(sinceSequence)
        writer.integer(from)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        order = try reader.id()
        sinceSequence = try reader.integer()
        from = try reader.integer()
    }
}

/// One page of what changed in an order, with the state that all pages lead to.
///
/// Entries behind the state's count are no more: the order was compacted. A page of another state
/// than the first page's belongs to a newer delta: begin again.
package struct OrderDelta: Hashable, Message {
    /// The most changes of one page: less than 512 KiB.
    package static let changesMax = 8192
    /// The most grants that vouch for one state: a grantee's last and the one before.
    package static let grantsMax = 16

    package let terms: OrderTerms
    package let state: OrderState
    /// Ascending by position.
    package let changes: [OrderChange]
    /// Where the next page begins; `nil` after the last.
    package let next: UInt64?
    /// For the key that proposed the state, where it is not the owner's.
    package let grants: [Grant]

    package init(
        terms: OrderTerms,
        state: OrderState,
        changes: [OrderChange],
        next: UInt64?,
        grants: [Grant]
    ) {
        self.terms = terms
        self.state = state
        self.changes = changes
        self.next = next
        self.grants = grants
    }

    package func write(to writer: inout ByteWriter) {
        terms.write(to: &writer)
        state.write(to: &writer)
        writer.list(changes)
        writer.boolean(next != nil)
        if let next { writer.integer(next) }
        writer.list(grants)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        terms = try OrderTerms(from: &reader)
        state = try OrderState(from: &reader)
        changes = try reader.list("changes", limit: Self.changesMax)
        next = try reader.boolean("next") ? try reader.integer() : nil
        grants = try reader.list("grants", limit: Self.grantsMax)
    }
}
