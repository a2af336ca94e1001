import ArgumentParser
import Control

struct GarbageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc",
        abstract: "Give back room at providers that neither files nor snapshots need.",
        discussion: """
            It is done in the background too, but only where much is gained. What a snapshot needs \
            stays until the snapshot is deleted.
            """
    )

    @Argument(help: "The mount point, or anything below it.")
    var directory: String

    @Flag(help: "Only say what is kept, and why.")
    var dryRun = false

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let client = try ControlClient(mountHolding: directory)
        let before = try client.collectGarbage(isDryRun: true)
        let report = dryRun ? before : try client.collectGarbage(isDryRun: false)
        if json { return try Output.json(report) }
        let dead = report.neededBytes - min(report.neededBytes, report.liveBytes)
        Output.table([
            ["live", Readable.bytes(report.liveBytes), "what files and the newest head need"],
            ["beside", Readable.bytes(dead), "dead bytes in stripes that hold live ones"],
            [
                "sparse", Readable.bytes(report.sparseBytes),
                "\(report.sparseStripes) stripes of these are worth writing anew",
            ],
            [
                "snapshots", Readable.bytes(report.snapshotBytes),
                "\(report.snapshotStripes) stripes that only snapshots need",
            ],
            [
                "waiting", Readable.bytes(report.waitingBytes),
                "\(report.waitingStripes) stripes that go when a newer head is registered",
            ],
            ["dead", "", "\(report.deadShards) shards that providers are yet to delete"],
            [
                "retained", "",
                report.retainedUntil.map { until in
                    "\(report.retainedShards) of these; the last is retained until \(until)"
                } ?? "none of these: no lock keeps them",
            ],
        ])
    }
}
