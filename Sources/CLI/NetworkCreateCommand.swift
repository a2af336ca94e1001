import ArgumentParser
import Control
import Disk
import Network
import Node
import Primitives
import Sealing
import Transport

extension NetworkCommand {
    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the file of a network of several keepers.",
            discussion: """
                All keepers run; the command is given where one of them is, whose key signs the \
                file. The others' keys are taken as they are met: compare the ids that are printed \
                with those in the keepers' logs. Then give the file to the others with \
                'mefs keeper join'. The keepers of a network are chosen once, before it has volumes.
                """
        )

        @Option(
            help: ArgumentHelp("Directory of the keeper that signs.", valueName: "dir")
        )
        var state: String

        @Option(
            help: ArgumentHelp(
                "Address of a keeper, the one that signs too; once for each.",
                valueName: "host:port"
            )
        )
        var keeper: [NodeAddress]

        @Option(help: "Name of the network (default: made of the keeper's id).")
        var name = ""

        @Option(help: ArgumentHelp("Code of new volumes.", valueName: "k+m"))
        var code = ErasureCode.standard

        @Option(name: .shortAndLong, help: ArgumentHelp("File to write.", valueName: "file"))
        var output: String

        @Flag(help: "Print JSON.")
        var json = false

        func validate() throws {
            guard keeper.count <= NetworkFile.keepersMax else {
                throw ValidationError("a network has at most \(NetworkFile.keepersMax) keepers")
            }
            guard Set(keeper).count == keeper.count else {
                throw ValidationError("each --keeper is given once")
            }
        }

        func run() throws {
            let membership = KeeperMembership(directory: state)
            let file = try membership.found(named: name, code: code, keepers: try meet())
            try WholeFile.replace(output, with: file.encoded())
            if json { return try Output.json(NetworkReport(file, live: nil)) }
            Output.line("\(output): network \(file.name)")
            Output.table(
                [["keeper", "address"]]
                    + file.keepers.map { [$0.publicKey.nodeID.short, "\($0.address)"] }
            )
            if keeper.count == 2 {
                Output.line("with two keepers, the loss of one keeps volumes from being published")
            }
            if keeper.count > 1 {
                Output.line("now, for each of the others: mefs keeper join --state DIR \(output)")
            }
        }

        /// The keepers, whose epochs must be of one length.
        private func meet() throws -> [KeeperEndpoint] {
            var keepers: [KeeperEndpoint] = []
            var first: (address: NodeAddress, epochSeconds: UInt32)?
            for address in keeper {
                let (endpoint, epochSeconds) = try FirstContact.keeper(at: address, as: .random())
                if let other = keepers.first(where: { $0.publicKey == endpoint.publicKey }) {
                    throw ControlFailure(
                        .usage,
                        "\(other.address) and \(address) are one keeper, which counts once"
                    )
                }
                keepers.append(endpoint)
                guard let epochSeconds else { continue }
                if let first, first.epochSeconds != epochSeconds {
                    throw ControlFailure(
                        .usage,
                        "keeper \(first.address) has epochs of \(first.epochSeconds) s and keeper"
                            + " \(address) of \(epochSeconds) s: make one anew with --epoch"
                    )
                }
                first = first ?? (address, epochSeconds)
            }
            return keepers
        }
    }
}
