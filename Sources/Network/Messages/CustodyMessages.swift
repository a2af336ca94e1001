package import Primitives
package import Proofs
package import Reliability
package import Wire

/// Asks a keeper for blocks of its beacon chain; makes the current epoch's if there is none yet.
package struct FetchBeacons: Hashable, KeeperQuery {
    /// The blocks, ascending.
    package typealias Answer = BeaconList
    package static let operation = Operation.fetchBeacons

    /// The first epoch wanted; `Epoch(.max)` asks for the newest blocks.
    package let from: Epoch
    /// The most blocks wanted, 1...1024.
    package let count: UInt32

    package init(from: Epoch, count: UInt32 = UInt32(BeaconList.blocksMax)) {
        self.from = from
        self.count = count
    }

    /// Asks for the newest `count` blocks.
    package init(newest count: UInt32) { self.init(from: Epoch(.max), count: count) }

    package func write(to writer: inout ByteWriter) {
        writer.integer(from.rawValue)
        writer.integer(count)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        from = Epoch(try reader.integer())
        count = try reader.integer()
        guard (1...UInt32(BeaconList.blocksMax)).contains(count) else {
            throw .invalid(field: "count", reason: "\(count)")
        }
    }
}

/// Blocks of one keeper's beacon chain, ascending, without a gap in the chain.
package struct BeaconList: Hashable, Message {
    /// The most blocks of one list: 6 weeks of hours in less than 256 KiB.
    package static let blocksMax = 1024

    package let blocks: [BeaconBlock]

    package init(blocks: [BeaconBlock]) { self.blocks = blocks }

    package func write(to writer: inout ByteWriter) { writer.list(blocks) }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        blocks = try reader.list("blocks", limit: Self.blocksMax)
    }
}

/// Tells keepers the newest state of an order and what its audits have shown.
///
/// From the owner, or from who has the owner's grant to audit.
package struct ReportCustody: Hashable, KeeperQuery {
    /// That it was done.
    package typealias Answer = Nothing
    package static let operation = Operation.reportCustody
    package static let isForEveryKeeper = true
    /// The most receipts of one report: less than 256 KiB.
    package static let receiptsMax = 256

    package let terms: OrderTerms
    package let state: OrderState
    /// Vouches for the state's proposer or the receipts' signer, where that is not the owner.
    package let grant: Grant?
    /// Of this order, signed by the peer, ascending by number.
    package let receipts: [Receipt]

    package init(terms: OrderTerms, state: OrderState, grant: Grant?, receipts: [Receipt]) {
        self.terms = terms
        self.state = state
        self.grant = grant
        self.receipts = receipts
    }

    package func write(to writer: inout ByteWriter) {
        terms.write(to: &writer)
        state.write(to: &writer)
        writer.optional(grant)
        writer.list(receipts)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        terms = try OrderTerms(from: &reader)
        state = try OrderState(from: &reader)
        grant = try reader.optional("grant")
        receipts = try reader.list("receipts", limit: Self.receiptsMax)
    }
}

/// Asks a keeper what it thinks of the providers, a page at a time.
package struct ListScores: Hashable, KeeperQuery {
    /// One page of scores.
    package typealias Answer = ScoreList
    package static let operation = Operation.listScores

    /// The page begins behind this provider; `nil` for the first page.
    package let after: NodeID?

    package init(after: NodeID? = nil) { self.after = after }

    package func write(to writer: inout ByteWriter) {
        writer.boolean(after != nil)
        if let after { writer.id(after) }
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        after = try reader.boolean("after") ? try reader.id() : nil
    }
}

/// Scores that a keeper signed, ascending by provider.
package struct ScoreList: Hashable, Message {
    /// The most scores of one page.
    package static let scoresMax = 1024

    package let scores: [SignedScore]
    /// Whether providers behind the last one are left out.
    package let hasMore: Bool

    package init(scores: [SignedScore], hasMore: Bool = false) {
        self.scores = scores
        self.hasMore = hasMore
    }

    package func write(to writer: inout ByteWriter) {
        writer.list(scores)
        writer.boolean(hasMore)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        scores = try reader.list("scores", limit: Self.scoresMax)
        hasMore = try reader.boolean("more")
    }
}
