import Glibc
import Primitives
package import Proofs
import Sealing

/// A provider that quietly dropped a part of what it signed for, and how soon audits find it out.
///
/// Orders, challenges, proofs and their checks are the real ones; only the disk is synthetic. What
/// it dropped the provider sometimes admits and sometimes makes up, with the right path above it.
package struct DetectionSimulation: Sendable {
    /// What is dropped.
    package enum Pattern: String, CaseIterable, Sendable {
        /// Single leaves, here and there.
        case leaves
        /// Whole shards.
        case shards
    }

    /// What came of many runs.
    package struct Report: Hashable, Sendable {
        package var runs = 0
        /// caughtIn[e]: runs in which the provider was accused in epoch e, from 0.
        package var caughtIn: [Int]

        package init(epochs: Int) { caughtIn = [Int](repeating: 0, count: epochs) }

        /// Runs in which it was accused within `epochs`.
        package func caught(within epochs: Int) -> Int { caughtIn.prefix(epochs).reduce(0, +) }

        package mutating func add(_ other: Report) {
            runs += other.runs
            for epoch in caughtIn.indices where epoch < other.caughtIn.count {
                caughtIn[epoch] += other.caughtIn[epoch]
            }
        }
    }

    package let leavesAsked: UInt32
    package let epochs: Int
    private let shards: [SyntheticShard]
    private let tree: OrderTree
    private let leavesPerShard: Int

    /// An order of `shardCount` shards of `leavesPerShard` KiB, audited for `epochs`.
    package init(
        shardCount: Int = 300,
        leavesPerShard: Int = 64,
        leavesAsked: UInt32 = Challenge.leavesUsual,
        epochs: Int = 24
    ) throws(OrderError) {
        shards = (0..<shardCount).map { number in
            SyntheticShard(number: UInt64(number), leafCount: leavesPerShard)
        }
        tree = try OrderTree(entries: shards.map(\.entry))
        self.leavesPerShard = leavesPerShard
        self.leavesAsked = leavesAsked
        self.epochs = epochs
    }

    /// The probability of being caught that follows from the share dropped, every draw by itself.
    package func expected(dropping share: Double, within epochs: Int) -> Double {
        1 - pow(1 - share, Double(epochs) * Double(leavesAsked))
    }

    /// One run for each of `seeds`, with keys, beacon and dropped places of its own.
    package func run(
        seeds: Range<UInt64>,
        dropping share: Double,
        pattern: Pattern
    ) throws -> Report {
        var report = Report(epochs: epochs)
        for seed in seeds {
            report.runs += 1
            if let epoch = try run(seed: seed, dropping: share, pattern: pattern) {
                report.caughtIn[epoch] += 1
            }
        }
        return report
    }

    /// The epoch in which the provider is accused, from 0.
    private func run(seed: UInt64, dropping share: Double, pattern: Pattern) throws -> Int? {
        var world = try AuditedWorld(seed: seed)
        let dropped = dropped(share, pattern, using: &world.generator)
        let order = world.terms(generation: 0).id
        for epoch in 0..<epochs {
            try world.nextEpoch()
            let challenge = world.challenge(
                order,
                sequence: 1,
                tree.commitment,
                leaves: leavesAsked
            )
            let admits = world.generator.chance(0.5)
            let proof = try Prover.prove(
                challenge,
                over: tree,
                damaged: [],
                signedBy: world.provider
            ) { entry, leaves in
                let position = tree.position(of: entry.shard) ?? 0
                return leaves.map { leaf in
                    let answer = shards[position].answer(for: leaf)
                    guard dropped[position * leavesPerShard + leaf] else { return answer }
                    return admits ? .missing : Self.madeUp(answer)
                }
            }
            if Verifier.verify(proof, of: challenge).verdict.isAccusation { return epoch }
        }
        return nil
    }

    /// The answer of one that kept the tree and not the bytes.
    private static func madeUp(_ answer: LeafAnswer) -> LeafAnswer {
        guard case .leaf(_, let path) = answer else { return answer }
        return .leaf(bytes: [UInt8](repeating: 0, count: Geometry.leafBytes), path: path)
    }

    /// Which leaves are dropped: exactly the share, rounded up.
    private func dropped(
        _ share: Double,
        _ pattern: Pattern,
        using generator: inout SeededGenerator
    ) -> [Bool] {
        let units = pattern == .leaves ? shards.count * leavesPerShard : shards.count
        let size = pattern == .leaves ? 1 : leavesPerShard
        var order = Array(0..<units)
        var dropped = [Bool](repeating: false, count: units * size)
        // Shares as 0.01 are a little more than they say, as a Double.
        for index in 0..<min(units, Int((share * Double(units) - 1e-9).rounded(.up))) {
            order.swapAt(index, index + generator.index(units - index))
            let first = order[index] * size
            for leaf in first..<first + size { dropped[leaf] = true }
        }
        return dropped
    }
}
