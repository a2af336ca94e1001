import Testing
import Trials

/// Whole trials: a volume used, crashed and judged in a simulated world.
@Suite(.serialized)
struct TrialTests {
    private static func plan(_ seed: UInt64) -> TrialPlan {
        var plan = TrialPlan(seed: seed)
        plan.steps = 120
        plan.rounds = 6
        return plan
    }

    private func check(_ plan: TrialPlan) {
        let report = Trial.run(plan)
        #expect(
            report.failure == nil,
            """
            Scripts/simulate --seed \(plan.seed) --steps \(plan.steps) --rounds \(plan.rounds) \
            --crash \(plan.crashes.rawValue)
            \(report.trace.suffix(60).joined(separator: "\n"))
            """
        )
        #expect(report.rounds >= plan.rounds)
    }

    @Test(arguments: Seeds.kept)
    func aSeedThatFoundSomethingFindsItNoMore(_ kept: Seeds.Kept) {
        check(kept.plan)
    }

    @Test(arguments: 1...20)
    func nothingIsLostByKillsAndPowerCuts(seed: UInt64) {
        check(Self.plan(seed))
    }

    @Test(arguments: 21...30)
    func nothingIsLostByKills(seed: UInt64) {
        var plan = Self.plan(seed)
        plan.crashes = .kill
        check(plan)
    }

    @Test(arguments: 31...40)
    func nothingIsLostByPowerCuts(seed: UInt64) {
        var plan = Self.plan(seed)
        plan.crashes = .power
        check(plan)
    }

    @Test func aTrialDoesWhatItIsFor() {
        let report = Trial.run(Self.plan(7))
        #expect(report.operations > 300)
        #expect(report.bytesJudged > 1 << 20)
        #expect(report.puts > 0)
        #expect(report.gets > 0)
        #expect(report.kills + report.powerCuts == report.rounds)
    }
}
