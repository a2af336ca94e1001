import Disk
import Logging
import Metadata
import Primitives
import SimulatedHost
import Synchronization
import Volume

/// One trial: a volume on a simulated machine, used, crashed and judged again and again, from one
/// seed.
package final class Trial: Sendable {
    private let plan: TrialPlan
    private let scene: TrialScene
    private let world: SimulatedWorld
    private let owner: SimulatedMachine
    private let network: TrialNetwork
    private let configuration: VolumeConfiguration
    private let state: Mutex<State>

    private struct State {
        var random: SeededGenerator
        var report: TrialReport
        /// The worst stop since the last judgement; `nil` before the first life.
        var stop: Stop?
        var model: Model?
        /// Disk operations of the last whole life, to place crashes by.
        var usualMutations = 3000
    }

    /// How a life of the machine ended.
    private enum End: Sendable {
        case crashedOpening
        case crashed
    }

    /// How often a volume may crash in a row before it is judged.
    private static let crashesInARowMax = 3
    /// Where the volume lives on its machine.
    private static let directory = "/mefs"

    private init(_ plan: TrialPlan) throws {
        self.plan = plan
        scene = try TrialScene(seed: plan.seed)
        world = SimulatedWorld(seed: plan.seed)
        owner = world.machine("owner")
        network = TrialNetwork(
            count: scene.providers,
            frail: scene.frail,
            seed: plan.seed ^ 0x0ff_1ce
        ) { [world] verb, subject in world.note(verb, subject) }
        var configuration = VolumeConfiguration(
            id: scene.volumeID,
            name: "trial",
            code: scene.code,
            key: scene.key,
            metadataPath: Self.directory + "/metadata/volume.db",
            cacheDirectory: Self.directory + "/cache"
        )
        configuration.cacheBytesMax = scene.cacheBytesMax
        configuration.dirtyBytesMax = scene.dirtyBytesMax
        configuration.dirtyAgeSeconds = scene.dirtyAgeSeconds
        configuration.passthroughCacheBytesMin = scene.passesThrough ? 0 : .max
        configuration.passthroughFreeBytesMin = 0
        configuration.metadataLimits = Self.smallLimits
        if let interval = scene.checkpointInterval {
            var checkpoints = VolumeConfiguration.Checkpoints(owner: scene.owner)
            checkpoints.interval = interval
            configuration.checkpoints = checkpoints
        }
        self.configuration = configuration
        state = Mutex(
            State(
                random: SeededGenerator(seed: plan.seed ^ 0xc4a5),
                report: TrialReport(plan)
            )
        )
    }

    /// So small that caches overflow and the log is moved within a round.
    private static var smallLimits: MetadataLimits {
        var limits = MetadataLimits()
        limits.inodesCached = 24
        limits.entriesCached = 32
        limits.blocksCached = 24
        limits.stripesCached = 8
        limits.commitOperations = 24
        limits.unsavedOperationsMax = 96
        limits.logFrames = 48
        limits.logFramesMax = 160
        return limits
    }

    /// Runs a trial.
    package static func run(_ plan: TrialPlan) -> TrialReport {
        do {
            return try Trial(plan).run()
        } catch {
            var report = TrialReport(plan)
            report.failure = TrialFailure("\(error)")
            return report
        }
    }

    /// Runs all rounds and the end.
    private func run() -> TrialReport {
        for round in 0..<plan.rounds {
            guard runRound(round) else { return finish() }
        }
        _ = attempt(state.withLock { $0.report.rounds }) { try end() }
        return finish()
    }

    private func finish() -> TrialReport {
        var report = state.withLock { $0.report }
        let counts = network.state.withLock { ($0.puts, $0.gets, $0.faults) }
        (report.puts, report.gets, report.networkFaults) = counts
        report.diskOperations = owner.mutations
        report.virtualTime = world.elapsed
        report.steps = owner.stepCounts
        report.digest = String(world.trace.digest, radix: 16)
        if report.failure != nil {
            report.trace =
                world.trace.last
                + (state.withLock { $0.model }?.state.withLock { $0.log } ?? [])
        }
        return report
    }

    /// One life that ends with a crash, perhaps after others that crash while they open; `false`
    /// if something is wrong.
    private func runRound(_ round: Int) -> Bool {
        for number in 0..<Self.crashesInARowMax {
            let (kind, count) = state.withLock { state in
                let kind = chooseKind(&state)
                let isEarly = Int.random(in: 0..<4, using: &state.random) == 0
                let most = isEarly ? 60 : state.usualMutations * 5 / 4
                return (kind, Int.random(in: 1...max(1, most), using: &state.random))
            }
            let isChecked = state.withLock { $0.stop != nil && Bool.random(using: &$0.random) }
            if isChecked {
                guard attempt(round, { try check(withNetwork: false, deep: false) }) != nil else {
                    return false
                }
            }
            let before = owner.mutations
            owner.crash(after: count, kind)
            guard let end = attempt(round, { try live(round, kind) }) else { return false }
            note(end, mutations: owner.mutations - before)
            if end != .crashedOpening || number == Self.crashesInARowMax - 1 { return true }
        }
        return true
    }

    private func chooseKind(_ state: inout State) -> CrashKind {
        switch plan.crashes {
        case .kill: .kill
        case .power: .powerCut
        case .both: Bool.random(using: &state.random) ? .kill : .powerCut
        }
    }

    private func note(_ end: End, mutations: Int) {
        let kind = owner.lastCrash ?? .kill
        let after = owner.lastStep.map { " after \($0.rawValue)" } ?? ""
        state.withLock { $0.model }?.note("--- \(kind.rawValue)\(after)")
        state.withLock { state in
            state.report.rounds += 1
            if kind == .kill { state.report.kills += 1 } else { state.report.powerCuts += 1 }
            if end == .crashedOpening { state.report.crashesWhileOpening += 1 }
            if end == .crashed { state.usualMutations = max(500, mutations) }
            if let step = owner.lastStep { state.report.lastSteps[step, default: 0] += 1 }
            if state.stop != .powerCut { state.stop = kind == .kill ? .kill : .powerCut }
        }
        owner.cancelCrash()
        owner.boot()
    }

    private func attempt<Value>(_ round: Int, _ body: () throws -> Value) -> Value? {
        do {
            return try body()
        } catch {
            var failure = error as? TrialFailure ?? TrialFailure("\(error)")
            failure.round = round
            state.withLock { $0.report.failure = failure }
            return nil
        }
    }

    // MARK: The end

    /// Heals what can be healed; then all must drain, be read back, and nothing be left over, also
    /// when the cache is gone and so many providers as the code bears.
    private func end() throws {
        owner.cancelCrash()
        try lastLife { finale in
            try finale.drain()
            try finale.settle()
            try finale.readBack("after all is placed")
            try finale.drain()
        }
        try check(withNetwork: true, deep: true)
        // The second time from what the recovered volume has brought to the network.
        for _ in 0..<2 where scene.checkpointInterval != nil { try moveElsewhere() }
        network.destroy(scene.code.m)
        let losesCache = state.withLock { Bool.random(using: &$0.random) }
        try lastLife(losesCache: losesCache) { [scene] finale in
            try finale.dropCache()
            try finale.readBack("without the cache and \(scene.code.m) providers")
        }
        try check(withNetwork: false, deep: true)
    }

    /// Loses the machine: what comes back from the network must be what was there.
    private func moveElsewhere() throws {
        try world.run(on: owner) { [self] in
            try network.start()
            network.calmDown()
            defer { network.stop() }
            try Directory.remove(tree: Self.directory)
            try Elsewhere(
                configuration: configuration,
                owner: scene.owner,
                network: network,
                logger: Self.logger
            ).recover()
        }
        owner.boot()
        try lastLife { finale in
            try finale.readBack("recovered from the network")
            try finale.drain()
            try finale.settle()
        }
        try check(withNetwork: true, deep: true)
    }

    /// Only what cannot go on.
    private static var logger: Logger {
        var logger = Logger(label: "trial")
        logger.logLevel = .critical
        return logger
    }

    private func lastLife(
        losesCache: Bool = false,
        _ body: @escaping @Sendable (Finale) throws -> Void
    ) throws {
        try world.run(on: owner) { [self] in
            try network.start()
            network.calmDown()
            defer { network.stop() }
            if losesCache { try Directory.remove(tree: configuration.cacheDirectory) }
            let life = Life(steps: 0) { [owner] in owner.isDown }
            life.isCalm = true
            guard let engine = try open(life) else {
                throw TrialFailure("the machine went down by itself")
            }
            do {
                guard let model = try judge(engine, life) else {
                    throw TrialFailure("the machine went down by itself")
                }
                try body(Finale(engine: engine, model: model, network: network, life: life))
            } catch {
                _ = try? engine.shutdown(drainSeconds: 0)
                throw error
            }
            try engine.shutdown(drainSeconds: 0)
        }
        state.withLock { $0.stop = .close }
        owner.boot()
    }

    /// The volume's own check must find nothing.
    private func check(withNetwork: Bool, deep: Bool) throws {
        let report = try world.run(on: owner) { [self] in
            try network.start()
            network.calmDown()
            defer { network.stop() }
            return try VolumeCheck.run(
                configuration,
                network: withNetwork ? network : nil,
                deep: deep
            )
        }
        owner.boot()
        // Frail providers lose shards, and nobody repairs here.
        let allowed: Set<CheckFinding.Kind> = [.shardMissing, .wrongShard]
        let findings = report.findings.filter { !withNetwork || !allowed.contains($0.kind) }
        guard let first = findings.first else { return }
        throw TrialFailure("the check has \(findings.count) findings: \(first)")
    }

    // MARK: One life

    private func live(_ round: Int, _ kind: CrashKind) throws -> End {
        try world.run(on: owner) { [self] in
            try network.start()
            network.calmDown()
            defer { network.stop() }
            let life = Life(steps: plan.steps) { [owner] in owner.isDown }
            life.isCalm = true
            guard let engine = try open(life) else { return .crashedOpening }
            defer { _ = try? engine.shutdown(drainSeconds: 0) }
            guard let model = try judge(engine, life) else { return .crashedOpening }
            try use(engine, model, life, round)
            if !owner.isDown {
                // The crash that was planned comes later than the last operation.
                kind == .kill ? owner.kill() : owner.cutPower()
            }
            return .crashed
        }
    }

    private func open(_ life: Life) throws -> VolumeEngine? {
        do {
            try Directory.make(Self.directory + "/metadata")
            return try VolumeEngine(configuration, network: network, logger: Self.logger)
        } catch {
            if life.isDown { return nil }
            throw TrialFailure("the volume cannot be opened: \(error)")
        }
    }

    /// Judges what the last life has left; `nil` if the machine went down meanwhile.
    private func judge(_ engine: VolumeEngine, _ life: Life) throws -> Model? {
        let (model, stop) = state.withLock { ($0.model, $0.stop) }
        guard let model, let stop else {
            let root = try engine.attributes(of: .root)
            let model = Model(root: root)
            state.withLock { state in
                state.model = model
                state.stop = nil
            }
            return model
        }
        let judge = Judge(model: model, engine: engine, life: life, stop: stop)
        guard let bytes = try judge.judge() else { return nil }
        model.note("--- judged; goes on at \(model.state.withLock { $0.tick })")
        state.withLock { state in
            state.report.bytesJudged += bytes
            state.stop = nil
        }
        return model
    }

    /// Lets clients and the weather loose until the machine goes down or all is done.
    private func use(
        _ engine: VolumeEngine,
        _ model: Model,
        _ life: Life,
        _ round: Int
    ) throws {
        let seed = plan.seed &* 1_000_003 &+ UInt64(round) &* 7919
        network.letLoose()
        life.isCalm = false
        let weather = try Thread.spawn("weather") { [network, world] in
            var random = SeededGenerator(seed: seed ^ 0x3ea_0e4)
            while !life.isOver {
                let event = network.changeWeather()
                world.note("weather", event)
                Clock.sleep(for: .milliseconds(Int.random(in: 50...1500, using: &random)))
            }
        }
        let clones = plan.clones
        let clients = try (0..<scene.clients).map { number in
            try Thread.spawn("client-\(number)") {
                Client(
                    number,
                    engine: engine,
                    model: model,
                    life: life,
                    seed: seed &+ UInt64(number) &* 104_729,
                    clones: clones
                ).run()
            }
        }
        for client in clients { client.join() }
        life.end()
        weather.join()
        state.withLock { $0.report.operations += life.done }
        if let failure = life.failure { throw failure }
    }
}
