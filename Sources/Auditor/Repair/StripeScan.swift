import Network
import Primitives

/// How far a look at all stripes has come, and what it found.
struct StripeScan {
    /// Stripes that are shown as the worst.
    private static let worstMax = 8

    /// Behind this stripe it goes on.
    var cursor: StripeID?
    /// Entries that no order has are queued on the way.
    let reconciles: Bool
    /// Earlier failures are forgotten, because providers came or went.
    let forgives: Bool
    private(set) var worst: [CustodyStripe] = []
    private(set) var shardsMissing = 0
    /// Providers that hold shards of these stripes.
    private(set) var holders: Set<NodeID> = []
    /// Stripes concerned before that were not met yet.
    var unmet: Set<StripeID>

    init(reconciles: Bool, forgives: Bool, concerned: Set<StripeID>) {
        self.reconciles = reconciles
        self.forgives = forgives
        unmet = concerned
    }

    mutating func note(_ stripe: CustodyStripe, heldBy providers: [NodeID]) {
        holders.formUnion(providers)
        shardsMissing += stripe.n - stripe.healthy
        if worst.count == Self.worstMax, let last = worst.last,
            stripe.lossProbability <= last.lossProbability
        {
            return
        }
        let position =
            worst.firstIndex { $0.lossProbability < stripe.lossProbability } ?? worst.endIndex
        worst.insert(stripe, at: position)
        if worst.count > Self.worstMax { worst.removeLast() }
    }
}
