import ArgumentParser
import Auditor
import Node
import Reliability
import Transport

struct KeeperCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keeper",
        abstract: "Run a keeper: directory, beacon, delegated audits and repairs.",
        subcommands: [Run.self, Join.self]
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

        @Option(
            help: ArgumentHelp(
                "Length of an epoch, in which every order is challenged once (default: 3600).",
                valueName: "seconds"
            )
        )
        var epoch: UInt32?

        @Option(
            help: ArgumentHelp(
                "How long one missing shard of a stripe may stay missing.",
                valueName: "seconds"
            )
        )
        var repairWait: Double?

        @Option(
            help: ArgumentHelp(
                "The most it moves a second for repairs: 16M.",
                valueName: "size"
            )
        )
        var repairRate: ByteSize?

        @Flag(help: "End when standard input ends.")
        var supervised = false

        func validate() throws {
            if let repairWait, !(0...31_536_000).contains(repairWait) {
                throw ValidationError("--repair-wait is 0 to 31536000 seconds")
            }
            if let repairRate, repairRate.bytes == 0 {
                throw ValidationError("--repair-rate is at least 1 byte a second")
            }
        }

        func run() throws {
            let daemon = try Daemon(label: "keeper", supervised: supervised)
            let server = KeeperServer(configuration: configuration, logger: daemon.logger)
            _ = try server.start()
            try daemon.waitForEnd()
            server.stop()
        }

        private var configuration: KeeperConfiguration {
            var configuration = KeeperConfiguration(
                directory: state,
                listen: listen,
                advertise: advertise
            )
            configuration.epochSeconds = epoch
            if let repairWait { configuration.custody.repairPolicy.wait = .seconds(repairWait) }
            if let repairRate {
                configuration.custody.repairBytesPerSecond = Int(clamping: repairRate.bytes)
            }
            return configuration
        }
    }
}
