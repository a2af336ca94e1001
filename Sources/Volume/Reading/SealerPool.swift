import Sealing
import Synchronization

/// Sealers for whoever opens a few segments now and then: to make one costs as much as to open
/// a small file.
final class SealerPool: Sendable {
    /// A sealer on its way between threads.
    struct Lent: @unchecked Sendable {
        // SAFETY: a sealer is either in the pool or with the one thread that took it.
        fileprivate let sealer: SegmentSealer

        /// Opens a segment, as `SegmentSealer.open`.
        func open(
            _ sealed: UnsafeRawBufferPointer,
            index: Int,
            key: BlockKey,
            into plain: UnsafeMutableRawBufferPointer
        ) throws(SealingError) {
            try sealer.open(sealed, index: index, key: key, into: plain)
        }
    }

    /// Sealers kept, of some 250 KiB each: as many as threads open segments at once on a small
    /// host.
    private static let keptMax = 8

    private let kept = Mutex<[Lent]>([])

    func take() throws(SealingError) -> Lent {
        if let lent = kept.withLock({ $0.popLast() }) { return lent }
        return Lent(sealer: try SegmentSealer())
    }

    func give(_ lent: Lent) {
        kept.withLock { kept in
            if kept.count < Self.keptMax { kept.append(lent) }
        }
    }
}
