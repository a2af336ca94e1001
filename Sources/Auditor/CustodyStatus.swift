import Network
package import Primitives
package import Proofs
package import Reliability

/// What the custodian knows of a volume, for people to see.
package struct CustodyStatus: Hashable, Sendable {
    /// The newest epoch with a beacon; `nil` while no keeper gave one.
    package var epoch: Epoch?
    package var epochSeconds: UInt32?
    /// By id.
    package var providers: [CustodyProvider] = []
    /// Those likeliest to be lost, the worst first, at most 8.
    package var worstStripes: [CustodyStripe] = []
    /// Shards that are not healthy, as of the last scan.
    package var shardsMissing = 0
    /// Stripes that wait for a rebuild or a move.
    package var repairsPending = 0
    /// Shards brought back or moved since the start.
    package var repairsDone: UInt64 = 0
    /// Bytes that repairs read and wrote since the start.
    package var repairedBytes: UInt64 = 0
    /// Copies of holders that came back after their shard was rebuilt elsewhere, kept for a while.
    package var spares = 0
    /// When the order that was not proved for longest was proved; `nil` while one never was.
    package var lastProofOfAll: Timestamp?
    /// Why something is not done, in plain words; empty if all is well.
    package var remarks: [String] = []

    package init() {}
}

/// A provider as the custodian sees it.
package struct CustodyProvider: Hashable, Sendable {
    package let id: NodeID
    package let score: Score
    package let isUp: Bool
    package let isLeaving: Bool
    package let lastVerdict: Verdict?
    package let lastReason: String
    /// When its live order was proved.
    package let lastProved: Timestamp?
    /// Orders ever opened there, lost ones included.
    package let orders: Int
    /// Live shards under order.
    package let shards: Int
    package let bytes: UInt64
    /// Shards under order that are known to be lost.
    package let lostShards: Int

    package init(
        id: NodeID,
        score: Score,
        isUp: Bool,
        isLeaving: Bool,
        lastVerdict: Verdict?,
        lastReason: String,
        lastProved: Timestamp?,
        orders: Int,
        shards: Int,
        bytes: UInt64,
        lostShards: Int
    ) {
        self.id = id
        self.score = score
        self.isUp = isUp
        self.isLeaving = isLeaving
        self.lastVerdict = lastVerdict
        self.lastReason = lastReason
        self.lastProved = lastProved
        self.orders = orders
        self.shards = shards
        self.bytes = bytes
        self.lostShards = lostShards
    }
}

/// A stripe that is not as safe as others.
package struct CustodyStripe: Hashable, Sendable {
    package let id: StripeID
    /// Shards whose holders answer and are not known to have lost them.
    package let healthy: Int
    package let n: Int
    /// Within 30 days, if nothing were repaired.
    package let lossProbability: Double

    package init(id: StripeID, healthy: Int, n: Int, lossProbability: Double) {
        self.id = id
        self.healthy = healthy
        self.n = n
        self.lossProbability = lossProbability
    }

    init(_ stripe: StripeManifest, _ health: [ShardHealth], at time: Timestamp) {
        self.init(
            id: stripe.id,
            healthy: health.count(where: \.isHealthy),
            n: stripe.code.n,
            lossProbability: StripeRisk.lossProbability(stripe.code, health, at: time)
        )
    }
}

/// An order in the book.
package struct CustodyOrder: Hashable, Sendable {
    package let id: OrderID
    package let terms: OrderTerms
    package let state: OrderState
    /// Retired orders are kept for their receipts.
    package let isLive: Bool
    /// Live shards.
    package let shards: Int
    package let lastVerdict: Verdict?
    package let lastReason: String
    package let lastProved: Timestamp?

    package init(
        id: OrderID,
        terms: OrderTerms,
        state: OrderState,
        isLive: Bool,
        shards: Int,
        lastVerdict: Verdict?,
        lastReason: String,
        lastProved: Timestamp?
    ) {
        self.id = id
        self.terms = terms
        self.state = state
        self.isLive = isLive
        self.shards = shards
        self.lastVerdict = lastVerdict
        self.lastReason = lastReason
        self.lastProved = lastProved
    }
}

/// What came of one challenge.
package struct AuditResult: Hashable, Sendable {
    package let order: OrderID
    package let receipt: Receipt
    /// Bytes of the proof's body; 0 if there was none.
    package let proofBytes: Int

    package init(receipt: Receipt, proofBytes: Int) {
        order = receipt.order
        self.receipt = receipt
        self.proofBytes = proofBytes
    }

    package var provider: NodeID { receipt.provider }
    package var verdict: Verdict { receipt.verdict }
    package var reason: String { receipt.reason }
}
