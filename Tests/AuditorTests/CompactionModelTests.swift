import Auditor
import Network
import Primitives
import Proofs
import Sealing
import Testing
import Transport

/// Random lives of a volume with many deletes, compacted all the time: by its owner and a keeper in
/// turn, over crashes, lost books, lost answers and providers that are away.
@Suite struct CompactionModelTests {
    private static let shardBytes = 1024
    private static let steps = 70

    /// Who looks after the volume now, and what may still be queued or unheard of.
    private struct World {
        var owner: Fixture
        var keeper: Fixture
        var isOwnerAway = false
        var random: SeededGenerator
        var number: UInt64 = 1000

        var current: Fixture { isOwnerAway ? keeper : owner }

        mutating func pick(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }

        mutating func chance(_ odds: UInt64) -> Bool { random.next() % odds == 0 }
    }

    @Test(arguments: 1...16) func ordersHoldWhatTheModelHas(seed: UInt64) throws {
        try Fixture.changing(providers: 7) { configuration in
            configuration.tombstonesMin = 2
            configuration.tombstonesPerStep = 1 + Int(seed % 4)
            configuration.leavesWhenDoubtful = 8
            configuration.suspicionGrace = .seconds(3600)
        } _: { fixture in
            let keeper = try Fixture(keeperOf: fixture)
            var world = World(
                owner: fixture,
                keeper: keeper,
                random: SeededGenerator(seed: seed)
            )
            defer {
                fixture.use(world.owner)
                world.keeper.removeFile()
            }
            for step in 0..<Self.steps {
                let what = try act(in: &world)
                try check(world, "seed \(seed), step \(step): \(what)")
            }
            try settle(&world)
            try check(world, "seed \(seed), at the end")
            try expectCompact(world, seed)
        }
    }

    // MARK: Acting

    private func act(in world: inout World) throws -> String {
        switch world.pick(14) {
        case 0...3 where !world.isOwnerAway: return try place(in: &world)
        case 4...6 where !world.isOwnerAway: return try delete(in: &world)
        case 7:
            // Some answers to amendments and compactions are lost.
            let id = world.owner.network.ids[world.pick(7)]
            _ = world.owner.network.change(id) { $0.answersLost = 1 }
            return "an answer will be lost"
        case 8:
            let id = world.owner.network.ids[world.pick(7)]
            _ = world.owner.network.change(id) { $0.isUp = false }
            world.current.run(10)
            _ = world.owner.network.change(id) { $0.isUp = true }
            return "a provider was away"
        case 9:
            if world.isOwnerAway { try world.keeper.restart() } else { try world.owner.restart() }
            return "a crash"
        case 10:
            let isLost = world.chance(2)
            if isLost { try world.owner.restart(losingBook: true) }
            return isLost ? "the owner's book is lost" : "nothing"
        case 11:
            try settle(&world)
            world.isOwnerAway.toggle()
            return world.isOwnerAway ? "the keeper takes over" : "the owner is back"
        default:
            world.current.run(Int64(world.pick(1200)), step: 7)
            return "time passes"
        }
    }

    private func place(in world: inout World) throws -> String {
        let ids = world.owner.network.ids
        let count = 1 + world.pick(4)
        for _ in 0..<count {
            let first = world.pick(ids.count)
            let holders = (0..<world.owner.code.n).map { ids[(first + $0) % ids.count] }
            world.number += 1
            try world.owner.place(world.number, on: holders, shardBytes: Self.shardBytes)
        }
        if world.chance(2) { world.owner.book.flush() }
        return "\(count) stripes placed"
    }

    private func delete(in world: inout World) throws -> String {
        let odds = UInt64(1 + world.pick(3))
        var gone: [StripeManifest] = []
        for stripe in world.owner.stripes.all where world.chance(odds) { gone.append(stripe) }
        do {
            try world.owner.delete(gone)
        } catch let error as NetworkError {
            // As the volume does: it asks again until the shards are gone.
            guard error.isTransient else { throw error }
            for _ in 0..<3 where (try? world.owner.delete(gone)) != nil { break }
        }
        return "\(gone.count) stripes deleted"
    }

    /// Nothing is queued or waited for any more.
    private func settle(_ world: inout World) throws {
        for id in world.owner.network.ids {
            _ = world.owner.network.change(id) { $0.answersLost = 0 }
        }
        // Of an order without shards a lost book learns when it is wanted again.
        for id in world.owner.network.ids { try world.current.book.ensureOrder(with: id) }
        // A failed compaction is tried again after five minutes.
        world.current.run(700, step: 5)
    }

    // MARK: Checking

    private func check(_ world: World, _ what: String) throws {
        #expect(world.owner.isWhole(), "\(what): a shard is gone")
        let (held, shards) = world.owner.network.read { world in
            (
                world.providers.mapValues { provider in
                    provider.orders.values.flatMap { order in
                        (0..<order.tree.count).map { order.tree[$0] }.filter { !$0.isTombstone }
                            .map(\.shard)
                    }
                },
                world.providers.mapValues { Set($0.shards.keys) }
            )
        }
        for (provider, held) in held {
            #expect(Set(held).count == held.count, "\(what): a shard is under order twice")
            #expect(
                shards[provider]?.isSuperset(of: held) == true,
                "\(what): a shard under order was deleted"
            )
        }
        let missing = world.current.custodian.status.shardsMissing
        #expect(missing == 0, "\(what): \(missing) shards count as missing")
    }

    private func expectCompact(_ world: World, _ seed: UInt64) throws {
        #expect(world.current.isExactlyUnderOrder(), "seed \(seed)")
        for id in world.owner.network.ids {
            let (tombstones, live) =
                world.owner.network.change(id) { provider in
                    let trees = provider.orders.values.map(\.tree)
                    let tombstones = trees.map(\.tombstoneCount).reduce(0, +)
                    return (tombstones, trees.map(\.count).reduce(0, +) - tombstones)
                } ?? (0, 0)
            #expect(tombstones < max(2, live), "seed \(seed): \(tombstones) beside \(live)")
        }
        let results = try world.current.custodian.auditNow()
        #expect(results.allSatisfy { $0.verdict == .ok }, "seed \(seed)")
        for fixture in [world.owner, world.keeper] {
            for order in try fixture.book.orders() {
                let file = try fixture.book.receiptFile(order: order.id)
                let summary = try file.verify(trusting: [fixture.network.keeper.publicKey])
                let accusations = summary.verdictCounts.filter { $0.key.isAccusation }
                #expect(accusations.isEmpty, "seed \(seed): \(accusations)")
            }
        }
    }
}
