import Disk
import Primitives
import Synchronization

/// How fast each provider answered reads lately, and whom it is not worth waiting for.
///
/// A provider that failed, or was so late that others were asked in its place, *rests*: for a
/// while it is asked only where no others can help. After that one read asks it and others at
/// once; its answer ends the rest or doubles it.
final class ProviderPace: Sendable {
    /// Answers remembered of each provider.
    private static let samplesMax = 32
    /// Answers before the provider's own pace counts.
    private static let samplesMin = 8
    /// Others are asked when an answer is so many times later than all but a twentieth were.
    private static let lateness = 3
    /// The same compared with the middle one of all providers: what is far slower than the others
    /// is slow, however steadily.
    private static let latenessAmongOthers = 8
    /// Bounds of the wait before others are asked: threads of a busy host are that late by
    /// themselves; and what a person calls a hang.
    private static let waitMin: Duration = .milliseconds(100)
    static let waitMax: Duration = .seconds(3)
    /// The wait while a provider is not known yet.
    private static let waitAtFirst: Duration = .seconds(1)
    /// How long a provider rests, doubled each time: short enough that a hiccup is forgotten, long
    /// enough that a dead one costs next to nothing.
    private static let restMin: Duration = .seconds(1)
    private static let restMax: Duration = .seconds(30)
    /// Time for the one answer that ends a rest.
    private static let probeTime: Duration = .seconds(10)
    /// Reads in which others may be asked early, at most so many at once and one more for each so
    /// many reads: when everything is slow, asking more makes it slower.
    private static let hedgesMax = 16.0
    private static let readsPerHedge = 10.0

    /// Whether to ask a provider.
    enum Standing {
        case good
        /// Its rest is over: ask it, but others too.
        case probed
        case resting
    }

    private struct Record {
        /// The last answers' times; the oldest is overwritten.
        var samples: [Duration] = []
        var next = 0
        /// What all but a twentieth of them stayed below.
        var usual: Duration?
        var strikes = 0
        var restsUntil: Duration = .zero
        /// Whether it was asked since its rest, and has until `restsUntil` to answer.
        var isProbed = false

        mutating func note(_ time: Duration) {
            if samples.count < ProviderPace.samplesMax {
                samples.append(time)
            } else {
                samples[next] = time
                next = (next + 1) % samples.count
            }
            // Sorting each time would cost more than it tells.
            guard samples.count >= ProviderPace.samplesMin, usual == nil || next % 8 == 0 else {
                return
            }
            usual = samples.sorted()[samples.count * 19 / 20]
        }
    }

    private struct State {
        /// As many as the network has providers.
        var records: [NodeID: Record] = [:]
        var hedges = ProviderPace.hedgesMax
    }

    private let state = Mutex(State())

    /// How a provider stands for a read that is about to ask it.
    func standing(of provider: NodeID) -> Standing {
        state.withLock { state in
            guard var record = state.records[provider], record.strikes > 0 else { return .good }
            let now = Clock.monotonic()
            guard now >= record.restsUntil else { return .resting }
            record.restsUntil = now + Self.probeTime
            record.isProbed = true
            state.records[provider] = record
            return .probed
        }
    }

    /// Whether it is better not asked.
    func isResting(_ provider: NodeID) -> Bool {
        state.withLock { ($0.records[provider]?.strikes ?? 0) > 0 }
    }

    /// How long to wait for an answer of a provider before others are asked.
    func wait(for provider: NodeID) -> Duration {
        state.withLock { state in Self.wait(for: provider, in: state) }
    }

    private static func wait(for provider: NodeID, in state: State) -> Duration {
        guard let own = state.records[provider]?.usual else { return waitAtFirst }
        let all = state.records.values.compactMap(\.usual).sorted()
        let middle = all[all.count / 2]
        return min(max(min(own * lateness, middle * latenessAmongOthers), waitMin), waitMax)
    }

    /// Whether others may be asked early for one more read.
    func takeHedge() -> Bool {
        state.withLock { state in
            guard state.hedges >= 1 else { return false }
            state.hedges -= 1
            return true
        }
    }

    /// A provider answered after `time`, or failed for a reason of its own.
    func note(_ provider: NodeID, after time: Duration, ok: Bool) {
        state.withLock { state in
            guard ok else { return Self.strike(provider, in: &state) }
            state.hedges = min(Self.hedgesMax, state.hedges + 1 / Self.readsPerHedge)
            let limit = Self.wait(for: provider, in: state)
            var record = state.records[provider] ?? Record()
            record.note(time)
            if time <= limit { record.strikes = 0 }
            let isSlowStill = record.strikes > 0 && record.isProbed
            state.records[provider] = record
            if isSlowStill { Self.strike(provider, in: &state) }
        }
    }

    /// Others were faster than a provider although it was asked long before them.
    func noteLate(_ provider: NodeID) {
        state.withLock { Self.strike(provider, in: &$0) }
    }

    private static func strike(_ provider: NodeID, in state: inout State) {
        var record = state.records[provider] ?? Record()
        let now = Clock.monotonic()
        // Many reads meet the same failure: it counts once.
        guard record.strikes == 0 || record.isProbed || now >= record.restsUntil else { return }
        record.isProbed = false
        record.strikes += 1
        record.restsUntil = now + min(restMax, restMin * (1 << min(record.strikes - 1, 8)))
        state.records[provider] = record
    }
}
