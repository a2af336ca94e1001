import Disk
import Metadata
import Primitives
import Synchronization
import Transport

/// One request for a range of a shard, and its answer: masked bytes as the provider gave them.
final class ShardAsk: Sendable {
    let record: ShardRecord
    let range: Range<Int>
    let began = Clock.monotonic()
    let reply = Pending<[UInt8]>()

    init(_ record: ShardRecord, _ range: Range<Int>) {
        self.record = record
        self.range = range
    }
}

/// A part of a shard and the request that brings it.
struct ShardPart: Sendable {
    let ask: ShardAsk
    /// Within the shard.
    let range: Range<Int>
}

/// Ranges of shards that are under way, so that nobody asks for them twice, or kept for a while
/// because somebody is likely to want them next.
///
/// Bytes of a shard never change, so what is kept is never out of date; it may be wrong, like
/// everything that comes from a provider, until a tag has vouched for it.
final class ShardRanges: Sendable {
    /// Kept bytes at most, the oldest go first: two stripes of 4+2.
    static let keptBytesMax = 32 << 20
    /// How long bytes are kept that nobody came for: readers come within moments or not at all.
    static let keptTime: Duration = .seconds(10)

    private struct State {
        var asks: [ShardID: [ShardAsk]] = [:]
        /// Those that are kept, the oldest first.
        var kept: [ShardAsk] = []
        var keptBytes = 0

        mutating func insert(_ ask: ShardAsk) {
            var asks = asks.removeValue(forKey: ask.record.shard) ?? []
            let place =
                asks.firstIndex { $0.range.lowerBound > ask.range.lowerBound } ?? asks.endIndex
            asks.insert(ask, at: place)
            self.asks[ask.record.shard] = asks
        }

        mutating func remove(_ ask: ShardAsk) {
            guard var asks = asks.removeValue(forKey: ask.record.shard) else { return }
            asks.removeAll { $0 === ask }
            if !asks.isEmpty { self.asks[ask.record.shard] = asks }
        }

        mutating func trim(before: Duration, bytesMax: Int) {
            var count = 0
            while count < kept.count, keptBytes > bytesMax || kept[count].began < before {
                remove(kept[count])
                keptBytes -= kept[count].range.count
                count += 1
            }
            if count > 0 { kept.removeFirst(count) }
        }
    }

    private let state = Mutex(State())

    /// The requests that cover `range` of a shard, and those among them that the caller must send
    /// now.
    ///
    /// `isKept`: new ones stay for others when they are answered. The others are the caller's to
    /// `release`.
    func cover(
        _ range: Range<Int>,
        of record: ShardRecord,
        isKept: Bool
    ) -> (parts: [ShardPart], new: [ShardAsk]) {
        let now = Clock.monotonic()
        return state.withLock { state in
            var parts: [ShardPart] = []
            var new: [ShardAsk] = []
            var position = range.lowerBound
            func fill(to end: Int) {
                guard position < end else { return }
                let ask = ShardAsk(record, position..<end)
                new.append(ask)
                parts.append(ShardPart(ask: ask, range: position..<end))
                position = end
            }
            // In order of their beginnings.
            for ask in state.asks[record.shard] ?? [] {
                guard ask.range.upperBound > position, ask.range.lowerBound < range.upperBound,
                    ask.isUsable(now: now)
                else { continue }
                fill(to: min(ask.range.lowerBound, range.upperBound))
                let end = min(ask.range.upperBound, range.upperBound)
                parts.append(ShardPart(ask: ask, range: position..<end))
                position = end
                if position == range.upperBound { break }
            }
            fill(to: range.upperBound)
            for ask in new {
                state.insert(ask)
                if isKept {
                    state.kept.append(ask)
                    state.keptBytes += ask.range.count
                }
            }
            state.trim(before: now - Self.keptTime, bytesMax: Self.keptBytesMax)
            return (parts, new)
        }
    }

    /// Whether all of `range` is there or under way.
    func covers(_ range: Range<Int>, of shard: ShardID) -> Bool {
        let now = Clock.monotonic()
        return state.withLock { state in
            var position = range.lowerBound
            for ask in state.asks[shard] ?? [] where ask.isUsable(now: now) {
                if ask.range.lowerBound > position { break }
                position = max(position, ask.range.upperBound)
                if position >= range.upperBound { return true }
            }
            return range.isEmpty
        }
    }

    /// Lets go of requests that are not kept.
    func release(_ asks: [ShardAsk]) {
        guard !asks.isEmpty else { return }
        state.withLock { state in for ask in asks { state.remove(ask) } }
    }

    /// Drops what is known of these shards: some of it was wrong.
    func forget(_ shards: [ShardRecord]) {
        state.withLock { state in
            for record in shards { state.asks[record.shard] = nil }
        }
    }

    /// Drops everything.
    func forgetAll() { state.withLock { $0 = State() } }

    /// Drops what was kept for its time; whether anything is left.
    func trim() -> Bool {
        let now = Clock.monotonic()
        return state.withLock { state in
            state.trim(before: now - Self.keptTime, bytesMax: Self.keptBytesMax)
            return state.keptBytes > 0
        }
    }
}

extension ShardAsk {
    /// A request without answer for so long is not joined any more.
    private static let joinedTime: Duration = .seconds(3)

    /// Whether it brought or may yet bring bytes.
    fileprivate func isUsable(now: Duration) -> Bool {
        switch reply.outcome {
        case .success: true
        case .failure: false
        case nil: now - began < Self.joinedTime
        }
    }
}
