import Primitives
import Proofs
import Reliability
import Testing
import Wire

@Suite struct ProviderHistoryTests {
    /// A history in which every field says something.
    static func eventful() -> ProviderHistory {
        var history = ProviderHistory.good(days: 3)
        var time = history.lastSeen
        time = history.note(.unreachable, hours: 5, from: time.adding(seconds: hour))
        time = history.note(.ok, hours: 5, from: time.adding(seconds: hour))
        history.note(.slow, leaves: 460, at: time.adding(seconds: 60))
        history.note(.missing, leaves: 0, at: time.adding(seconds: 120))
        history.note(.corrupt, leaves: 31, at: time.adding(seconds: 180))
        history.note(.forged, leaves: 0, at: time.adding(seconds: 240))
        history.noteRead(ok: true, at: time.adding(seconds: 300))
        history.noteRead(ok: false, at: time.adding(seconds: 301))
        history.noteRepair(lostShards: 5, selfReported: true, at: time.adding(seconds: 400))
        history.noteRepair(lostShards: 2, selfReported: false, at: time.adding(seconds: 401))
        history.noteRefetched(shards: 3, at: time.adding(seconds: 500))
        history.note(.ok, leaves: 32, at: time.adding(seconds: 600))
        history.noteSeen(up: false, at: time.adding(seconds: 700))
        return history
    }

    @Test func roundTrips() throws {
        for history in [ProviderHistory(firstSeen: birth), .good(days: 2), Self.eventful()] {
            let decoded = try ProviderHistory(decoding: history.encoded)
            #expect(decoded == history)
            #expect(decoded.encoded == history.encoded)
        }
    }

    @Test func goldenBytesStillMeanTheSame() throws {
        let golden = try Golden.bytes(
            "provider-history",
            "ProviderHistory: 3 good days, an outage, each verdict once, a loss partly refetched",
            ifNew: Self.eventful().encoded
        )
        let history = try ProviderHistory(decoding: golden)
        #expect(history.encoded == golden)
        #expect(history.firstSeen == birth)
        let now = Self.eventful()
        #expect(history.downSince == now.downSince)
        #expect(history.lastSeen == now.lastSeen)
        let time = birth.adding(seconds: 4 * day)
        let (stored, made) = (Score(of: history, at: time), Score(of: now, at: time))
        #expect(abs(stored.value - made.value) < 1e-9)
        #expect(stored.reasons == made.reasons)
    }

    @Test func everyTruncationIsRefused() {
        let bytes = Self.eventful().encoded
        for count in bytes.indices {
            #expect(throws: DecodeError.self) {
                try ProviderHistory(decoding: Array(bytes.prefix(count)))
            }
        }
        #expect(throws: DecodeError.trailingBytes(1)) {
            try ProviderHistory(decoding: bytes + [0])
        }
    }

    @Test func flippedBitsNeverTrapAndNeverMakeNonsense() {
        let bytes = Self.eventful().encoded
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            guard var history = try? ProviderHistory(decoding: flipped) else { continue }
            let time = birth.adding(seconds: 40 * day)
            expectSane(Score(of: history, at: time))
            history.note(.ok, leaves: 32, at: time)
            expectSane(Score(of: history, at: time))
        }
    }

    @Test func numbersOutOfRangeAreRefused() {
        let bytes = Self.eventful().encoded
        // The first of the real numbers stands after version, 3 times, 4 optional times, a byte.
        let offset = 1 + 3 * 12 + 4 * 13 + 1
        for value in [Double.nan, .infinity, -1, -0.0, 1e300] {
            var broken = bytes
            withUnsafeBytes(of: value.bitPattern.littleEndian) {
                broken.replaceSubrange(offset..<offset + 8, with: $0)
            }
            #expect(throws: DecodeError.self) { try ProviderHistory(decoding: broken) }
        }
    }

    @Test func weirdClocksNeverTrap() {
        var generator = SeededGenerator(seed: 3)
        let strange: [Int64] = [
            .min, .max, -1, 0, 1, 1 << 43, -(1 << 43), 1_700_000_000, 1_700_003_600, 1_600_000_000,
        ]
        var history = ProviderHistory(firstSeen: Timestamp(seconds: .max, nanoseconds: .max))
        for _ in 0..<20_000 {
            let time = Timestamp(
                seconds: strange[Int(generator.next() % UInt64(strange.count))]
                    &+ Int64(generator.next() % 10_000),
                nanoseconds: UInt32(truncatingIfNeeded: generator.next())
            )
            switch generator.next() % 8 {
            case 0: history.noteSeen(up: true, at: time)
            case 1: history.noteSeen(up: false, at: time)
            case 2: history.noteRead(ok: generator.next() % 2 == 0, at: time)
            case 3: history.noteRepair(lostShards: .max, selfReported: false, at: time)
            case 4: history.noteRepair(lostShards: -5, selfReported: true, at: time)
            case 5: history.noteRefetched(shards: .max, at: time)
            default:
                let verdict = Verdict.allCases[Int(generator.next() % 6)]
                history.note(verdict, leaves: generator.next() % 2 == 0 ? .min : .max, at: time)
            }
            expectSane(Score(of: history, at: time))
        }
        #expect((try? ProviderHistory(decoding: history.encoded)) == history)
    }

    @Test func aClockThatWasAheadIsForgotten() {
        var history = ProviderHistory.good(days: 10)
        let now = history.lastSeen
        history.noteSeen(up: true, at: now.adding(seconds: 3650 * day))
        history.noteSeen(up: false, at: now.adding(seconds: 60))
        #expect(history.downSince == now.adding(seconds: 60))
        #expect(history.lastSeen <= now.adding(seconds: 60))
        let end = history.note(.ok, hours: 48, from: now.adding(seconds: 120))
        #expect(Score(of: history, at: end).availability > 0.9)
    }

    @Test func timeInWhichNobodyLookedIsNeitherUpNorDown() {
        var history = ProviderHistory.good(days: 20)
        let before = Score(of: history, at: history.lastSeen)
        history.noteSeen(up: true, at: history.lastSeen.adding(seconds: 5 * day))
        let after = Score(of: history, at: history.lastSeen)
        #expect(abs(after.availability - before.availability) < 0.06)
        #expect(after.lossProbability < 0.01)
    }

    @Test func oneOutageIsFromTheFirstMissToTheNextSign() {
        var history = ProviderHistory.good(days: 1)
        let start = history.lastSeen.adding(seconds: 60)
        for second in 0..<100 {
            history.noteSeen(up: false, at: start.adding(seconds: Double(second)))
        }
        #expect(history.downSince == start)
        history.noteRead(ok: false, at: start.adding(seconds: 200))
        #expect(history.downSince == start)
        history.noteRead(ok: true, at: start.adding(seconds: 300))
        #expect(history.downSince == nil)
        #expect(history.lastSeen == start.adding(seconds: 300))
    }
}

/// No NaN, nothing out of range, reasons that fit the wire.
func expectSane(_ score: Score, sourceLocation: SourceLocation = #_sourceLocation) {
    for number in [score.value, score.availability, score.lossProbability, score.ramp] {
        #expect((0...1).contains(number), sourceLocation: sourceLocation)
    }
    #expect((0...1).contains(score.placementWeight), sourceLocation: sourceLocation)
    let decoded = try? Score(decoding: score.encoded)
    #expect(decoded == score, sourceLocation: sourceLocation)
}
