import Disk
import Metadata
import Primitives
import Synchronization

/// How much of a stripe to fetch around a small block, by how much of what was fetched before was
/// wanted.
///
/// Small files written one after another lie one after another in a stripe, and are mostly read so
/// too. A read of one fetches what 64 KiB hold; as long as most of what was passed over was read,
/// the next fetch is twice as long, and begins before the reader arrives there. What nobody comes
/// for costs one fetch of 64 KiB, as much as any small read does.
final class NeighbourWindows: Sendable {
    /// Blocks that take more room than this are worth a request of their own.
    static let blockBytesMax = 256 << 10
    /// The shortest fetch: as long as a segment.
    static let bytesMin = 64 << 10
    /// The longest: a shard of a whole stripe, and an eighth of what is kept.
    static let bytesMax = 4 << 20
    /// Stripes in which readers are remembered.
    private static let stripesMax = 64
    /// How long a reader that came to the end of a stripe is expected in another.
    private static let handoverTime: Duration = .seconds(2)

    private struct Reader {
        /// Payload that was asked for in one run, up to `end`.
        var start: Int
        var end: Int
        /// The length of the last fetch.
        var window: Int
        /// Bytes between `start` and `end` that were read.
        var used = 0
        var lastUse: UInt64 = 0

        /// Begins a run at a block.
        init(at range: Range<Int>, window: Int, of payloadBytes: Int) {
            start = range.lowerBound
            end = min(max(range.upperBound, range.lowerBound + window), payloadBytes)
            used = range.count
            self.window = window
        }

        /// Notes that a block is read, and tells what to ask for because of it.
        mutating func read(_ range: Range<Int>, of payloadBytes: Int) -> Range<Int>? {
            // At least half of what was passed was read.
            let isUseful = used * 2 >= range.lowerBound - start
            guard range.lowerBound >= start, range.lowerBound <= end else {
                // Somewhere else: what came of the last run says what to expect of the next.
                let isWorth = used * 2 >= end - start
                let next = isWorth ? window : max(window / 2, NeighbourWindows.bytesMin)
                self = Reader(at: range, window: next, of: payloadBytes)
                return start..<end
            }
            used += range.count
            guard range.upperBound > end - window / 2, end < payloadBytes else { return nil }
            guard isUseful || range.upperBound > end else { return nil }
            window =
                isUseful
                ? min(window * 2, NeighbourWindows.bytesMax)
                : max(window / 2, NeighbourWindows.bytesMin)
            let next = end..<min(max(end + window, range.upperBound), payloadBytes)
            end = next.upperBound
            return next
        }
    }

    private struct State {
        var readers: [StripeID: Reader] = [:]
        var uses: UInt64 = 0
        /// The window of a reader that came to the end of a stripe, and when.
        var handover: (window: Int, at: Duration)?
    }

    private let state = Mutex(State())

    /// What to ask for, if anything, because a block is about to be read that takes `range` of a
    /// stripe's payload.
    func wanted(_ range: Range<Int>, in stripe: StripeRecord) -> Range<Int>? {
        let now = Clock.monotonic()
        return state.withLock { state in
            state.uses += 1
            var reader: Reader
            let wanted: Range<Int>?
            if let known = state.readers[stripe.id] {
                reader = known
                wanted = reader.read(range, of: stripe.payloadBytes)
            } else {
                var window = Self.bytesMin
                if let handover = state.handover, now - handover.at < Self.handoverTime,
                    range.lowerBound < handover.window
                {
                    window = handover.window
                }
                state.handover = nil
                reader = Reader(at: range, window: window, of: stripe.payloadBytes)
                wanted = reader.start..<reader.end
            }
            reader.lastUse = state.uses
            if reader.end == stripe.payloadBytes, reader.window > Self.bytesMin {
                state.handover = (reader.window, now)
            }
            state.readers[stripe.id] = reader
            if state.readers.count > Self.stripesMax,
                let oldest = state.readers.min(by: { $0.value.lastUse < $1.value.lastUse })
            {
                state.readers[oldest.key] = nil
            }
            return wanted
        }
    }
}
