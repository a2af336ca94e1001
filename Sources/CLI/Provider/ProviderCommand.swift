import ArgumentParser
import Control
import Disk
import Network
import Node
import Transport

struct ProviderCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "provider",
        abstract: "Run a provider: lend disk space to a network.",
        subcommands: [Run.self, ProviderStatus.self, ProviderLeave.self]
    )

    struct Run: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run a provider in the foreground until SIGTERM.",
            discussion: """
                The log goes to standard error. The store is safe to kill at any instant: a shard \
                that was acknowledged is there again after a restart.
                """
        )

        @Option(
            help: ArgumentHelp(
                "Directory that holds the shards; made if missing.",
                valueName: "dir"
            )
        )
        var store: String

        @Option(
            help: ArgumentHelp(
                "The most it stores: 50G, 500M, 1T.",
                valueName: "size"
            )
        )
        var capacity: ByteSize

        @Option(
            help: ArgumentHelp(
                "A keeper to report to; its key is pinned at first contact.",
                valueName: "host:port"
            )
        )
        var keeper: NodeAddress?

        @Option(
            help: ArgumentHelp(
                "Network file to take the keepers and their keys from.",
                valueName: "file"
            )
        )
        var network: String?

        @Option(
            help: ArgumentHelp(
                "Address to listen on (default: all, on a free port).",
                valueName: "host:port"
            )
        )
        var listen: NodeAddress?

        @Option(
            help: ArgumentHelp(
                "Address that others reach it at (default: seen by the keeper).",
                valueName: "host:port"
            )
        )
        var advertise: NodeAddress?

        @Option(
            help: ArgumentHelp(
                "Failure domain, such as a house or a rack (default: its own).",
                valueName: "name"
            )
        )
        var domain: String?

        @Option(
            help: ArgumentHelp(
                "How fast stored bytes are read again to find rot (default: all in a month).",
                valueName: "size"
            )
        )
        var scrubRate: ByteSize?

        @Flag(help: "End when standard input ends.")
        var supervised = false

        func validate() throws {
            guard (keeper == nil) != (network == nil) else {
                throw ValidationError("give either --keeper HOST:PORT or --network FILE")
            }
        }

        /// Freed memory that stays with the process: a few shards on their way to the disk.
        private static let keptBytes = 16 << 20

        func run() throws {
            Host.keepFreedMemory(Self.keptBytes)
            let daemon = try Daemon(label: "provider", supervised: supervised)
            var configuration = ProviderConfiguration(
                directory: store,
                capacityBytes: capacity.bytes,
                listen: listen,
                advertise: advertise,
                domain: domain,
                keepers: try keepers()
            )
            configuration.scrubBytesPerSecond = scrubRate?.bytes
            let server = ProviderServer(configuration: configuration, logger: daemon.logger)
            _ = try server.start()
            try daemon.waitForEnd()
            server.stop()
        }

        private func keepers() throws -> ProviderConfiguration.Keepers {
            if let keeper { return .firstContact(keeper) }
            return .known(try NetworkFile(readingFrom: network ?? "").keepers)
        }
    }
}
