/// What happened in a world, in order: a digest of all of it, and the last events as text.
///
/// Two runs of one seed and one program give equal traces.
package struct SimulationTrace: Hashable, Sendable, CustomStringConvertible {
    /// Of every event: its time, thread, kind, subject and numbers.
    package let digest: UInt64
    package let eventCount: Int
    /// The last events, oldest first.
    package let last: [String]

    package var description: String {
        "\(eventCount) events, digest \(String(digest, radix: 16))"
    }
}

/// Gathers a trace.
struct TraceRecorder {
    private struct Event {
        let nanoseconds: UInt64
        let thread: Int
        let verb: String
        let subject: String
        let first: UInt64
        let second: UInt64

        var text: String {
            let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
            let fraction = String(String(1_000_000_000 + rest).dropFirst())
            return "\(seconds).\(fraction) #\(thread) \(verb) \(subject) \(first) \(second)"
        }
    }

    /// Events kept as text, if not all are asked for: what led to a failure, and no more than a
    /// person reads.
    static let keptEvents = 400

    var keepsAll = false

    private var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    private var count = 0
    private var ring: [Event] = []

    mutating func record(
        at nanoseconds: UInt64,
        thread: Int,
        _ verb: String,
        _ subject: String,
        _ first: UInt64,
        _ second: UInt64
    ) {
        // FNV-1a; Swift's own hashes differ from run to run.
        for byte in verb.utf8 { mix(UInt64(byte)) }
        for byte in subject.utf8 { mix(UInt64(byte)) }
        mix(nanoseconds)
        mix(UInt64(truncatingIfNeeded: thread))
        mix(first)
        mix(second)
        let event = Event(
            nanoseconds: nanoseconds,
            thread: thread,
            verb: verb,
            subject: subject,
            first: first,
            second: second
        )
        if keepsAll || ring.count < Self.keptEvents {
            ring.append(event)
        } else {
            ring[count % Self.keptEvents] = event
        }
        count += 1
    }

    private mutating func mix(_ value: UInt64) {
        digest = (digest ^ value) &* 0x100_0000_01b3
        digest ^= digest >> 29
    }

    var trace: SimulationTrace {
        let oldest = keepsAll || ring.count < Self.keptEvents ? 0 : count % Self.keptEvents
        let events = ring[oldest...] + ring[..<oldest]
        return SimulationTrace(digest: digest, eventCount: count, last: events.map(\.text))
    }
}
