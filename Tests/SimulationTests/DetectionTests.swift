import Primitives
import Proofs
import Simulation
import Testing

@Suite struct DetectionTests {
    /// 100 shards of 10 KiB: as many leaves as matter, in little time.
    private static func simulation(epochs: Int) throws -> DetectionSimulation {
        try DetectionSimulation(shardCount: 100, leavesPerShard: 10, epochs: epochs)
    }

    @Test(arguments: DetectionSimulation.Pattern.allCases)
    func whoDropsOnePercentIsCaughtInADay(pattern: DetectionSimulation.Pattern) throws {
        let report = try Self.simulation(epochs: 24)
            .run(seeds: 0..<60, dropping: 0.01, pattern: pattern)
        #expect(report.runs == 60)
        // 99.96 % each: of 60 more than 1 escapes in one run of 3,000.
        #expect(report.caught(within: 24) >= 59)
        // And not at once: 27.5 % in the first epoch, 16.5 of 60, five deviations either way.
        #expect((1...34).contains(report.caught(within: 1)))
    }

    @Test(arguments: DetectionSimulation.Pattern.allCases)
    func whoDropsTenPercentIsCaughtInAnEpoch(pattern: DetectionSimulation.Pattern) throws {
        let report = try Self.simulation(epochs: 1)
            .run(seeds: 0..<100, dropping: 0.1, pattern: pattern)
        // 96.6 %: 87 is five deviations below.
        #expect(report.caught(within: 1) >= 87)
    }

    @Test func whoDropsNothingIsNotCaught() throws {
        let report = try Self.simulation(epochs: 24)
            .run(seeds: 0..<5, dropping: 0, pattern: .leaves)
        #expect(report.caught(within: 24) == 0)
    }

    @Test func expectationIsThatOfIndependentDraws() throws {
        let simulation = try Self.simulation(epochs: 24)
        #expect(abs(simulation.expected(dropping: 0.01, within: 24) - 0.999935) < 1e-5)
        #expect(abs(simulation.expected(dropping: 0.1, within: 1) - 0.985219) < 1e-5)
    }

    @Test func theHonestAreNeverAccused() throws {
        var report = HonestSimulation.Report()
        for seed in 1...3 as ClosedRange<UInt64> {
            report.add(try HonestSimulation.run(seed: seed, epochs: 200))
        }
        #expect(report.accusations == [])
        #expect(report[.corrupt] + report[.missing] + report[.forged] == 0)
        #expect(report.epochs == 600)
        // The world is as rough as it says.
        #expect(report[.slow] > 0 && report[.unreachable] > 0)
        #expect(report.amendments > 50 && report.restarts > 5)
        #expect(report.staleChallenges > 10)
        #expect(report.leaves > 5000)
    }

    @Test func theSameSeedGivesTheSameLife() throws {
        let life = try HonestSimulation.run(seed: 5, epochs: 100)
        #expect(life == (try HonestSimulation.run(seed: 5, epochs: 100)))
        #expect(life != (try HonestSimulation.run(seed: 6, epochs: 100)))
    }
}
