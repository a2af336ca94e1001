import Disk
import Primitives

/// Plaintext of placed blocks, opened for who reads snapshots, and who is opening which.
///
/// What lies at a place of a stripe never changes, so nothing here is ever out of date, and
/// snapshots that share a block share it here.
final class OpenedBlocks: Sendable {
    /// Plaintext kept at most, least recently used blocks go first: what the kernel reads ahead of
    /// eight sequential readers.
    static let bytesMax = 32 << 20
    /// How long plaintext is kept that nobody asks for: the kernel has what it was given.
    static let keptTime: Duration = .seconds(10)

    /// Where a block's first sealed byte is, which tells it from every other.
    struct Place: Hashable, Sendable {
        let stripe: StripeID
        let offset: UInt32
    }

    /// Bytes of a block from `start` on.
    private struct Run {
        let start: Int
        let bytes: [UInt8]

        var range: Range<Int> { start..<start + bytes.count }
    }

    private struct Entry {
        var runs: [Run] = []
        var lastUse: Duration = .zero
        var byteCount: Int { runs.reduce(0) { $0 + $1.bytes.count } }
    }

    private struct State {
        var entries: [Place: Entry] = [:]
        var byteCount = 0
        /// Blocks that somebody is opening.
        var underWay: Set<Place> = []
    }

    private let state = Condition(State())

    /// Plaintext that is kept.
    var byteCount: Int { state.withLock { $0.byteCount } }

    /// Copies bytes of a block; `false`, and nothing copied, if not all of them are here.
    func copy(
        _ range: Range<Int>,
        of place: Place,
        into target: UnsafeMutableRawBufferPointer
    ) -> Bool {
        let now = Clock.monotonic()
        let found = state.withLock { state -> Run? in
            guard
                let run = state.entries[place]?.runs.first(where: {
                    $0.range.lowerBound <= range.lowerBound
                        && range.upperBound <= $0.range.upperBound
                })
            else { return nil }
            state.entries[place]?.lastUse = now
            return run
        }
        guard let found else { return false }
        found.bytes.withUnsafeBytes { bytes in
            target.copyMemory(
                from: UnsafeRawBufferPointer(
                    rebasing: bytes[range.lowerBound - found.start..<range.upperBound - found.start]
                )
            )
        }
        return true
    }

    /// Whether something of the block is here or being opened.
    func knows(_ place: Place) -> Bool {
        state.withLock { $0.entries[place] != nil || $0.underWay.contains(place) }
    }

    /// Takes it upon the caller to open the block; `false` if somebody else is at it.
    ///
    /// To be ended by `finish`.
    func claim(_ place: Place) -> Bool {
        state.withLock { $0.underWay.insert(place).inserted }
    }

    /// Ends a claim, keeping what was opened of the block, from `start` on.
    func finish(_ place: Place, keeping bytes: [UInt8] = [], from start: Int = 0) {
        let run = Run(start: start, bytes: bytes)
        let now = Clock.monotonic()
        state.update { state in
            state.underWay.remove(place)
            guard !bytes.isEmpty else { return }
            var entry = state.entries[place] ?? Entry()
            state.byteCount -= entry.byteCount
            entry.runs.removeAll { run.range.contains($0.range) }
            entry.runs.append(run)
            entry.lastUse = now
            state.byteCount += entry.byteCount
            state.entries[place] = entry
            while state.byteCount > Self.bytesMax,
                let oldest = state.entries.min(by: { $0.value.lastUse < $1.value.lastUse })
            {
                state.byteCount -= oldest.value.byteCount
                state.entries[oldest.key] = nil
            }
        }
    }

    /// Waits until nobody is opening the block.
    func wait(for place: Place) {
        state.wait { $0.underWay.contains(place) ? nil : () }
    }

    /// Drops what nobody asked for in its time; whether anything is left.
    func trim() -> Bool {
        let before = Clock.monotonic() - Self.keptTime
        return state.withLock { state in
            for (place, entry) in state.entries where entry.lastUse < before {
                state.byteCount -= entry.byteCount
                state.entries[place] = nil
            }
            return !state.entries.isEmpty
        }
    }

    /// Drops all plaintext.
    func forgetAll() {
        state.update { state in
            state.entries = [:]
            state.byteCount = 0
        }
    }
}
