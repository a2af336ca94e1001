import ArgumentParser
import Primitives
import Proofs

struct AuditCostCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit-cost",
        abstract: "What an audit costs prover and verifier, and what reading everything would.",
        discussion: """
            Fills a real store with 1 GiB, audits it, and reads and hashes it whole; audits 1 GiB \
            and 100 GiB of synthetic shards in real orders of 256 and 25,600 entries; scales both \
            to 1 TB a day.
            """
    )

    @Option(
        help: ArgumentHelp("Where the store is made, and removed again.", valueName: "directory")
    )
    var directory = "/var/tmp"

    @Option(help: "Shards of 4 MiB in the real store.")
    var shards = 256

    @Option(help: "Shards of 4 MiB in the synthetic store.")
    var syntheticShards = 25_600

    @Option(help: "Audits of each kind.")
    var rounds = 24

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Print Markdown.")
    var markdown = false

    func validate() throws {
        guard (1...4096).contains(shards), (1...1_000_000).contains(syntheticShards),
            (1...10_000).contains(rounds)
        else { throw ValidationError("a number is out of range") }
    }

    func run() throws {
        var costs: [AuditCost] = []
        let whole: WholeReading
        do {
            let real = try RealStore(in: directory, shards: shards)
            defer { real.remove() }
            for leaves in [Challenge.leavesUsual, Challenge.leavesDoubtful] {
                costs.append(try real.bench.measure(leaves: leaves, rounds: rounds))
            }
            whole = try real.readEverything()
        }
        // As large as the real one too, so that like is compared with like.
        for count in [shards, syntheticShards] {
            let synthetic = try SyntheticStore(shards: count)
            for leaves in [Challenge.leavesUsual, Challenge.leavesDoubtful] {
                costs.append(try synthetic.bench.measure(leaves: leaves, rounds: rounds))
            }
        }
        let result = AuditCostResult(conditions: Conditions(), audits: costs, whole: whole)
        if json { return try Output.json(result) }
        Output.sheets(result.sheets, conditions: result.conditions, markdown: markdown)
    }
}

/// One kind of audit, the mean of many.
struct AuditCost: Encodable {
    let store: String
    let heldBytes: UInt64
    let leaves: UInt32
    let audits: Int
    let proverSeconds: Double
    let proverWallSeconds: Double
    /// Only of a store on a disk.
    let reads: Double?
    let readBytes: Double?
    let proofBytes: Double
    let verifierSeconds: Double
}

/// Reading and hashing all that is held, as the first MEFS did for a proof.
struct WholeReading: Encodable {
    let heldBytes: UInt64
    let seconds: Double
    let wallSeconds: Double
    let reads: Double
    let readBytes: Double
}

struct AuditCostResult: Encodable {
    /// 1 TB, and audits of an order in a day.
    private static let terabyte = 1e12
    private static let auditsPerDay = 24.0

    let conditions: Conditions
    let audits: [AuditCost]
    let whole: WholeReading

    /// One audit each.
    private var audited: Sheet {
        var sheet = Sheet(
            "One audit, mean of \(audits.first?.audits ?? 0)",
            columns: [
                "store, leaves", "prover CPU ms", "wall ms", "reads", "read KiB", "proof KB",
                "verifier CPU ms", "everything: CPU ms", "reads", "read MiB", "CPU ratio",
                "bytes ratio",
            ]
        )
        for audit in audits {
            let scale = Double(audit.heldBytes) / Double(whole.heldBytes)
            sheet.add(
                "\(audit.store), \(audit.leaves)",
                (audit.proverSeconds * 1000).figure,
                (audit.proverWallSeconds * 1000).figure,
                audit.reads?.figure ?? "",
                audit.readBytes.map { ($0 / 1024).figure } ?? "",
                (audit.proofBytes / 1000).figure,
                (audit.verifierSeconds * 1000).figure,
                (whole.seconds * scale * 1000).figure,
                (whole.reads * scale).figure,
                (whole.readBytes * scale / 1_048_576).figure,
                (whole.seconds * scale / audit.proverSeconds).figure,
                audit.readBytes.map { (whole.readBytes * scale / $0).figure } ?? ""
            )
        }
        return sheet
    }

    /// A day of 1 TB, computed.
    private var day: Sheet {
        var sheet = Sheet(
            "1 TB in one order for a day, computed: 24 audits of \(Challenge.leavesUsual) leaves;"
                + " everything once a day",
            columns: ["", "CPU s", "reads", "read MB", "sent MB"]
        )
        guard
            let audit = audits.first(where: {
                $0.leaves == Challenge.leavesUsual && $0.reads != nil
            }),
            let large = audits.last(where: { $0.leaves == Challenge.leavesUsual }),
            let reads = audit.reads, let readBytes = audit.readBytes
        else { return sheet }
        let day = Self.auditsPerDay
        // The larger of both: the one read a disk, the other had the higher tree.
        let cpu = max(audit.proverSeconds, large.proverSeconds)
        let scale = Self.terabyte / Double(whole.heldBytes)
        sheet.add(
            "audits",
            (cpu * day).figure,
            (reads * day).figure,
            (readBytes * day / 1e6).figure,
            (large.proofBytes * day / 1e6).figure
        )
        sheet.add(
            "everything read",
            (whole.seconds * scale).figure,
            (whole.reads * scale).figure,
            (whole.readBytes * scale / 1e6).figure,
            ""
        )
        sheet.add(
            "ratio",
            (whole.seconds * scale / (cpu * day)).figure,
            (whole.reads * scale / (reads * day)).figure,
            (whole.readBytes * scale / (readBytes * day)).figure,
            ""
        )
        return sheet
    }

    var sheets: [Sheet] { [audited, day] }
}
