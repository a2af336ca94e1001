import ArgumentParser
import Control
import Glibc

struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what a mounted volume is doing.",
        discussion: """
            Dirty is what only the local disk holds, placing is on its way, placed is on providers.
            """
    )

    @Argument(help: "The mount point, or anything below it.")
    var directory: String

    @Flag(help: "Print JSON; with --watch, one object a line.")
    var json = false

    @Flag(help: "Repeat every second until interrupted.")
    var watch = false

    func run() throws {
        let client = try ControlClient(mountHolding: directory)
        guard watch else { return try show(client.status(), compact: false) }
        while true {
            let status = try client.status()
            if Output.isTerminal, !json { Output.raw("\u{1B}[H\u{1B}[2J") }
            try show(status, compact: true)
            sleep(1)
        }
    }

    private func show(_ status: VolumeStatus, compact: Bool) throws {
        if json { return try Output.json(status, compact: compact) }
        Output.table(status.rows)
        guard !status.providers.isEmpty else { return }
        Output.line()
        Output.table(status.providerRows)
    }
}

extension VolumeStatus {
    /// Label and text of what `mefs status` shows.
    fileprivate var rows: [[String]] {
        let age = oldestDirtyAgeSeconds.map { ", the oldest for \(Readable.seconds($0))" } ?? ""
        var rows = [
            ["volume", "\(volume) at \(mountpoint), \(state.rawValue), process \(pid)"],
            ["files", "\(Readable.count(totalFiles)), \(Readable.bytes(totalBytes))"],
            [
                "dirty",
                "\(Readable.bytes(dirtyBytes)) in \(Readable.count(dirtyFiles)) files\(age)",
            ],
            ["placing", Readable.bytes(placingBytes)],
            [
                "placed",
                "\(Readable.bytes(placedBytes)) in \(Readable.count(placedFiles)) files",
            ],
            ["stripes", "\(Readable.count(stripes)), \(Readable.count(shards)) shards"],
            ["cache", "\(Readable.bytes(cacheBytes)) of \(Readable.bytes(cacheBytesMax))"],
            ["up", rate(uploadBytesPerSecond, total: uploadedBytesTotal)],
            ["down", rate(downloadBytesPerSecond, total: downloadedBytesTotal)],
            ["providers", "\(providersUp) up, \(providersDown) down"],
        ]
        if let lastError { rows.append(["error", lastError]) }
        rows += shardErrors.suffix(5).map { ["shard", $0] }
        return rows
    }

    private func rate(_ perSecond: Double, total: UInt64) -> String {
        let now = perSecond.isFinite ? max(0, min(perSecond, 1e15)) : 0
        return "\(Readable.bytes(UInt64(now)))/s, \(Readable.bytes(total)) since the mount"
    }

    fileprivate var providerRows: [[String]] {
        [["provider", "address", "state", "used", "capacity"]]
            + providers.map { provider in
                [
                    String(provider.id.prefix(8)), provider.address,
                    provider.up ? "up" : "down", Readable.bytes(provider.usedBytes),
                    Readable.bytes(provider.capacityBytes),
                ]
            }
    }
}
