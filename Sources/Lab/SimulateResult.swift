import Disk
import Trials

/// What one trial gave, as it is printed.
struct TrialResult: Encodable, Sendable {
    let seed: UInt64
    let rounds: Int
    let kills: Int
    let powerCuts: Int
    let crashesWhileOpening: Int
    let operations: Int
    let bytesJudged: Int
    let diskOperations: Int
    let puts: Int
    let gets: Int
    let networkFaults: Int
    let virtualSeconds: Double
    let seconds: Double
    let digest: String
    let failure: String?
    /// How many crashes fell after each step.
    let crashesAfter: [String: Int]
    /// How often each step was done.
    let steps: [String: Int]
    let trace: [String]

    var isGood: Bool { failure == nil }

    init(_ report: TrialReport, seconds: Double) {
        seed = report.plan.seed
        rounds = report.rounds
        kills = report.kills
        powerCuts = report.powerCuts
        crashesWhileOpening = report.crashesWhileOpening
        operations = report.operations
        bytesJudged = report.bytesJudged
        diskOperations = report.diskOperations
        puts = report.puts
        gets = report.gets
        networkFaults = report.networkFaults
        virtualSeconds = report.virtualTime / .seconds(1)
        self.seconds = seconds
        digest = report.digest
        failure = report.failure?.description
        crashesAfter = Self.byName(report.lastSteps)
        steps = Self.byName(report.steps)
        trace = report.trace
    }

    private static func byName(_ counts: [DurableStep: Int]) -> [String: Int] {
        Dictionary(uniqueKeysWithValues: counts.map { ($0.key.rawValue, $0.value) })
    }

    var line: String {
        "seed \(seed): \(isGood ? "ok" : "FAILED"), \(rounds) crashes (\(kills) kill, \(powerCuts)"
            + " power), \(operations) operations, \(virtualSeconds.figure) s virtual,"
            + " \(seconds.figure) s, digest \(digest)"
    }
}

/// All trials of one call.
struct TrialSummary: Encodable {
    let conditions = Conditions()
    let trials: Int
    let failed: [UInt64]
    let rounds: Int
    let kills: Int
    let powerCuts: Int
    let crashesWhileOpening: Int
    let operations: Int
    let bytesJudged: Int
    let diskOperations: Int
    let puts: Int
    let gets: Int
    let networkFaults: Int
    let virtualHours: Double
    let seconds: Double
    let crashesAfter: [String: Int]
    let steps: [String: Int]
    let results: [TrialResult]

    init(_ results: [TrialResult], seconds: Double) {
        func sum(_ path: KeyPath<TrialResult, Int>) -> Int {
            results.reduce(0) { $0 + $1[keyPath: path] }
        }
        trials = results.count
        failed = results.filter { !$0.isGood }.map(\.seed)
        rounds = sum(\.rounds)
        kills = sum(\.kills)
        powerCuts = sum(\.powerCuts)
        crashesWhileOpening = sum(\.crashesWhileOpening)
        operations = sum(\.operations)
        bytesJudged = sum(\.bytesJudged)
        diskOperations = sum(\.diskOperations)
        puts = sum(\.puts)
        gets = sum(\.gets)
        networkFaults = sum(\.networkFaults)
        virtualHours = results.reduce(0) { $0 + $1.virtualSeconds } / 3600
        self.seconds = seconds
        crashesAfter = results.reduce(into: [:]) { $0.merge($1.crashesAfter, uniquingKeysWith: +) }
        steps = results.reduce(into: [:]) { $0.merge($1.steps, uniquingKeysWith: +) }
        // Of trials that went well the figures are enough.
        self.results = results.filter { !$0.isGood }
    }

    var text: String {
        var sheet = Sheet(conditions.description, columns: ["", "count"])
        sheet.add("trials", trials.grouped)
        sheet.add("failed", failed.count.grouped)
        sheet.add("crashes and recoveries", rounds.grouped)
        sheet.add("SIGKILL", kills.grouped)
        sheet.add("power cuts", powerCuts.grouped)
        sheet.add("while a volume was opened", crashesWhileOpening.grouped)
        sheet.add("operations of clients", operations.grouped)
        sheet.add("bytes compared after recoveries", bytesJudged.grouped)
        sheet.add("disk operations", diskOperations.grouped)
        sheet.add("shards sent", puts.grouped)
        sheet.add("reads from providers", gets.grouped)
        sheet.add("requests that networks cut or lost", networkFaults.grouped)
        sheet.add("virtual hours", virtualHours.figure)
        sheet.add("seconds", seconds.figure)
        var after = Sheet("Crashes after each step", columns: ["step", "done", "crashes"])
        for step in DurableStep.allCases {
            after.add(
                step.rawValue,
                (steps[step.rawValue] ?? 0).grouped,
                (crashesAfter[step.rawValue] ?? 0).grouped
            )
        }
        return sheet.text + "\n\n" + after.text
    }
}
