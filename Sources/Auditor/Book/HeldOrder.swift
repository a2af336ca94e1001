package import Primitives
import Proofs

/// An order as the book has it in memory: all but its entries.
struct HeldOrder: Sendable {
    /// Its row in the book.
    let row: Int64
    let terms: OrderTerms
    var state: OrderState
    /// Whether the provider knows it, as far as we know.
    var isLive: Bool
    /// Live shards.
    var shards: Int
    /// Epochs in which it was proved.
    var provedEpochs: Int
    /// Something was wrong, and no large proof has been seen since.
    var isDoubtful: Bool
    /// The newest receipt, and the newest whose verdict is a proof.
    var last: Receipt?
    var lastProved: Receipt?

    var id: OrderID { state.order }
    var provider: NodeID { terms.provider }
    var commitment: Commitment { state.commitment }
    var isEmpty: Bool { commitment.totalBytes == 0 }

    var summary: CustodyOrder {
        CustodyOrder(
            id: id,
            terms: terms,
            state: state,
            isLive: isLive,
            shards: shards,
            lastVerdict: last?.verdict,
            lastReason: last?.reason ?? "",
            lastProved: lastProved?.answered
        )
    }
}

/// A shard at a provider.
package struct Copy: Hashable, Sendable {
    package let shard: ShardID
    package let provider: NodeID

    package init(shard: ShardID, provider: NodeID) {
        self.shard = shard
        self.provider = provider
    }
}

/// Why a shard counts as lost.
struct Loss: Hashable, Sendable {
    enum Cause: Int64, Sendable {
        /// The provider says that it has not got it.
        case missing = 1
        /// The provider, or its root, says that it rotted.
        case corrupt = 2
        /// The provider's own scrub found it, and asked for it again.
        case reported = 3
        /// The provider answered with a forgery: nothing it holds is trusted.
        case distrusted = 4
        /// The provider does not know the order any more.
        case orderLost = 5
    }

    let since: Timestamp
    let cause: Cause
}

/// A copy of a shard somewhere else than where the stripe says, or not yet there.
struct StrayCopy: Hashable, Sendable {
    let copy: Copy
    let stripe: StripeID
    let index: Int
    let state: BookSchema.CopyState
    /// When its state ends: an intent was forgotten, a spare's time is over.
    let due: Timestamp
}
