import ArgumentParser
import Primitives
import Reliability
import Simulation

struct ChurnCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "churn",
        abstract: "A year of a network whose providers come and go, under several repair rules.",
        discussion: """
            Compares the risk-aware rule with fixed waits of 24 h, 4 h and none, with everything \
            else the same. docs/reliability.md tells what is assumed.
            """
    )

    @Option(help: "Seed; the same seed gives the same figures.")
    var seed: UInt64 = 1

    @Option(help: "Providers.")
    var providers = 1000

    @Option(help: "Stripes.")
    var stripes = 20_000

    @Option(help: "Days.")
    var days = 365

    @Option(help: ArgumentHelp("Code; repeat it for several.", valueName: "k+m"))
    var code: [ErasureCode] = []

    @Option(help: ArgumentHelp("Only this rule: risk, 24h, 4h or none.", valueName: "rule"))
    var rule: Rule?

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Print Markdown.")
    var markdown = false

    enum Rule: String, CaseIterable, ExpressibleByArgument {
        case risk
        case day = "24h"
        case hours = "4h"
        case none

        var policy: RepairPolicy {
            switch self {
            case .risk: RepairPolicy()
            case .day: RepairPolicy(isRiskAware: false)
            case .hours: RepairPolicy(wait: .seconds(4 * 3600), isRiskAware: false)
            case .none: RepairPolicy(wait: .zero, isRiskAware: false)
            }
        }

        var title: String {
            switch self {
            case .risk: "risk-aware"
            case .day: "fixed 24 h"
            case .hours: "fixed 4 h"
            case .none: "no wait"
            }
        }
    }

    func validate() throws {
        guard providers > 0, stripes > 0, days > 0 else {
            throw ValidationError("providers, stripes and days are 1 or more")
        }
        guard providers <= 100_000, stripes <= 1_000_000, days <= 3650 else {
            throw ValidationError("at most 100,000 providers, 1,000,000 stripes, 3,650 days")
        }
        for code in codes where providers < 4 * code.n {
            throw ValidationError("\(code) needs \(4 * code.n) providers or more here")
        }
    }

    private var codes: [ErasureCode] {
        code.isEmpty ? ["4+2", "10+4", "20+20"].compactMap { ErasureCode($0) } : code
    }

    func run() throws {
        let jobs = codes.flatMap { code in
            Rule.allCases.filter { rule == nil || rule == $0 }.map { (code, $0) }
        }
        let (seed, providers, stripes, days) = (seed, providers, stripes, days)
        let results = try Parallel.map(jobs.count) { index in
            let (code, rule) = jobs[index]
            var configuration = ChurnConfiguration(code: code, policy: rule.policy)
            configuration.seed = seed
            configuration.providers = providers
            configuration.stripes = stripes
            configuration.days = days
            let start = Usage.now()
            let report = ChurnSimulation.run(configuration)
            let seconds = Usage.now().since(start).wallSeconds
            return (index, ChurnRow(rule: rule.title, report: report, seconds: seconds))
        }
        let rows = results.sorted { $0.0 < $1.0 }.map(\.1)
        let conditions = Conditions()
        if json { return try Output.json(ChurnResult(conditions: conditions, rows: rows)) }
        Output.sheets(
            [ChurnRow.outcome(rows), ChurnRow.events(rows)],
            conditions: conditions,
            markdown: markdown
        )
    }
}

private struct ChurnResult: Encodable {
    let conditions: Conditions
    let rows: [ChurnRow]
}

/// One simulated network, as it is printed.
struct ChurnRow: Encodable {
    let code: String
    let rule: String
    let providers: Int
    let stripes: Int
    let days: Int
    let stripesLost: Int
    let closeCalls: Int
    let unavailableStripeHours: Double
    let unavailability: Double
    let belowFullStripeHours: Double
    let belowFullShare: Double
    let repairTrafficBytes: Int
    let repairTrafficPerStoredTBYear: Double
    let repairs: Int
    let shardsRebuilt: Int
    let falseRebuilds: Int
    let falseShare: Double
    let cancelledRebuilds: Int
    let sparesUsed: Int
    let meanHoursToRepair: Double
    let outages: Int
    let departures: Int
    let domainsLost: Int
    let disksLost: Int
    let shardsRotten: Int
    let shardsDestroyed: Int
    let seconds: Double

    init(rule: String, report: ChurnReport, seconds: Double) {
        code = "\(report.code)"
        self.rule = rule
        providers = report.providers
        stripes = report.stripes
        days = report.days
        stripesLost = report.stripesLost
        closeCalls = report.closeCalls
        unavailableStripeHours = report.stripeHoursUnavailable
        unavailability = report.unavailability
        belowFullStripeHours = report.stripeHoursBelowFull
        belowFullShare = report.belowFullShare
        repairTrafficBytes = report.trafficBytes
        repairTrafficPerStoredTBYear = report.trafficPerStoredTBYear
        repairs = report.repairs
        shardsRebuilt = report.shardsRebuilt
        falseRebuilds = report.falseRebuilds
        falseShare = report.falseShare
        cancelledRebuilds = report.cancelledRebuilds
        sparesUsed = report.sparesUsed
        meanHoursToRepair = report.meanHoursToRepair
        outages = report.outages
        departures = report.departures
        domainsLost = report.domainsLost
        disksLost = report.disksLost
        shardsRotten = report.shardsRotten
        shardsDestroyed = report.shardsDestroyed
        self.seconds = seconds
    }

    /// What came of it, and what it cost.
    static func outcome(_ rows: [ChurnRow]) -> Sheet {
        var sheet = Sheet(
            "What was lost, what could not be read, and what repair cost",
            columns: [
                "code, rule", "stripes lost", "close calls", "unavailable stripe-h",
                "share of time", "below n, share", "traffic TB per stored TB", "rebuilt shards",
                "of them false", "hours to repair",
            ]
        )
        for row in rows {
            sheet.add(
                "\(row.code) \(row.rule)",
                row.stripesLost.grouped,
                row.closeCalls.grouped,
                row.unavailableStripeHours.figure,
                row.unavailability.figure,
                (row.belowFullShare * 100).figure + " %",
                row.repairTrafficPerStoredTBYear.figure,
                row.shardsRebuilt.grouped,
                (row.falseShare * 100).figure + " %",
                row.meanHoursToRepair.figure
            )
        }
        return sheet
    }

    /// What happened to the network.
    static func events(_ rows: [ChurnRow]) -> Sheet {
        var sheet = Sheet(
            "What happened to it",
            columns: [
                "code, rule", "outages", "departures", "domains lost", "disks lost",
                "shards rotten", "shards destroyed", "spares used", "cancelled", "seconds",
            ]
        )
        for row in rows {
            sheet.add(
                "\(row.code) \(row.rule)",
                row.outages.grouped,
                row.departures.grouped,
                row.domainsLost.grouped,
                row.disksLost.grouped,
                row.shardsRotten.grouped,
                row.shardsDestroyed.grouped,
                row.sparesUsed.grouped,
                row.cancelledRebuilds.grouped,
                row.seconds.figure
            )
        }
        return sheet
    }
}

extension ErasureCode: ExpressibleByArgument {
    /// Parses "4+2".
    init?(argument: String) { self.init(argument) }
}
