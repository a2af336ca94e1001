package import Primitives
package import Proofs
package import Wire

/// Asks a provider to prove what it keeps under an order.
package struct ChallengeProvider: Hashable, ProviderQuery {
    /// The proof, or why there is none.
    package typealias Answer = ChallengeAnswer
    package static let operation = Operation.challenge
    /// The hard deadline: an answer after it is none.
    package static let timeout = Duration.seconds(30)

    package let challenge: Challenge

    package init(challenge: Challenge) { self.challenge = challenge }

    package func write(to writer: inout ByteWriter) { challenge.write(to: &writer) }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        challenge = try Challenge(from: &reader)
    }
}

/// What a provider answers to a challenge.
package enum ChallengeAnswer: Hashable, Message {
    case proof(Proof)
    /// The order has a newer state than the challenge's, signed by both; the grant goes with it if
    /// a grantee proposed it.
    case stale(OrderState, Grant?)
    case unknownOrder

    private enum Kind: UInt8 {
        case proof = 1
        case stale = 2
        case unknownOrder = 3
    }

    package func write(to writer: inout ByteWriter) {
        switch self {
        case .proof(let proof):
            writer.integer(Kind.proof.rawValue)
            proof.write(to: &writer)
        case .stale(let state, let grant):
            writer.integer(Kind.stale.rawValue)
            state.write(to: &writer)
            writer.optional(grant)
        case .unknownOrder:
            writer.integer(Kind.unknownOrder.rawValue)
        }
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        let number = try reader.integer(UInt8.self)
        switch Kind(rawValue: number) {
        case .proof: self = .proof(try Proof(from: &reader))
        case .stale:
            self = .stale(try OrderState(from: &reader), try reader.optional("grant"))
        case .unknownOrder: self = .unknownOrder
        case nil: throw .invalid(field: "answer", reason: "\(number)")
        }
    }
}

/// Shows a provider that the peer acts for an owner.
package struct PresentGrant: Hashable, ProviderQuery {
    /// That it was done.
    package typealias Answer = Nothing
    package static let operation = Operation.presentGrant

    package let grant: Grant

    package init(grant: Grant) { self.grant = grant }

    package func write(to writer: inout ByteWriter) { grant.write(to: &writer) }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        grant = try Grant(from: &reader)
    }
}

/// Gives a provider the receipt of its proof; taken from the auditor that signed it only.
package struct DeliverReceipt: Hashable, ProviderQuery {
    /// That it was done.
    package typealias Answer = Nothing
    package static let operation = Operation.deliverReceipt

    package let receipt: Receipt

    package init(receipt: Receipt) { self.receipt = receipt }

    package func write(to writer: inout ByteWriter) { receipt.write(to: &writer) }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        receipt = try Receipt(from: &reader)
    }
}

/// Asks a provider for the receipts it was given; answered to its own key, and for one order to
/// that order's owner and grantees.
package struct ListReceipts: Hashable, ProviderQuery {
    /// The receipts, newest first.
    package typealias Answer = ReceiptList
    package static let operation = Operation.listReceipts

    /// One order's; `nil` for all.
    package let order: OrderID?
    /// The newest so many, 1...1024.
    package let limit: UInt32

    package init(order: OrderID? = nil, limit: UInt32 = UInt32(ReceiptList.receiptsMax)) {
        self.order = order
        self.limit = limit
    }

    package func write(to writer: inout ByteWriter) {
        writer.boolean(order != nil)
        if let order { writer.id(order) }
        writer.integer(limit)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        order = try reader.boolean("order") ? try reader.id() : nil
        limit = try reader.integer()
        guard (1...UInt32(ReceiptList.receiptsMax)).contains(limit) else {
            throw .invalid(field: "limit", reason: "\(limit)")
        }
    }
}

/// Receipts as a provider has them, newest first.
package struct ReceiptList: Hashable, Message {
    /// The most receipts of one list: less than 1 MiB.
    package static let receiptsMax = 1024

    package let receipts: [Receipt]

    package init(receipts: [Receipt]) { self.receipts = receipts }

    package func write(to writer: inout ByteWriter) { writer.list(receipts) }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        receipts = try reader.list("receipts", limit: Self.receiptsMax)
    }
}
