import ArgumentParser
import Control
import Disk

/// `mefs audit export`: receipts as files that anybody can check.
struct AuditExport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write the receipts of a mounted volume to files that anybody can check.",
        discussion: """
            One file for each order: its terms, the co-signed commitments, the beacons, the \
            receipts and the last proof. No secret is in it. 'mefs audit verify' checks one.
            """
    )

    @Argument(help: "The mount point, or anything below it.")
    var directory: String

    @Option(name: .shortAndLong, help: ArgumentHelp("Folder; made if missing.", valueName: "dir"))
    var output: String

    @Option(help: ArgumentHelp("Only of one provider.", valueName: "id"))
    var provider: String?

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let client = try ControlClient(mountHolding: directory)
        let files = try client.auditExport(provider: provider)
        try Directory.make(output)
        var paths: [String] = []
        for file in files {
            let path = "\(output)/\(file.provider.prefix(16))-\(file.order.prefix(8)).json"
            try WholeFile.replace(path, with: Array(file.json.utf8))
            paths.append(path)
        }
        if json { return try Output.json(Report(files: paths)) }
        for path in paths { Output.line(path) }
    }

    private struct Report: Encodable {
        let files: [String]
    }
}
