import Primitives
package import Proofs
import Reliability
import Sealing

/// Honest providers in a rough world: they must never be accused.
///
/// Their orders are amended between epochs, sometimes without the auditor's knowing; they restart
/// and make their trees again, answer late, are offline for hours or days, and their keeper misses
/// epochs. Proofs and signatures are the real ones; shards have 1 to 64 leaves.
package struct HonestSimulation {
    /// What was seen.
    package struct Report: Hashable, Sendable {
        package var epochs = 0
        package var verdicts = [Int](repeating: 0, count: Verdict.allCases.count)
        package var leaves = 0
        package var amendments = 0
        package var staleChallenges = 0
        package var restarts = 0
        package var renewals = 0
        /// The reasons of accusations: none if all is well.
        package var accusations: [String] = []
        /// The lowest score while the provider was up, after its first week.
        package var lowestValue = 1.0

        package init() {}

        package subscript(verdict: Verdict) -> Int { verdicts[Int(verdict.rawValue) - 1] }

        mutating func count(_ verdict: Verdict) { verdicts[Int(verdict.rawValue) - 1] += 1 }

        package mutating func add(_ other: Report) {
            epochs += other.epochs
            for index in verdicts.indices { verdicts[index] += other.verdicts[index] }
            leaves += other.leaves
            amendments += other.amendments
            staleChallenges += other.staleChallenges
            restarts += other.restarts
            renewals += other.renewals
            accusations += other.accusations
            lowestValue = min(lowestValue, other.lowestValue)
        }
    }

    /// Shards an order holds at once here, so that a proof is quick.
    private static let shardsMax = 12
    /// Entries after which an order is renewed without its tombstones.
    private static let entriesMax = 100
    private static let leavesAsked = Challenge.leavesUsual

    private var world: AuditedWorld
    private var terms: OrderTerms
    private var shards: [ShardID: SyntheticShard] = [:]
    private var tree = OrderTree()
    /// The provider's newest state, and the one that the auditor knows.
    private var held: OrderState
    private var known: OrderState
    private var history: ProviderHistory
    private var nextShard: UInt64
    private var offlineEpochs: UInt64 = 0
    private var report = Report()

    private init(seed: UInt64) throws {
        world = try AuditedWorld(seed: seed)
        terms = world.terms(generation: 0)
        held = try Self.sign(terms, 0, .empty, in: world)
        known = held
        history = ProviderHistory(firstSeen: world.time)
        nextShard = seed &* 1_000_003
    }

    /// One provider's life of `epochs`, the same for the same seed.
    package static func run(seed: UInt64, epochs: Int) throws -> Report {
        var simulation = try HonestSimulation(seed: seed)
        for _ in 0..<epochs { try simulation.epoch() }
        return simulation.report
    }

    private mutating func epoch() throws {
        // One epoch in a hundred the keeper is off for some.
        try world.nextEpoch(
            skipping: world.generator.chance(0.01) ? UInt64(world.generator.index(20)) : 0
        )
        report.epochs += 1
        if offlineEpochs == 0, world.generator.chance(0.01) {
            offlineEpochs = UInt64(world.generator.index(world.generator.chance(0.1) ? 100 : 10))
        }
        guard offlineEpochs == 0 else {
            offlineEpochs -= 1
            conclude(.unreachable, leaves: 0)
            return
        }
        if world.generator.chance(0.2) { try amend() }
        if world.generator.chance(0.05) { try restart() }
        try audit()
    }

    private mutating func audit() throws {
        if known.order != held.order || known.sequence != held.sequence {
            // The provider shows its newer state; what both have signed the auditor takes.
            report.staleChallenges += 1
            try held.verify(terms: terms, grants: [])
            known = held
        }
        let challenge = world.challenge(
            known.order,
            sequence: known.sequence,
            known.commitment,
            leaves: Self.leavesAsked
        )
        let proof = try Prover.prove(
            challenge,
            over: tree,
            damaged: [],
            signedBy: world.provider
        ) { entry, leaves in
            guard let shard = shards[entry.shard] else { return leaves.map { _ in .missing } }
            return leaves.map(shard.answer)
        }
        let outcome = Verifier.verify(proof, of: challenge)
        if outcome.verdict.isAccusation { report.accusations.append(outcome.reason) }
        // One answer in fifty comes after the soft deadline of ten seconds.
        let isSlow = outcome.verdict == .ok && world.generator.chance(0.02)
        conclude(isSlow ? .slow : outcome.verdict, leaves: outcome.provedLeaves)
    }

    private mutating func conclude(_ verdict: Verdict, leaves: Int) {
        report.count(verdict)
        report.leaves += leaves
        history.note(verdict, leaves: leaves, at: world.time)
        guard verdict.isProof, report.epochs > 7 * 24, report.epochs.isMultiple(of: 16) else {
            return
        }
        let score = Score(of: history, at: world.time, explained: false)
        report.lowestValue = min(report.lowestValue, score.value)
    }

    /// Adds and removes shards; both sides sign, and one time in three the auditor is not told.
    private mutating func amend() throws {
        report.amendments += 1
        if tree.count > Self.entriesMax { try renew() }
        var added: [SyntheticShard] = []
        for _ in 0..<world.generator.index(4) where shards.count + added.count < Self.shardsMax {
            nextShard += 1
            // Mostly small: the shape of the tree is what matters.
            let leaves = 1 + world.generator.index(1 + world.generator.index(64))
            added.append(SyntheticShard(number: nextShard, leafCount: leaves))
        }
        let removed = shards.keys.sorted().filter { _ in world.generator.chance(0.2) }
        let changes = tree.changes(adding: added.map(\.entry), removing: removed)
        try tree.apply(changes)
        for shard in removed { shards[shard] = nil }
        for shard in added { shards[shard.entry.shard] = shard }
        held = try Self.sign(terms, held.sequence + 1, tree.commitment, in: world)
        if !world.generator.chance(1.0 / 3) { known = held }
    }

    /// A new order takes over what is left of the old one.
    private mutating func renew() throws {
        report.renewals += 1
        let live = (0..<tree.count).map { tree[$0] }.filter { !$0.isTombstone }
        terms = world.terms(generation: terms.generation + 1)
        tree = try OrderTree(entries: live)
        held = try Self.sign(terms, 1, tree.commitment, in: world)
    }

    /// The provider reads its order from the disk and makes the tree again.
    private mutating func restart() throws {
        report.restarts += 1
        tree = try OrderTree(entries: (0..<tree.count).map { tree[$0] })
        guard tree.commitment == held.commitment else {
            report.accusations.append("another commitment after a restart")
            return
        }
    }

    private static func sign(
        _ terms: OrderTerms,
        _ sequence: UInt64,
        _ commitment: Commitment,
        in world: AuditedWorld
    ) throws -> OrderState {
        let proposal = try OrderProposal(
            order: terms.id,
            sequence: sequence,
            commitment: commitment,
            at: world.time,
            signedBy: world.owner
        )
        return try OrderState(accepting: proposal, signedBy: world.provider)
    }
}
