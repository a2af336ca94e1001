import ArgumentParser
import Control
import Disk
import Network
import Primitives
import Proofs
import Sealing

/// `mefs audit verify`: checks a receipt file with nothing but public keys.
struct AuditVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check a receipt file offline: signatures, links, challenges and the last proof.",
        discussion: """
            Without --network or --keeper-key, any keeper's beacon is accepted and its key \
            printed. Ends with 8, and the reason, if anything in the file was changed or does not \
            hold.
            """
    )

    /// A file with a year of hourly receipts and a proof of 460 leaves is a tenth of this.
    private static let fileBytesMax = 64 << 20

    @Argument(help: "The receipt file.")
    var file: String

    @Option(help: ArgumentHelp("Network file whose keepers are trusted.", valueName: "file"))
    var network: String?

    @Option(help: ArgumentHelp("Public key of a trusted keeper, in hexadecimal.", valueName: "key"))
    var keeperKey: [String] = []

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let keepers = try trustedKeepers()
        let bytes = try WholeFile.read(file, limit: Self.fileBytesMax)
        let summary: ReceiptFile.Summary
        do throws(ReceiptFileError) {
            summary = try ReceiptFile(parsing: bytes).verify(trusting: keepers)
        } catch {
            throw ControlFailure(.corrupt, "\(file): \(error)")
        }
        let report = Report(file: file, summary: summary)
        if json { return try Output.json(report) }
        report.print()
    }

    private func trustedKeepers() throws -> [PublicKey] {
        var keys =
            try network.map { try NetworkFile(readingFrom: $0).keepers.map(\.publicKey) } ?? []
        for text in keeperKey {
            guard let bytes = Hex.decode(text), let key = PublicKey(bytes: bytes) else {
                throw ControlFailure(.usage, "'\(text)' is not a public key: 64 hexadecimal digits")
            }
            keys.append(key)
        }
        return keys
    }

    private struct Report: Encodable {
        let file: String
        let verified = true
        let volume: String
        let owner: String
        let provider: String
        let auditor: String
        let keeper: String
        let receipts: Int
        let firstProved: String?
        let lastProved: String?
        let byteSeconds: String
        let leaves: UInt64
        let verdicts: [String: Int]
        let notes: [String]

        init(file: String, summary: ReceiptFile.Summary) {
            self.file = file
            volume = summary.volume.hex
            owner = summary.owner.nodeID.hex
            provider = summary.provider.hex
            auditor = summary.auditor?.nodeID.hex ?? ""
            keeper = summary.keeper.map { "\($0.nodeID.hex)" } ?? ""
            receipts = summary.receipts
            firstProved = summary.firstProved?.text
            lastProved = summary.lastProved?.text
            byteSeconds = "\(summary.byteSeconds)"
            leaves = summary.leaves
            verdicts = Dictionary(
                summary.verdictCounts.map { ("\($0.key)", $0.value) },
                uniquingKeysWith: +
            )
            notes = summary.notes
        }

        func print() {
            let counts = verdicts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
            var rows = [
                ["verified", file],
                ["volume", "\(volume) of \(owner.prefix(8))"],
                ["provider", provider],
                ["auditor", auditor],
                ["beacon", keeper.isEmpty ? "none" : "of keeper \(keeper.prefix(8))"],
                ["receipts", "\(receipts): \(counts.joined(separator: ", "))"],
                ["proved", "\(Readable.count(leaves)) leaves, \(byteSeconds) byte-seconds"],
                ["from", firstProved ?? "never"],
                ["to", lastProved ?? "never"],
            ]
            rows += notes.map { ["note", $0] }
            Output.table(rows)
        }
    }
}
