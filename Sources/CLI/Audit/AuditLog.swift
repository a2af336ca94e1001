import ArgumentParser
import Control

/// `mefs audit log`: the receipts of a mounted volume, newest last.
struct AuditLog: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Show the receipts of a mounted volume's audits, the newest last."
    )

    @Argument(help: "The mount point, or anything below it.")
    var directory: String

    @Option(help: "At most so many.")
    var limit = 50

    @Option(help: ArgumentHelp("Only those of one provider.", valueName: "id"))
    var provider: String?

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        guard limit > 0 else { throw ValidationError("--limit is at least 1") }
    }

    func run() throws {
        let client = try ControlClient(mountHolding: directory)
        let receipts = try client.auditLog(limit: limit, provider: provider)
        if json { return try Output.json(Report(receipts: receipts)) }
        Output.table(
            [["time", "provider", "epoch", "verdict", "leaves", "proved", "reason"]]
                + receipts.map { receipt in
                    [
                        receipt.at, String(receipt.provider.prefix(8)), "\(receipt.epoch)",
                        receipt.verdict, "\(receipt.leaves)",
                        Readable.byteSeconds(receipt.provedByteSeconds), receipt.reason,
                    ]
                }
        )
    }

    private struct Report: Encodable {
        let receipts: [AuditRecord]
    }
}
