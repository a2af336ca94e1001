import ArgumentParser
import Control

struct SyncCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sync",
        abstract: "Place everything written so far; return when it is done.",
        discussion: "Of a mount with -o ro: show the newest head that another machine has made."
    )

    @Argument(help: "The mount point, or anything below it.")
    var directory: String

    @Flag(help: "Print JSON: one object a line while it goes on, one at the end.")
    var json = false

    func run() throws {
        let client = try ControlClient(mountHolding: directory)
        let clock = ContinuousClock()
        let start = clock.now
        var bar = ProgressBar(isTerminal: Output.isTerminal && !json)
        defer { bar.clear() }
        var total: UInt64 = 0
        try client.sync { progress in
            total = max(total, progress.totalBytes)
            if json {
                try? Output.json(progress, compact: true)
            } else {
                show(progress, elapsed: clock.now - start, &bar)
            }
        }
        bar.clear()
        let seconds = (clock.now - start) / .seconds(1)
        guard !json else {
            return try Output.json(Done(placedBytes: total, seconds: seconds), compact: true)
        }
        Output.line(
            "placed \(Readable.bytes(total)) in \(Readable.decimal(seconds, digits: 1)) s"
        )
    }

    private func show(_ progress: SyncProgress, elapsed: Duration, _ bar: inout ProgressBar) {
        let done = Double(progress.totalBytes) - Double(progress.remainingBytes)
        let seconds = elapsed / .seconds(1)
        let rate = seconds > 0.5 ? max(0, done / seconds) : 0
        let secondsLeft = rate > 0 ? Double(progress.remainingBytes) / rate : nil
        let left = secondsLeft.map { ", \(Readable.seconds($0)) left" } ?? ""
        bar.show(
            fraction: progress.fraction,
            "\(Readable.bytes(progress.remainingBytes)) to place,"
                + " \(Readable.bytes(UInt64(rate)))/s\(left)"
        )
    }

    private struct Done: Encodable {
        let placedBytes: UInt64
        let seconds: Double
    }
}
