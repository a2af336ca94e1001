import Glibc
import Primitives
import Reliability
import Testing

@Suite struct StripeRiskTests {
    /// All 2^n outcomes, one by one.
    static func bruteForce(_ code: ErasureCode, _ risks: [Double]) -> Double {
        var sum = 0.0
        for outcome in 0..<(1 << risks.count) where outcome.nonzeroBitCount > code.m {
            var probability = 1.0
            for (index, risk) in risks.enumerated() {
                probability *= outcome >> index & 1 == 1 ? risk : 1 - risk
            }
            sum += probability
        }
        return sum
    }

    @Test(arguments: ["1+1", "2+1", "4+2", "3+4", "10+4"])
    func agreesWithBruteForce(text: String) throws {
        let code = try ErasureCode.of(text)
        var generator = SeededGenerator(seed: 11)
        for round in 0..<(code.n > 10 ? 5 : 50) {
            let scale = round.isMultiple(of: 2) ? 1.0 : 0.01
            let risks = (0..<code.n).map { _ in
                scale * Double(generator.next() >> 11) * 0x1p-53
            }
            let shards = risks.map { ShardHealth(.healthy, lossProbability: $0) }
            let risk = StripeRisk.lossProbability(code, shards, at: birth)
            let expected = Self.bruteForce(code, risks)
            #expect(abs(risk - expected) <= 1e-12 * expected + 1e-300)
        }
    }

    @Test func theTiniestRisksAreRight() throws {
        let code = try ErasureCode.of("20+20")
        let shards = [ShardHealth](
            repeating: ShardHealth(.healthy, lossProbability: 0.01),
            count: 40
        )
        let risk = StripeRisk.lossProbability(code, shards, at: birth)
        // C(40, 21) 0.01^21 0.99^19 and what comes after it.
        #expect(risk > 1.0e-31 && risk < 1.2e-31)
    }

    @Test func moreLostThanParityIsLostForSure() throws {
        let code = try ErasureCode.of("4+2")
        let good = ShardHealth(.healthy, lossProbability: 0)
        let lost = ShardHealth(.lost(since: birth), lossProbability: 0)
        #expect(
            StripeRisk.lossProbability(code, [good, good, good, lost, lost, lost], at: birth) == 1
        )
        #expect(StripeRisk.lossProbability(code, [good, good, good], at: birth) == 1)
        #expect(StripeRisk.lossProbability(code, [], at: birth) == 1)
        #expect(StripeRisk.lossProbability(code, [good, good, good, good], at: birth) == 0)
    }

    @Test func riskGrowsWithTimeOfflineAndWithTrouble() throws {
        let code = try ErasureCode.of("4+2")
        let good = ShardHealth(.healthy, lossProbability: 0.003)
        let suspect = ShardHealth(.suspect(since: birth), lossProbability: 0.003)
        let lost = ShardHealth(.lost(since: birth), lossProbability: 0.003)
        let rest = [ShardHealth](repeating: good, count: 5)
        var last = StripeRisk.lossProbability(code, rest + [good], at: birth)
        for days in 0..<60 {
            let time = birth.adding(seconds: Double(days) * day)
            let risk = StripeRisk.lossProbability(code, rest + [suspect], at: time)
            #expect(risk >= last)
            last = risk
        }
        #expect(StripeRisk.lossProbability(code, rest + [lost], at: birth) > last)
    }

    @Test func nonsenseCountsAsTheWorst() throws {
        let code = try ErasureCode.of("1+1")
        let strange = [Double.nan, .infinity].map { ShardHealth(.healthy, lossProbability: $0) }
        #expect(StripeRisk.lossProbability(code, strange, at: birth) == 1)
        let none = [-5.0, -Double.infinity].map { ShardHealth(.healthy, lossProbability: $0) }
        #expect(StripeRisk.lossProbability(code, none, at: birth) == 0)
        let ahead = ShardHealth(
            .suspect(since: Timestamp(seconds: .max, nanoseconds: 0)),
            lossProbability: 0
        )
        let past = Timestamp(seconds: .min, nanoseconds: 0)
        #expect(StripeRisk.lossProbability(code, [ahead, ahead], at: past) == 0)
    }
}
