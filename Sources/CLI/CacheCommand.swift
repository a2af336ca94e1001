import ArgumentParser
import Control

struct CacheCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache",
        abstract: "Look after the local cache.",
        subcommands: [Drop.self]
    )

    struct Drop: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Evict everything that is placed from the local disk; dirty data stays."
        )

        @Argument(help: "The mount point, or anything below it.")
        var directory: String

        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            let bytes = try ControlClient(mountHolding: directory).dropCache()
            if json { return try Output.json(Report(evictedBytes: bytes)) }
            Output.line("evicted \(Readable.bytes(bytes))")
        }

        private struct Report: Encodable {
            let evictedBytes: UInt64
        }
    }
}
