import ArgumentParser
import Control
import Network
import Primitives
import Proofs
import Sealing

/// `mefs provider status`: what a running provider holds, and what its auditors say of it.
struct ProviderStatus: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what a running provider holds, and the verdicts on it."
    )

    @Option(help: ArgumentHelp("The directory given to 'provider run'.", valueName: "dir"))
    var store: String

    @Option(help: "At most so many verdicts, the newest.")
    var limit: UInt32 = 10

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let provider = try RunningProvider(store: store)
        defer { provider.close() }
        let status = try provider.status()
        let receipts = try provider.ask(ListReceipts(order: nil, limit: limit)).receipts
        let report = Report(provider, status, receipts)
        if json { return try Output.json(report) }
        report.print()
    }

    private struct Receipt: Encodable {
        let order: String
        let auditor: String
        let at: String
        let verdict: String
        let reason: String
        let leaves: UInt32
    }

    private struct Report: Encodable {
        let id: String
        let address: String
        let state: String
        let usedBytes: UInt64
        let capacityBytes: UInt64
        let shards: UInt64
        let orders: UInt64
        let damagedShards: UInt64
        let scrubbedBytes: UInt64
        let receipts: [Receipt]

        init(_ provider: RunningProvider, _ status: StoreStatus, _ receipts: [Proofs.Receipt]) {
            id = provider.id.hex
            address = "\(provider.address)"
            state = status.isLeaving ? "leaving" : "serving"
            usedBytes = status.usedBytes
            capacityBytes = status.capacityBytes
            shards = status.shardCount
            orders = status.orderCount
            damagedShards = status.damagedShards
            scrubbedBytes = status.scrubbedBytes
            self.receipts = receipts.map { receipt in
                Receipt(
                    order: receipt.order.hex,
                    auditor: receipt.auditorKey.nodeID.hex,
                    at: receipt.answered.text,
                    verdict: "\(receipt.verdict)",
                    reason: receipt.reason,
                    leaves: receipt.leaves
                )
            }
        }

        func print() {
            Output.table([
                ["provider", "\(id.prefix(8)) at \(address), \(state)"],
                ["used", "\(Readable.bytes(usedBytes)) of \(Readable.bytes(capacityBytes))"],
                ["shards", "\(Readable.count(shards)), orders: \(orders)"],
                ["damaged", "\(Readable.count(damagedShards)) shards wait to be brought again"],
                ["scrubbed", "\(Readable.bytes(scrubbedBytes)) since the start"],
            ])
            guard !receipts.isEmpty else { return }
            Output.line()
            Output.table(
                [["time", "auditor", "verdict", "leaves", "reason"]]
                    + receipts.map {
                        [
                            $0.at, String($0.auditor.prefix(8)), $0.verdict, "\($0.leaves)",
                            $0.reason,
                        ]
                    }
            )
        }
    }
}
