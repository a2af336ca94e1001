import ArgumentParser
import Primitives

struct StagesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stages",
        abstract: "What each stage of the pipeline costs by itself.",
        discussion: """
            Memory: hashes, sealing and opening of noise and of text, coding, masks, Merkle roots. \
            Provider: shards put and fetched over mutual TLS on loopback, both ends in this \
            process, each put on its disk before it counts. Metadata: names made, found, listed. \
            Processor time is the whole process's, the median of several rounds after one that is \
            not counted.
            """
    )

    @Option(
        help: ArgumentHelp(
            "Where stores are made, and removed again.",
            valueName: "directory"
        )
    )
    var directory = "/var/tmp"

    @Option(help: "MiB that go through each stage in each round.")
    var mib = 256

    @Option(help: "Files of the metadata's stages.")
    var files = 20_000

    @Option(help: "Rounds.")
    var rounds = 5

    @Option(help: "Only stages whose names begin so.")
    var only = ""

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Print Markdown.")
    var markdown = false

    func validate() throws {
        guard (16...65_536).contains(mib), (100...10_000_000).contains(files),
            (1...1000).contains(rounds)
        else { throw ValidationError("a number is out of range") }
    }

    func run() throws {
        var timer = StageTimer(rounds: rounds, prefix: only)
        try MemoryStages(mib: mib).measure(&timer)
        if timer.wantsAny(of: ProviderStages.names) {
            let stages = try ProviderStages(in: directory, mib: mib)
            defer { stages.remove() }
            try stages.measure(&timer)
        }
        if timer.wantsAny(of: MetadataStages.names) {
            let stages = try MetadataStages(in: directory, files: files)
            defer { stages.remove() }
            try stages.measure(&timer)
        }
        let result = StagesResult(conditions: Conditions(), stages: timer.costs)
        if json { return try Output.json(result) }
        Output.sheets(result.sheets, conditions: result.conditions, markdown: markdown)
    }
}

struct StagesResult: Encodable {
    let conditions: Conditions
    let stages: [StageCost]

    var sheets: [Sheet] {
        var bytes = Sheet("Stages that move bytes", columns: ["", "CPU s/GiB", "MB/s"])
        var operations = Sheet(
            "Stages that do many things",
            columns: ["", "CPU µs each", "a second"]
        )
        for stage in stages {
            if let gigabyte = stage.processorSecondsPerGiB, let rate = stage.megabytesPerSecond {
                bytes.add(stage.stage, gigabyte.figure, rate.figure)
            }
            if let each = stage.processorMicroseconds, let rate = stage.perSecond {
                operations.add(stage.stage, each.figure, rate.figure)
            }
        }
        return [bytes, operations].filter { !$0.rows.isEmpty }
    }
}
