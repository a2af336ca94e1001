import ArgumentParser
import Node
import Transport

struct KeeperCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keeper",
        abstract: "Run a keeper: the directory of a network's providers.",
        subcommands: [Run.self]
    )

    struct Run: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run a keeper in the foreground until SIGTERM.",
            discussion: "The log goes to standard error. The state is safe to kill at any instant."
        )

        @Option(
            help: ArgumentHelp(
                "Directory of its key and database; made if missing.",
                valueName: "dir"
            )
        )
        var state: String

        @Option(
            help: ArgumentHelp(
                "Address to listen on; port 0 takes a free one.",
                valueName: "host:port"
            )
        )
        var listen: NodeAddress

        @Option(
            help: ArgumentHelp(
                "Address that others reach it at (default: bound one).",
                valueName: "host:port"
            )
        )
        var advertise: NodeAddress?

        @Flag(help: "End when standard input ends.")
        var supervised = false

        func run() throws {
            let daemon = try Daemon(label: "keeper", supervised: supervised)
            let server = KeeperServer(
                configuration: KeeperConfiguration(
                    directory: state,
                    listen: listen,
                    advertise: advertise
                ),
                logger: daemon.logger
            )
            _ = try server.start()
            try daemon.waitForEnd()
            server.stop()
        }
    }
}
