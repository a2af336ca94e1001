import ArgumentParser
import Disk
import Logging
import Network
import Node
import Transport

/// A provider on a real store, of a real network, that answers wrongly on purpose.
struct FaultyProviderCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "faulty-provider",
        abstract: "Run a provider that answers with garbage, half, late or never.",
        discussion: """
            It keeps what it is given, and reports to its keepers, as an honest one does; only its \
            answers are wrong. For tests of what others do about it. Ends at SIGTERM.
            """
    )

    @Option(help: "garbage, noise, half, never or slow.")
    var mode: Misbehaviour

    @Option(help: "Directory that holds the shards.")
    var store: String

    @Option(help: "Network file with the keepers.")
    var network: String

    @Option(help: "Address to listen on, HOST:PORT.")
    var listen: String

    @Option(help: "The most it stores, in MiB.")
    var capacity: UInt64 = 20_480

    @Option(help: "What it answers wrongly: names of operations such as getShard,putShard; or all.")
    var operations = "all"

    @Option(help: "How many of these answers are wrong.")
    var share = 1.0

    @Option(help: "Seconds that a slow answer takes.")
    var delay = 10.0

    @Option(help: "Where the random bytes come from.")
    var seed: UInt64 = 1

    func validate() throws {
        _ = try wrong()
        guard NodeAddress(listen) != nil else { throw ValidationError("--listen HOST:PORT") }
        guard (0...1).contains(share), (0...3600).contains(delay), (1...1 << 30).contains(capacity)
        else { throw ValidationError("a number is out of range") }
    }

    func run() throws {
        let signals = SignalWaiter()
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        let bytes = try WholeFile.read(network, limit: NetworkFile.fileBytesMax)
        var configuration = ProviderConfiguration(
            directory: store,
            capacityBytes: capacity << 20,
            listen: NodeAddress(listen),
            keepers: .known(try NetworkFile(parsing: bytes).keepers)
        )
        let (mode, wrong, share) = (mode, try wrong(), share)
        let (delay, seed) = (Duration.seconds(delay), seed)
        configuration.wrapper = { honest in
            FaultyRequests(
                honest,
                mode: mode,
                operations: wrong,
                share: share,
                delay: delay,
                seed: seed
            )
        }
        let server = ProviderServer(
            configuration: configuration,
            logger: Logger(label: "faulty-provider")
        )
        _ = try server.start()
        _ = signals.wait()
        server.stop()
    }

    /// The operations that are answered wrongly.
    private func wrong() throws -> Set<UInt8> {
        if operations == "all" { return Set(Operation.allCases.map(\.rawValue)) }
        return try Set(
            operations.split(separator: ",").map { name in
                guard let operation = Operation.allCases.first(where: { "\($0)" == name }) else {
                    throw ValidationError("'\(name)' is no operation")
                }
                return operation.rawValue
            }
        )
    }
}
