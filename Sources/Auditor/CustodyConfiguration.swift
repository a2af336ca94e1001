import Network
import Proofs
package import Reliability

/// How a volume is looked after: rates and bounds.
///
/// docs/audit.md has the reasons.
package struct CustodyConfiguration: Sendable {
    /// Whether shards may be moved and removed just now: not while another machine may be the
    /// volume's writer.
    package var mayMove: @Sendable () -> Bool = { true }
    /// Leaves asked of each order in an epoch; at least 1.
    package var leavesPerEpoch = Challenge.leavesUsual
    /// Leaves asked of a new order, and after a miss: finds the loss of 1 % with 99 %.
    package var leavesWhenDoubtful = Challenge.leavesDoubtful
    /// An order is new until so many of its epochs were proved.
    package var epochsUntilTrusted = 24
    /// A proof that takes longer is slow.
    package var softDeadline = Duration.seconds(10)
    /// An answer that takes longer is none.
    package var hardDeadline = Duration.seconds(30)
    /// An order that did not answer is asked again after so long, at most an eighth of an epoch.
    package var secondLook = Duration.seconds(60)
    /// A provider offline for less is not missed: connections break and nodes start again.
    package var suspicionGrace = Duration.seconds(30)
    /// When missing shards are rebuilt.
    package var repairPolicy = RepairPolicy()
    /// Bytes read and written by repairs in a second, on average.
    package var repairBytesPerSecond = 16 << 20
    /// How long a copy that came back too late is kept.
    package var spareSeconds = 24 * 3600
    /// How often all stripes are looked at although no provider came or went.
    package var scanInterval = Duration.seconds(600)
    /// How often the directory is looked at.
    package var lookInterval = Duration.seconds(4)
    /// Entries wait in memory for an amendment at most so long.
    package var amendInterval = Duration.seconds(2)
    /// Tombstones of an order that are worth a compaction, if half of its entries are such.
    package var tombstonesMin = 1024
    /// From so many entries on an order is compacted for fewer: it may have a third more, and takes
    /// no shard then.
    package var entriesHigh = OrderTree.entriesMax / 4 * 3
    /// Tombstones of one step of a compaction; others may amend between two.
    package var tombstonesPerStep = Int(CompactOrder.dropsMax)
    /// Whether to challenge.
    package var audits = true
    /// Whether to rebuild and move shards.
    package var repairs = true

    package init() {}
}
