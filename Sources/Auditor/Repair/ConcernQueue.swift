import Primitives

/// Why a stripe needs looking after.
struct Concern: Hashable, Sendable {
    /// When something is to be done.
    var due: Timestamp
    /// Those with the largest number first; drains come after all rebuilds.
    var urgency: Double
    /// Its rebuilding has begun: it goes on until the stripe is full.
    var isRebuilding = false
    /// Attempts that failed, one after another.
    var failures = 0
    /// Shards that are not healthy.
    var missing: Int

    /// Below every rebuild's.
    static let drainUrgency = -1000.0
}

/// The stripes that something is wrong with, the worst first.
///
/// Pure; times come as arguments.
struct ConcernQueue {
    /// More stripes than this are not remembered; another scan finds them again.
    static let concernsMax = 1 << 14
    /// Sorting is not worth more often, in seconds.
    private static let sortInterval = 5.0

    private var concerns: [StripeID: Concern] = [:]
    /// Stripes that are due, the most urgent last.
    private var ready: [StripeID] = []
    private var sortedAt: Timestamp?
    private var isSorted = true
    /// When the next one becomes due.
    private var nextDue: Timestamp?
    /// Some did not fit.
    private(set) var hasOverflowed = false

    var count: Int { concerns.count }

    subscript(stripe: StripeID) -> Concern? { concerns[stripe] }

    /// Stripes concerned.
    var stripes: some Collection<StripeID> { concerns.keys }

    mutating func set(_ concern: Concern, of stripe: StripeID) {
        guard concerns[stripe] != nil || concerns.count < Self.concernsMax else {
            hasOverflowed = true
            return
        }
        guard concerns[stripe] != concern else { return }
        concerns[stripe] = concern
        isSorted = false
    }

    mutating func remove(_ stripe: StripeID) {
        // `takeWorst` skips it.
        concerns[stripe] = nil
    }

    /// Whether another scan would find more, now that there is room.
    mutating func takeOverflow() -> Bool {
        guard hasOverflowed, concerns.count < Self.concernsMax / 2 else { return false }
        hasOverflowed = false
        return true
    }

    /// The most urgent stripe that is due and none of `excluded`; it stays in the queue.
    mutating func takeWorst(at now: Timestamp, excluding excluded: Set<StripeID>) -> StripeID? {
        sortIfNeeded(at: now)
        while let stripe = ready.popLast() {
            guard let concern = concerns[stripe], concern.due <= now, !excluded.contains(stripe)
            else { continue }
            return stripe
        }
        return nil
    }

    private mutating func sortIfNeeded(at now: Timestamp) {
        let isOver = nextDue.map { $0 <= now } ?? false
        guard !isSorted || isOver else { return }
        if let sortedAt, !ready.isEmpty, now.seconds(since: sortedAt) < Self.sortInterval,
            now >= sortedAt
        {
            return
        }
        ready = concerns.filter { $0.value.due <= now }
            .sorted { ($0.value.urgency, $1.key) < ($1.value.urgency, $0.key) }
            .map(\.key)
        nextDue = concerns.values.map(\.due).filter { $0 > now }.min()
        sortedAt = now
        isSorted = true
    }
}
