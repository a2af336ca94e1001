import Metadata
import Primitives
import Wire

/// That the next head is to be kept.
struct SnapshotWish: Hashable, Sendable {
    let name: String
    let lockedUntil: Timestamp?

    func row(_ version: UInt64, _ time: Timestamp, _ index: [BlockLocation]) -> SnapshotRow {
        SnapshotRow(
            version: version,
            time: time,
            name: name,
            lockedUntil: lockedUntil,
            contents: CheckpointPlace(index: index, stripes: []).encoded
        )
    }
}
