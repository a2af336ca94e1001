import Primitives
import Reliability
import Simulation
import Testing

@Suite struct ChurnSimulationTests {
    /// A small network for six weeks, with three times its share of misfortune.
    static func configuration(_ text: String, _ policy: RepairPolicy) throws -> ChurnConfiguration {
        let code = try #require(ErasureCode(text))
        var configuration = ChurnConfiguration(code: code, policy: policy)
        configuration.seed = 7
        configuration.providers = 200
        configuration.stripes = 300
        configuration.days = 45
        configuration.domainLossPerYear = 0.1
        configuration.diskLossPerYear = 0.1
        configuration.rotPerYear = 0.01
        return configuration
    }

    private static func run(_ text: String, _ policy: RepairPolicy) throws -> ChurnReport {
        ChurnSimulation.run(try configuration(text, policy))
    }

    @Test func theSameSeedGivesTheSameYear() throws {
        let configuration = try Self.configuration("4+2", RepairPolicy())
        let first = ChurnSimulation.run(configuration)
        #expect(first == ChurnSimulation.run(configuration))
        var other = configuration
        other.seed = 8
        #expect(first != ChurnSimulation.run(other))
    }

    @Test(arguments: ["4+2", "10+4"])
    func theRiskAwareRuleStandsBetweenPatienceAndHaste(text: String) throws {
        let risk = try Self.run(text, RepairPolicy())
        let patient = try Self.run(text, RepairPolicy(isRiskAware: false))
        let hasty = try Self.run(text, RepairPolicy(wait: .zero, isRiskAware: false))
        for report in [risk, patient, hasty] {
            #expect(report.isConsistent)
            #expect(report.stripesLost == 0)
            #expect(report.shardsDestroyed > 50 && report.destroyedRebuilt > 30)
            // What befalls the network is the same under every rule.
            #expect(report.outages == risk.outages && report.departures == risk.departures)
            #expect(report.domainsLost == risk.domainsLost && report.disksLost == risk.disksLost)
        }
        #expect(risk.stripeHoursUnavailable * 10 < patient.stripeHoursUnavailable)
        #expect(risk.trafficBytes * 4 < hasty.trafficBytes)
        #expect(risk.trafficBytes < patient.trafficBytes * 4)
        #expect(risk.stripeHoursBelowFull < patient.stripeHoursBelowFull)
        #expect(hasty.stripeHoursBelowFull < risk.stripeHoursBelowFull)
        #expect(hasty.meanHoursToRepair < risk.meanHoursToRepair)
        #expect(risk.unavailability < 1e-4)
    }

    @Test func withoutRepairStripesAreLost() throws {
        let never = RepairPolicy(
            wait: .seconds(365 * 86_400),
            lostWait: .seconds(365 * 86_400),
            isRiskAware: false
        )
        var configuration = try Self.configuration("4+2", never)
        configuration.domainLossPerYear = 2
        configuration.days = 120
        let report = ChurnSimulation.run(configuration)
        #expect(report.isConsistent)
        #expect(report.repairs == 0 && report.trafficBytes == 0)
        #expect(report.closeCalls > 50)
        #expect(report.stripesLost > 20)

        configuration.policy = RepairPolicy()
        let repaired = ChurnSimulation.run(configuration)
        #expect(repaired.stripesLost * 10 < report.stripesLost)
    }

    @Test func repairsCostKReadsAndAWriteEach() throws {
        let report = try Self.run("4+2", RepairPolicy())
        let least = (report.repairs * 4 + report.shardsRebuilt) * report.shardBytes
        #expect(report.trafficBytes >= least)
        #expect(report.falseRebuilds <= report.shardsRebuilt)
        #expect(report.shardsRebuilt >= report.repairs / 2)
    }

    @Test func aSlowLinkRepairsLater() throws {
        var configuration = try Self.configuration("4+2", RepairPolicy())
        let quick = ChurnSimulation.run(configuration)
        configuration.repairBytesPerSecond = 4 << 10
        let slow = ChurnSimulation.run(configuration)
        #expect(slow.isConsistent)
        #expect(slow.meanHoursToRepair > 2 * quick.meanHoursToRepair)
        let seconds = Double(configuration.days) * 86_400
        #expect(Double(slow.trafficBytes) <= seconds * Double(4 << 10) * 1.01)
    }
}
