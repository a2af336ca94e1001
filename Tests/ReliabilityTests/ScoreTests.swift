import Primitives
import Proofs
import Reliability
import Sealing
import Testing
import Wire

@Suite struct ScoreTests {
    @Test func theUnknownAreNewAndGetLittle() {
        let score = Score.unknown
        #expect(score.isNew)
        #expect(abs(score.availability - 0.9) < 1e-9)
        #expect(score.ramp == 0.1)
        #expect(score.placementWeight > 0 && score.placementWeight < 0.05)
        #expect(score.reasons.contains { $0.hasPrefix("new: ") })
    }

    @Test func newProvidersAreFilledGradually() {
        var last = 0.0
        for days in 0...8 {
            let history = ProviderHistory.good(days: days)
            let score = Score(of: history, at: history.lastSeen)
            #expect(score.placementWeight >= last)
            #expect(score.isNew == (days < 7))
            last = score.placementWeight
        }
        #expect(last > 0.7)
    }

    @Test(arguments: [1, 7, 30, 365])
    func whoIsAlwaysThereIsWorthMuch(days: Int) {
        let history = ProviderHistory.good(days: days)
        let score = Score(of: history, at: history.lastSeen)
        #expect(score.value > 0.94)
        // Never better than the floor of 1 % a year.
        #expect(score.lossProbability > 0.0008 && score.lossProbability < 0.004)
    }

    @Test func proofsLowerTheRiskDownToAFloor() {
        let risks = [1, 90, 365, 2000].map { days in
            let history = ProviderHistory.good(days: days)
            return Score(of: history, at: history.lastSeen).lossProbability
        }
        #expect(risks == risks.sorted(by: >))
    }

    @Test func offlineIsNotGoneAndGrowsSmoothly() {
        var history = ProviderHistory.good(days: 30)
        let start = history.lastSeen.adding(seconds: 60)
        var last = Score(of: history, at: start)
        history.noteSeen(up: false, at: start)
        for half in 1...24 * 60 {
            let time = start.adding(seconds: Double(half) * hour / 2)
            history.noteSeen(up: false, at: time)
            let score = Score(of: history, at: time)
            #expect(score.lossProbability >= last.lossProbability - 1e-3)
            #expect(score.lossProbability - last.lossProbability < 0.03)
            #expect(score.value <= last.value + 1e-9)
            switch Double(half) / 2 {
            case 1: #expect(score.lossProbability < 0.05)
            case 24: #expect(score.lossProbability < 0.35)
            case 24 * 30: #expect(score.lossProbability > 0.85)
            default: break
            }
            last = score
        }
        #expect(last.reasons.first?.hasPrefix("offline for 30 d") == true)
    }

    @Test func returningAfterAWeekRestoresTheScoreInDays() {
        var history = ProviderHistory.good(days: 30)
        let before = Score(of: history, at: history.lastSeen)
        let gone = history.lastSeen.adding(seconds: hour)
        let back = history.note(.unreachable, hours: 7 * 24, from: gone)
        let low = Score(of: history, at: back)
        #expect(low.value < 0.3)
        let later = history.note(.ok, hours: 14 * 24, from: back.adding(seconds: 60))
        let after = Score(of: history, at: later)
        #expect(after.value > 0.9 * before.value)
        #expect(after.lossProbability < 0.01)
    }

    @Test func whoIsOffEveryNightIsTrustedToComeBack() {
        var nightly = ProviderHistory(firstSeen: birth)
        var time = birth
        for _ in 0..<30 {
            time = nightly.note(.ok, hours: 15, from: time)
            time = nightly.note(.unreachable, hours: 8, from: time.adding(seconds: hour))
            time = time.adding(seconds: hour)
        }
        nightly.noteSeen(up: true, at: time)
        time = nightly.note(.unreachable, hours: 9, from: time.adding(seconds: 60))
        let score = Score(of: nightly, at: time)
        #expect(score.availability > 0.4 && score.availability < 0.75)
        #expect(score.lossProbability < 0.02)

        var steady = ProviderHistory.good(days: 30)
        let end = steady.note(.unreachable, hours: 9, from: steady.lastSeen)
        #expect(Score(of: steady, at: end).lossProbability > 2 * score.lossProbability)
    }

    @Test(arguments: [Verdict.missing, .corrupt])
    func missesWeighMuchAndFadeOverWeeks(verdict: Verdict) {
        var history = ProviderHistory.good(days: 30)
        let time = history.lastSeen.adding(seconds: 60)
        history.note(verdict, leaves: 0, at: time)
        let struck = Score(of: history, at: time)
        #expect(struck.lossProbability > 0.25)
        #expect(!struck.isBarred)
        let week = history.note(.ok, hours: 7 * 24, from: time.adding(seconds: 60))
        let healing = Score(of: history, at: week)
        #expect(healing.lossProbability < struck.lossProbability)
        #expect(healing.lossProbability > 0.05)
        let month = history.note(.ok, hours: 35 * 24, from: week)
        #expect(Score(of: history, at: month).lossProbability < 0.02)
    }

    @Test func aFlippedLeafCountsLessThanARun() {
        var once = ProviderHistory.good(days: 10)
        var often = once
        let time = once.lastSeen.adding(seconds: 60)
        once.note(.missing, leaves: 0, at: time)
        _ = often.note(.missing, hours: 5, from: time)
        #expect(Score(of: often, at: time).value < 0.5 * Score(of: once, at: time).value)
    }

    @Test func ownUpAndRefetchCostsLittle() {
        var honest = ProviderHistory.good(days: 30)
        let time = honest.lastSeen.adding(seconds: 60)
        let before = Score(of: honest, at: time)
        honest.noteRepair(lostShards: 5000, selfReported: true, at: time)
        let told = Score(of: honest, at: time)
        #expect(told.value > 0.85 * before.value)
        honest.noteRefetched(shards: 5000, at: time.adding(seconds: 60))
        let refetched = Score(of: honest, at: time.adding(seconds: 60))
        #expect(refetched.value > 0.96 * before.value)

        var silent = ProviderHistory.good(days: 30)
        silent.note(.missing, leaves: 0, at: time)
        silent.noteRepair(lostShards: 5000, selfReported: false, at: time)
        #expect(Score(of: silent, at: time).value < 0.6 * before.value)
    }

    @Test func forgeryIsCappedUntilAMonthOfCleanAudits() {
        var history = ProviderHistory.good(days: 60)
        var time = history.lastSeen.adding(seconds: 60)
        history.note(.forged, leaves: 0, at: time)
        let struck = Score(of: history, at: time)
        #expect(struck.isBarred && struck.value <= 0.1 && struck.placementWeight == 0)
        #expect(struck.reasons.first?.contains("did not hold") == true)
        time = history.note(.ok, hours: 29 * 24, from: time.adding(seconds: 60))
        #expect(Score(of: history, at: time).isBarred)
        time = history.note(.ok, hours: 2 * 24, from: time)
        let free = Score(of: history, at: time)
        #expect(!free.isBarred && free.value > 0.5)
        let later = history.note(.ok, hours: 30 * 24, from: time)
        #expect(Score(of: history, at: later).value > 0.9)
    }

    @Test func waitingDoesNotWashAForgeryAway() {
        var history = ProviderHistory.good(days: 60)
        let time = history.lastSeen.adding(seconds: 60)
        history.note(.forged, leaves: 0, at: time)
        for days in stride(from: 30.0, to: 400, by: 30) {
            let later = time.adding(seconds: days * day)
            history.noteSeen(up: true, at: later)
            #expect(Score(of: history, at: later).isBarred)
        }
    }

    @Test func manyOrdersInOneHourDoNotWashDamageAway() {
        var one = ProviderHistory.good(days: 30)
        let time = one.lastSeen.adding(seconds: 60)
        one.note(.missing, leaves: 0, at: time)
        var many = one
        for _ in 0..<1000 { many.note(.ok, leaves: 460, at: time.adding(seconds: 600)) }
        #expect(Score(of: many, at: time.adding(seconds: 600)).lossProbability > 0.3)
    }

    @Test func failedReadsLowerAvailability() {
        var history = ProviderHistory.good(days: 30)
        let time = history.lastSeen
        let before = Score(of: history, at: time)
        for _ in 0..<8 { history.noteRead(ok: false, at: time) }
        let after = Score(of: history, at: time)
        #expect(after.availability < 0.6 * before.availability)
        #expect(after.lossProbability == before.lossProbability)
    }

    @Test func reasonsSayWhyInPlainWords() {
        let history = ProviderHistoryTests.eventful()
        let score = Score(of: history, at: birth.adding(seconds: 4 * day))
        #expect(
            score.reasons.contains { $0.hasPrefix("lost 7 shards, of which it fetched 3 again") }
        )
        #expect(score.reasons.contains { $0.contains("1 times that data is missing") })
        #expect(
            score.reasons.contains { $0.hasPrefix("up ") && $0.contains("of the last 30 days") }
        )
        #expect(score.reasons.count <= Score.reasonsMax)
        #expect(score.reasons.allSatisfy { $0.utf8.count <= Score.reasonBytesMax })
    }

    @Test func signedScoresHoldAndNothingElseDoes() throws {
        let keeper = try SigningKey(seed: [UInt8](repeating: 7, count: 32))
        let provider = keeper.publicKey.nodeID
        let history = ProviderHistoryTests.eventful()
        let signed = try SignedScore(
            provider: provider,
            at: birth,
            score: Score(of: history, at: birth.adding(seconds: 4 * day)),
            signedBy: keeper
        )
        #expect(signed.isSignatureValid)
        let bytes = signed.encoded
        let decoded = try SignedScore(decoding: bytes)
        #expect(decoded == signed && decoded.isSignatureValid)
        for count in bytes.indices {
            #expect(throws: DecodeError.self) {
                try SignedScore(decoding: Array(bytes.prefix(count)))
            }
        }
        for index in bytes.indices {
            var flipped = bytes
            flipped[index] ^= 4
            guard let other = try? SignedScore(decoding: flipped) else { continue }
            #expect(!other.isSignatureValid, "byte \(index)")
        }
    }

    @Test func goldenScoreStillDecodes() throws {
        let score = Score(
            of: ProviderHistoryTests.eventful(),
            at: birth.adding(seconds: 4 * day)
        )
        let golden = try Golden.bytes(
            "score",
            "Score of the history in provider-history.hex, four days after its birth",
            ifNew: score.encoded
        )
        let decoded = try Score(decoding: golden)
        #expect(decoded.encoded == golden)
        #expect(decoded.reasons == score.reasons)
        #expect(abs(decoded.value - score.value) < 1e-9)
        #expect(decoded.isBarred && decoded.isNew)
    }
}
