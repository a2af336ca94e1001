import ArgumentParser
import Control
import Network
import Node

extension KeeperCommand {
    struct Join: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tell a keeper which network it is one of the keepers of.",
            discussion: """
                The keeper gives out that network's file from then on; it may run meanwhile, and \
                needs no restart. 'mefs network create' makes the file.
                """
        )

        @Option(help: ArgumentHelp("Directory of the keeper.", valueName: "dir"))
        var state: String

        @Argument(help: "The network file.")
        var file: String

        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            let network = try NetworkFile(readingFrom: file)
            try KeeperMembership(directory: state).join(network)
            if json { return try Output.json(NetworkReport(network, live: nil)) }
            Output.line(
                "\(state): one of the \(network.keepers.count) keepers of network \(network.name)"
            )
        }
    }
}
