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
        if let writer { rows.append(["writer", writer]) }
        if let follows { rows.append(["follows", follows.text]) }
        if let head = headText { rows.append(["head", head]) }
        if let open = passthroughOpenings, let total = passthroughOpeningsTotal {
            rows.append([
                "passthrough",
                "\(Readable.count(open)) files open, \(Readable.count(total)) openings so far",
            ])
        }
        rows += custodyRows
        if let lastCheck { rows.append(["check", lastCheck]) }
        if let lastError { rows.append(["error", lastError]) }
        rows += shardErrors.suffix(5).map { ["shard", $0] }
        return rows
    }

    /// What would come back if this machine were lost.
    private var headText: String? {
        guard headVersion != nil || headError != nil else { return nil }
        var text = headVersion.map { "\($0)" } ?? "none"
        if let headAgeSeconds { text += ", \(Readable.seconds(headAgeSeconds)) old" }
        if let behind = headBehindBlocks, behind > 0 {
            text += ", \(Readable.count(behind)) blocks were not placed then"
        }
        if let headError { text += "; \(headError)" }
        return text
    }

    /// What proves that it is there, and what is being rebuilt.
    private var custodyRows: [[String]] {
        var rows: [[String]] = []
        if let lastProof, let lastProofAgeSeconds {
            rows.append([
                "proved", "all by \(lastProof), \(Readable.seconds(lastProofAgeSeconds)) ago",
            ])
        } else if epoch != nil {
            rows.append(["proved", "not by all providers yet"])
        }
        if repairsPending + repairsDone > 0 {
            rows.append([
                "repairs",
                "\(Readable.count(repairsPending)) shards wait, \(Readable.count(repairsDone)) done"
                    + " (\(Readable.bytes(repairedBytes)))",
            ])
        }
        if let spareShards, spareShards > 0 {
            rows.append([
                "spares", "\(Readable.count(spareShards)) shards came back, kept for a day",
            ])
        }
        for stripe in worstStripes where stripe.healthy < stripe.n {
            rows.append([
                "in danger",
                "stripe \(stripe.stripe): \(stripe.healthy) of \(stripe.n) shards, lost within"
                    + " 30 days with \(Readable.chance(stripe.lossProbability)) unless repaired",
            ])
        }
        if !delegatedTo.isEmpty {
            rows.append([
                "keeper", "\(delegatedTo.joined(separator: ", ")) stands in when unmounted",
            ])
        }
        if let auditError { rows.append(["audits", auditError]) }
        return rows
    }

    private func rate(_ perSecond: Double, total: UInt64) -> String {
        let now = perSecond.isFinite ? max(0, min(perSecond, 1e15)) : 0
        return "\(Readable.bytes(UInt64(now)))/s, \(Readable.bytes(total)) since the mount"
    }

    fileprivate var providerRows: [[String]] {
        [["provider", "address", "state", "used", "capacity", "score", "proved", "verdict"]]
            + providers.map { provider in
                [
                    String(provider.id.prefix(8)), provider.address,
                    provider.isLeaving ? "leaving" : provider.up ? "up" : "down",
                    Readable.bytes(provider.usedBytes), Readable.bytes(provider.capacityBytes),
                    provider.score.map { Readable.decimal($0, digits: 3) } ?? "-",
                    provider.lastProofAgeSeconds.map { "\(Readable.seconds($0)) ago" } ?? "-",
                    provider.verdict,
                ]
            }
    }
}

extension VolumeStatus.Following {
    /// Which head is shown, whose it is, and how late it may be.
    fileprivate var text: String {
        var text = "what this machine has"
        if let headVersion {
            let age = headAgeSeconds.map { ", made \(Readable.seconds($0)) ago" } ?? ""
            text = "head \(headVersion)\(age)"
        }
        if let writer { text += ", of \(writer)" }
        let heard = heardSeconds.map { "keepers asked \(Readable.seconds($0)) ago" }
        text += "; \(heard ?? "no keeper has answered")"
        if let trouble { text += "; \(trouble)" }
        return text
    }
}

extension VolumeStatus.Provider {
    /// The last verdict, with the reason unless all was well.
    fileprivate var verdict: String {
        guard let lastVerdict else { return "-" }
        guard lastVerdict != "ok", let reason = lastVerdictReason, !reason.isEmpty else {
            return lastVerdict
        }
        return "\(lastVerdict): \(reason)"
    }
}
