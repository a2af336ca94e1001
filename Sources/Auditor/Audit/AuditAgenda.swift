import Primitives
import Proofs
import Reliability
import Sealing
import Wire

/// When each order is challenged: once an epoch, spread over its first half; again after a miss.
///
/// Pure; times come as arguments.
struct AuditAgenda {
    /// One order's turn.
    struct Item: Hashable {
        var due: Timestamp
        /// The epoch of the order's last receipt.
        var lastEpoch: Epoch?
        /// A second look after no answer: what is found counts.
        var isSecondLook = false

        /// Whether it comes before `other`; `nil` if neither does.
        func isBefore(_ other: Item) -> Bool? {
            if lastEpoch != other.lastEpoch {
                guard let lastEpoch else { return true }
                return other.lastEpoch.map { lastEpoch < $0 } ?? false
            }
            return due == other.due ? nil : due < other.due
        }
    }

    private(set) var epoch: Epoch?
    private var items: [OrderID: Item] = [:]
    /// No item is due before.
    private(set) var nextDue: Timestamp?

    /// Begins an epoch, or takes in orders that came since it began.
    ///
    /// `orders` says of each the epoch of its last receipt.
    mutating func plan(_ block: BeaconBlock, orders: [OrderID: Epoch?], at now: Timestamp) {
        if epoch != block.epoch {
            epoch = block.epoch
            items = [:]
        }
        for (order, last) in orders where items[order] == nil {
            guard last != block.epoch else { continue }
            items[order] = Item(due: max(Self.turn(of: order, in: block), now), lastEpoch: last)
        }
        for order in items.keys where orders[order] == nil { items[order] = nil }
        nextDue = items.values.map(\.due).min()
    }

    /// The orders whose turn has come; each is taken once.
    ///
    /// First come those that were audited least lately, so that an epoch too short for all leaves
    /// none out for long.
    mutating func take(_ limit: Int, at now: Timestamp) -> [(order: OrderID, item: Item)] {
        guard let nextDue, nextDue <= now else { return [] }
        let due = items.filter { $0.value.due <= now }
            .sorted { $0.value.isBefore($1.value) ?? ($0.key < $1.key) }
            .prefix(limit)
        for (order, _) in due { items[order]?.due = Self.never }
        self.nextDue = items.values.map(\.due).filter { $0 != Self.never }.min()
        return due.map { ($0.key, $0.value) }
    }

    /// Gives an order another turn in this epoch.
    mutating func again(_ order: OrderID, at due: Timestamp, isSecondLook: Bool) {
        items[order] = Item(due: due, lastEpoch: epoch, isSecondLook: isSecondLook)
        nextDue = min(nextDue ?? due, due)
    }

    private static let never = Timestamp(seconds: .max, nanoseconds: 0)

    /// A moment in the first half of the epoch that is the order's own.
    static func turn(of order: OrderID, in block: BeaconBlock) -> Timestamp {
        var writer = ByteWriter()
        writer.id(order)
        writer.integer(block.epoch.rawValue)
        let half = UInt64(block.epochSeconds) * 500
        let milliseconds = XXH3.hash64(writer.bytes).multipliedFullWidth(by: half).high
        let seconds = UInt64(block.epochSeconds)
        let start = Int64(
            clamping: block.epoch.rawValue.multipliedReportingOverflow(by: seconds)
                .partialValue
        )
        return Timestamp(seconds: start, nanoseconds: 0).adding(
            seconds: Double(milliseconds) / 1000
        )
    }

    /// How many leaves an order is asked for.
    static func leaves(
        provedEpochs: Int,
        isDoubtful: Bool,
        _ configuration: CustodyConfiguration
    ) -> UInt32 {
        let isTrusted = provedEpochs >= configuration.epochsUntilTrusted && !isDoubtful
        let leaves = isTrusted ? configuration.leavesPerEpoch : configuration.leavesWhenDoubtful
        return min(max(leaves, 1), UInt32(Challenge.leavesMax))
    }
}
