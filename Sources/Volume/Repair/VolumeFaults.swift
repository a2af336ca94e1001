import Metadata
import Primitives

/// What a check has found of the cache and of providers, as a repair needs it.
///
/// One check, one thread.
final class VolumeFaults {
    /// One thing that is not as it should be.
    enum Fault: Hashable {
        /// A cache file of an inode that does not exist.
        case fileOfNobody(InodeNumber)
        /// The cache file of changed blocks is gone; of those only that a sync acknowledged, if it
        /// may have been a power cut.
        case missingFile(InodeNumber, onlySynced: Bool)
        /// The cache file ends before a changed block.
        case shortFile(BlockKey)
        /// The disk does not give the cache file's bytes.
        case unreadableFile(InodeNumber)
        /// A segment called cached is a hole.
        case hole(BlockKey, segment: Int)
        /// A segment called cached has other bytes than were placed.
        case wrongBytes(BlockKey, segment: Int)
        /// Cached bytes where the file has none.
        case strayBytes(InodeNumber, Range<UInt64>)
        case wrongKey(InodeNumber)
        case unreadableBlock(BlockKey)
        case lostStripe(StripeID)
        /// A shard that is missing or wrong.
        case doubt(Int, of: StripeID)
    }

    /// Faults kept; what exceeds it is found by the next check.
    private static let faultsMax = 1 << 20

    private(set) var faults: [Fault] = []
    private var known: Set<Fault> = []
    /// Whether the volume's key has opened the key of a file: so it is the right one.
    private(set) var hasOpenedKey = false

    func add(_ fault: Fault) {
        guard faults.count < Self.faultsMax, known.insert(fault).inserted else { return }
        faults.append(fault)
    }

    func noteOpenedKey() { hasOpenedKey = true }
}
