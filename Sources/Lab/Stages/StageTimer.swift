import Disk
import Primitives

/// What one stage costs, the median of several rounds.
struct StageCost: Encodable {
    let stage: String
    /// Only of a stage that moves bytes.
    var processorSecondsPerGiB: Double?
    var megabytesPerSecond: Double?
    /// Only of a stage that does many small things.
    var processorMicroseconds: Double?
    var perSecond: Double?
}

/// Runs stages round after round and keeps what they cost.
struct StageTimer {
    private let rounds: Int
    private let prefix: String
    private(set) var costs: [StageCost] = []

    /// `prefix` begins the names of the stages that are wanted.
    init(rounds: Int, prefix: String) {
        self.rounds = rounds
        self.prefix = prefix
    }

    func wantsAny(of names: [String]) -> Bool { names.contains { $0.hasPrefix(prefix) } }

    /// Times `body`, which moves so many bytes, after `prepare`, which is not timed.
    mutating func bytes(
        _ stage: String,
        _ count: Int,
        prepare: () throws -> Void = {},
        body: () throws -> Void
    ) throws {
        guard let (processor, wall) = try median(stage, prepare, body) else { return }
        costs.append(
            StageCost(
                stage: stage,
                processorSecondsPerGiB: processor / (Double(count) / Double(1 << 30)),
                megabytesPerSecond: Double(count) / 1e6 / wall
            )
        )
    }

    /// Times `body`, which does so many things, after `prepare`, which is not timed.
    mutating func operations(
        _ stage: String,
        _ count: Int,
        prepare: () throws -> Void = {},
        body: () throws -> Void
    ) throws {
        guard let (processor, wall) = try median(stage, prepare, body) else { return }
        costs.append(
            StageCost(
                stage: stage,
                processorMicroseconds: processor * 1e6 / Double(count),
                perSecond: Double(count) / wall
            )
        )
    }

    private func median(
        _ stage: String,
        _ prepare: () throws -> Void,
        _ body: () throws -> Void
    ) throws -> (processor: Double, wall: Double)? {
        guard stage.hasPrefix(prefix) else { return nil }
        var processor: [Double] = []
        var wall: [Double] = []
        for round in 0...rounds {
            try prepare()
            let start = (Clock.processCPUSeconds(), Clock.monotonic())
            try body()
            let end = (Clock.processCPUSeconds(), Clock.monotonic())
            guard round > 0 else { continue }
            processor.append(end.0 - start.0)
            wall.append(max((end.1 - start.1) / .seconds(1), 1e-9))
        }
        return (processor.sorted()[rounds / 2], wall.sorted()[rounds / 2])
    }
}
