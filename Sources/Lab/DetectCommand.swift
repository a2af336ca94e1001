import ArgumentParser
import Proofs
import Simulation

struct DetectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detect",
        abstract:
            "How soon audits find out who dropped data, and whether they ever wrong the honest."
    )

    @Option(help: "Providers that drop data, each with a seed of its own.")
    var seeds: UInt64 = 1000

    @Option(help: "Leaves asked in an epoch.")
    var leaves = Challenge.leavesUsual

    @Option(help: "Epochs of an hour.")
    var epochs = 24

    @Option(help: "Epochs that honest providers are audited; 0 for none.")
    var honestEpochs = 1_000_000

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Print Markdown.")
    var markdown = false

    /// One honest provider's life: so long that it is renewed often, so short that the work splits.
    private static let lifeEpochs = 5000
    private static let seedsAtOnce: UInt64 = 50

    func validate() throws {
        guard (1...10_000_000).contains(seeds), (1...2048).contains(leaves),
            (1...10_000).contains(epochs), (0...1_000_000_000).contains(honestEpochs)
        else { throw ValidationError("a number is out of range") }
    }

    func run() throws {
        let simulation = try DetectionSimulation(leavesAsked: leaves, epochs: epochs)
        var rows: [DetectionRow] = []
        for share in [0.01, 0.1] {
            for pattern in DetectionSimulation.Pattern.allCases {
                rows.append(try detect(simulation, dropping: share, pattern))
            }
        }
        let honest = honestEpochs > 0 ? try audit(epochs: honestEpochs) : nil
        let conditions = Conditions()
        if json {
            let result = DetectionResult(
                conditions: conditions,
                leaves: leaves,
                dropped: rows,
                honest: honest
            )
            return try Output.json(result)
        }
        let sheets = [DetectionRow.sheet(rows, epochs: epochs)] + (honest.map { [$0.sheet] } ?? [])
        Output.sheets(sheets, conditions: conditions, markdown: markdown)
    }

    private func detect(
        _ simulation: DetectionSimulation,
        dropping share: Double,
        _ pattern: DetectionSimulation.Pattern
    ) throws -> DetectionRow {
        let seeds = seeds
        let parts = Int((seeds + Self.seedsAtOnce - 1) / Self.seedsAtOnce)
        let reports = try Parallel.map(parts) { part in
            let first = UInt64(part) * Self.seedsAtOnce
            let range = first..<min(first + Self.seedsAtOnce, seeds)
            return try simulation.run(seeds: range, dropping: share, pattern: pattern)
        }
        var report = DetectionSimulation.Report(epochs: epochs)
        for part in reports { report.add(part) }
        return DetectionRow(simulation, report, dropping: share, pattern)
    }

    private func audit(epochs: Int) throws -> HonestRow {
        let lives = (epochs + Self.lifeEpochs - 1) / Self.lifeEpochs
        let start = Usage.now()
        let reports = try Parallel.map(lives) { life in
            let rest = epochs - life * Self.lifeEpochs
            return try HonestSimulation.run(
                seed: UInt64(life) + 1,
                epochs: min(rest, Self.lifeEpochs)
            )
        }
        var report = HonestSimulation.Report()
        for part in reports { report.add(part) }
        return HonestRow(report, providers: lives, seconds: Usage.now().since(start).wallSeconds)
    }
}

private struct DetectionResult: Encodable {
    let conditions: Conditions
    let leaves: UInt32
    let dropped: [DetectionRow]
    let honest: HonestRow?
}

/// What became of providers that dropped data.
struct DetectionRow: Encodable {
    let droppedShare: Double
    let pattern: String
    let runs: Int
    let caughtInFirstEpoch: Int
    let caught: Int
    let share: Double
    let firstEpochShare: Double
    let expected: Double
    let expectedInFirstEpoch: Double
    /// Caught in epoch 0, 1 and so on.
    let caughtByEpoch: [Int]

    init(
        _ simulation: DetectionSimulation,
        _ report: DetectionSimulation.Report,
        dropping share: Double,
        _ pattern: DetectionSimulation.Pattern
    ) {
        droppedShare = share
        self.pattern = pattern.rawValue
        runs = report.runs
        caughtInFirstEpoch = report.caught(within: 1)
        caught = report.caught(within: simulation.epochs)
        self.share = Double(caught) / Double(max(1, runs))
        firstEpochShare = Double(caughtInFirstEpoch) / Double(max(1, runs))
        expected = simulation.expected(dropping: share, within: simulation.epochs)
        expectedInFirstEpoch = simulation.expected(dropping: share, within: 1)
        caughtByEpoch = report.caughtIn
    }

    static func sheet(_ rows: [DetectionRow], epochs: Int) -> Sheet {
        var sheet = Sheet(
            "Providers that dropped a part of what they hold",
            columns: [
                "dropped", "runs", "caught in 1 epoch", "expected", "caught in \(epochs)",
                "not caught", "expected",
            ]
        )
        for row in rows {
            sheet.add(
                "\((row.droppedShare * 100).figure) % of bytes, \(row.pattern)",
                row.runs.grouped,
                (row.firstEpochShare * 100).figure + " %",
                (row.expectedInFirstEpoch * 100).figure + " %",
                percent(row.share),
                (row.runs - row.caught).grouped,
                percent(row.expected)
            )
        }
        return sheet
    }

    private static func percent(_ share: Double) -> String {
        "\((share * 100_000).rounded() / 1000) %"
    }
}

/// What became of honest providers.
struct HonestRow: Encodable {
    let epochs: Int
    let providers: Int
    let accusations: Int
    let reasons: [String]
    let verdicts: [String: Int]
    let leaves: Int
    let amendments: Int
    let staleChallenges: Int
    let restarts: Int
    let renewals: Int
    let seconds: Double

    init(_ report: HonestSimulation.Report, providers: Int, seconds: Double) {
        epochs = report.epochs
        self.providers = providers
        accusations = report.accusations.count
        reasons = Array(report.accusations.prefix(10))
        verdicts = Dictionary(
            uniqueKeysWithValues: Verdict.allCases.map { ($0.name, report[$0]) }
        )
        leaves = report.leaves
        amendments = report.amendments
        staleChallenges = report.staleChallenges
        restarts = report.restarts
        renewals = report.renewals
        self.seconds = seconds
    }

    var sheet: Sheet {
        var sheet = Sheet("Honest providers", columns: ["", "count"])
        sheet.add("epochs", epochs.grouped)
        sheet.add("accusations", accusations.grouped)
        for verdict in Verdict.allCases {
            sheet.add("verdict \(verdict.name)", (verdicts[verdict.name] ?? 0).grouped)
        }
        sheet.add("leaves proved", leaves.grouped)
        sheet.add("providers", providers.grouped)
        sheet.add("amendments", amendments.grouped)
        sheet.add("challenges of a state that was no longer the newest", staleChallenges.grouped)
        sheet.add("restarts", restarts.grouped)
        sheet.add("orders renewed", renewals.grouped)
        sheet.add("seconds", seconds.figure)
        for reason in reasons { sheet.add("accused: \(reason)", "") }
        return sheet
    }
}
