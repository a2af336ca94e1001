import ArgumentParser
import Disk
import Glibc
import SimulatedHost
import Synchronization
import Trials

struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Crash a simulated volume again and again, and judge what comes back.",
        discussion: """
            Threads, clock, disk and network follow from the seed, so a run can be repeated \
            exactly. docs/simulation.md tells what is simulated and what is demanded.
            """
    )

    @Option(help: "The first seed.")
    var seed: UInt64 = 1

    @Option(help: "Trials, each with a seed one higher.")
    var seeds: UInt64 = 1

    @Option(help: "Operations of clients in each round.")
    var steps = TrialPlan(seed: 0).steps

    @Option(help: "Crashes and recoveries of each trial.")
    var rounds = TrialPlan(seed: 0).rounds

    @Option(help: "What ends the rounds: kill, power or both.")
    var crash = TrialPlan.Crashes.both

    @Option(help: "Trials at the same time.")
    var jobs = 1

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Print the last events also of trials that went well.")
    var trace = false

    @Flag(help: "Run each trial twice and compare all that happened.")
    var verifyDeterminism = false

    /// Events printed of a failure.
    private static let eventsShown = 250

    func validate() throws {
        guard seeds >= 1, steps >= 1, rounds >= 1, (1...256).contains(jobs),
            steps <= 100_000, rounds <= 100_000,
            seed.addingReportingOverflow(seeds).overflow == false
        else { throw ValidationError("a number is out of range") }
    }

    func run() throws {
        // The order of Swift's dictionaries must follow from the seed too.
        SimulatedWorld.restartWithDeterministicHashing()
        let start = Usage.now()
        let results = Mutex<[TrialResult]>([])
        let next = Mutex<UInt64>(0)
        let threads = try (0..<min(jobs, Int(clamping: seeds))).map { number in
            try Thread.spawn("trial-\(number)") {
                while true {
                    let index = next.withLock { next in
                        defer { next += 1 }
                        return next
                    }
                    guard index < seeds else { return }
                    let result = result(of: seed + index)
                    results.withLock { $0.append(result) }
                    if !json { show(result) }
                }
            }
        }
        for thread in threads { thread.join() }
        let all = results.withLock { $0 }.sorted { $0.seed < $1.seed }
        let summary = TrialSummary(all, seconds: Usage.now().since(start).wallSeconds)
        if json {
            try Output.json(summary)
        } else {
            Output.line("\n" + summary.text)
        }
        guard all.allSatisfy(\.isGood) else { throw ExitCode.failure }
    }

    private func result(of seed: UInt64) -> TrialResult {
        var plan = TrialPlan(seed: seed)
        plan.steps = steps
        plan.rounds = rounds
        plan.crashes = crash
        let start = Usage.now()
        var report = Trial.run(plan)
        if verifyDeterminism, report.failure == nil {
            let again = Trial.run(plan)
            if again.digest != report.digest {
                report.failure = TrialFailure(
                    "two runs differ: \(report.digest) and \(again.digest)"
                )
            }
        }
        return TrialResult(report, seconds: Usage.now().since(start).wallSeconds)
    }

    private func show(_ result: TrialResult) {
        Output.line(result.line)
        guard let failure = result.failure else {
            if trace { Output.line(result.trace.joined(separator: "\n")) }
            return
        }
        let command =
            "Scripts/simulate --seed \(result.seed) --steps \(steps) --rounds \(rounds)"
            + " --crash \(crash.rawValue)"
        let events = result.trace.suffix(trace ? .max : Self.eventsShown)
        Output.line((events + ["FAILED: \(failure)", command]).joined(separator: "\n"))
    }
}

extension TrialPlan.Crashes: ExpressibleByArgument {}
