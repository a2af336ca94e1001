import ArgumentParser
import Disk
import Home
import Network
import Primitives
import Sealing

struct VolumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "volume",
        abstract: "Create, recover, list, look at and destroy volumes.",
        subcommands: [
            VolumeCreateCommand.self, VolumeRecoverCommand.self, List.self, Show.self,
            VolumeShredCommand.self,
        ]
    )

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the volumes under MEFS_HOME."
        )

        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            let home = try Home()
            let volumes = try VolumeDirectory.list(in: home).map { name in
                VolumeReport(try VolumeDirectory.open(name, in: home))
            }
            if json { return try Output.json(volumes) }
            if volumes.isEmpty { return Output.line("no volumes in \(home.path)") }
            Output.table(
                [["volume", "code", "network", "mounted at"]]
                    + volumes.map { [$0.name, $0.code, $0.network ?? "-", $0.mountpoint ?? "-"] }
            )
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Print what a volume is.")

        @Argument(help: "The volume's name.")
        var name: String

        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            let report = VolumeReport(try VolumeDirectory.open(name, in: try Home()))
            if json { return try Output.json(report) }
            report.print()
        }
    }
}

/// What `mefs volume` prints of a volume.
struct VolumeReport: Encodable {
    let name: String
    let id: String
    let code: String
    /// Node id of the owner.
    let owner: String
    /// The network's name; absent while the local network was never started.
    let network: String?
    let keepers: [String]
    let directory: String
    /// Where it is mounted now.
    let mountpoint: String?

    init(_ volume: VolumeDirectory) {
        let network = try? volume.network()
        name = volume.name
        id = volume.id.hex
        code = "\(volume.code)"
        owner = volume.ownerKey.nodeID.hex
        self.network = network?.name ?? (volume.isLocal ? "local" : nil)
        keepers = network?.keepers.map { "\($0.address)" } ?? []
        directory = volume.path
        mountpoint = volume.holder?.note
    }

    func print() {
        Output.table([
            ["volume", name], ["id", id], ["code", code], ["owner", owner],
            ["network", network ?? "-"], ["keepers", keepers.joined(separator: ", ")],
            ["directory", directory], ["mounted at", mountpoint ?? "-"],
        ])
    }
}
