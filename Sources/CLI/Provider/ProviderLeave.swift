import ArgumentParser
import Control
import Glibc
import Network

/// `mefs provider leave`: empties a running provider without loss.
struct ProviderLeave: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "leave",
        abstract: "Have everything that a running provider holds moved away.",
        discussion: """
            The provider takes nothing new and goes on serving while owners and keepers copy its \
            shards to others; the command returns when nothing is left, and the provider may be \
            stopped for good. It may be interrupted: leaving goes on until --cancel.
            """
    )

    /// Between two looks, in microseconds.
    private static let pollMicroseconds: UInt32 = 500_000

    @Option(help: ArgumentHelp("The directory given to 'provider run'.", valueName: "dir"))
    var store: String

    @Flag(help: "Stay after all.")
    var cancel = false

    @Option(help: ArgumentHelp("Give up waiting after so long.", valueName: "seconds"))
    var timeout: Double?

    @Flag(help: "Print JSON: one object a line while it goes on, one at the end.")
    var json = false

    func run() throws {
        let provider = try RunningProvider(store: store)
        defer { provider.close() }
        var status = try provider.ask(SetLeaving(isLeaving: !cancel))
        guard !cancel else {
            if json { try Output.json(Step(status), compact: true) } else { Output.line("staying") }
            return
        }
        let clock = ContinuousClock()
        let start = clock.now
        let total = max(1, status.shardCount)
        var bar = ProgressBar(isTerminal: Output.isTerminal && !json)
        defer { bar.clear() }
        while status.shardCount > 0 {
            if json {
                try Output.json(Step(status), compact: true)
            } else {
                bar.show(
                    fraction: 1 - Double(status.shardCount) / Double(max(total, status.shardCount)),
                    "\(Readable.count(status.shardCount)) shards,"
                        + " \(Readable.bytes(status.usedBytes)) to move"
                )
            }
            if let timeout, (clock.now - start) / .seconds(1) >= timeout {
                throw ControlFailure(
                    .incomplete,
                    "\(status.shardCount) shards are still here; their owners' mounts or keepers"
                        + " move them when they run"
                )
            }
            usleep(Self.pollMicroseconds)
            status = try provider.status()
        }
        bar.clear()
        if json { return try Output.json(Step(status), compact: true) }
        Output.line("nothing is left; the provider may be stopped")
    }

    private struct Step: Encodable {
        let leaving: Bool
        let shards: UInt64
        let usedBytes: UInt64

        init(_ status: StoreStatus) {
            leaving = status.isLeaving
            shards = status.shardCount
            usedBytes = status.usedBytes
        }
    }
}
