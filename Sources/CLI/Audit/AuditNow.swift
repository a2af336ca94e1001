import ArgumentParser
import Control
import Proofs

/// `mefs audit now`: challenges every provider of a mounted volume at once.
struct AuditNow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "now",
        abstract: "Challenge every provider of a mounted volume and check the proofs.",
        discussion: """
            Ends with 8 if a provider has lost, damaged or forged what it holds, with 5 if one \
            could not be reached, with 0 if all proved it.
            """
    )

    @Argument(help: "The mount point, or anything below it.")
    var directory: String

    @Option(
        help: "Leaves of 1 KiB asked of each provider, 1...2048; 460 see 1 % of loss with 99 %."
    )
    var leaves = 460

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        guard (1...Int(Challenge.leavesMax)).contains(leaves) else {
            throw ValidationError("--leaves is 1 to \(Challenge.leavesMax)")
        }
    }

    func run() throws {
        let client = try ControlClient(mountHolding: directory)
        let results = try client.auditNow(leaves: leaves)
        if json {
            try Output.json(Report(results: results))
        } else {
            Output.table(
                [["provider", "verdict", "leaves", "proof", "time", "reason"]]
                    + results.map { result in
                        [
                            String(result.provider.prefix(8)), result.verdict,
                            Readable.count(result.leaves), Readable.bytes(result.bytes),
                            "\(Readable.decimal(result.milliseconds, digits: 0)) ms",
                            result.reason,
                        ]
                    }
            )
        }
        try judge(results)
    }

    private func judge(_ results: [AuditResult]) throws {
        let failed = results.filter { ["missing", "corrupt", "forged"].contains($0.verdict) }
        let silent = results.filter { $0.verdict == "unreachable" }
        if !failed.isEmpty {
            throw ControlFailure(
                .corrupt,
                "\(failed.count) of \(results.count) providers failed; what they lost is rebuilt"
                    + " from the others, see 'mefs status'"
            )
        }
        if !silent.isEmpty {
            throw ControlFailure(
                .unreachable,
                "\(silent.count) of \(results.count) providers did not answer"
            )
        }
    }

    private struct Report: Encodable {
        let results: [AuditResult]
    }
}
