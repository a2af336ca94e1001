import Disk
import Network
import Node
import Primitives
import Proofs
import Sealing
import Testing
import Transport

/// Taking tombstones out of orders, as a provider does it.
@Suite struct ProviderCompactionTests {
    /// An order of `count` shards of 1 KiB.
    private func fill(
        _ order: inout ClientOrder,
        _ owner: TestClient,
        count: UInt64
    ) throws -> [TestShard] {
        let shard = try TestShard(1, count: 1024)
        let shards = try (0..<count).map { try TestShard(renaming: shard, to: 1000 + $0) }
        try owner.put(shards)
        try order.amend(adding: shards)
        return shards
    }

    @Test func tombstonesGoAndWhatIsLeftIsProved() throws {
        try withProvider { provider, owner, order in
            let shards = try fill(&order, owner, count: 20)
            try order.amend(removing: Array(shards[2..<14]))
            try owner.delete(Array(shards[2..<14]))
            let before = order.state.commitment
            try order.compact(dropping: 12)
            #expect(order.state.commitment.count == 8)
            #expect(order.state.commitment.totalBytes == before.totalBytes)
            try order.state.verify(terms: order.terms, grants: [])
            #expect(try order.audit(460).verdict == .ok)
            // A shard that was moved is still held, and can still go.
            let refused = #expect(throws: NetworkError.self) { try owner.delete([shards[19]]) }
            #expect(refused?.code == .refused)
            try order.amend(removing: [shards[19]])
            try owner.delete([shards[19]])
            // One that was deleted may come back.
            try owner.put(shards[5])
            try order.amend(adding: [shards[5]])
            #expect(try order.audit(460, epoch: 8).verdict == .ok)
        }
    }

    @Test func compactedOrderOutlivesARestart() throws {
        try withProvider { provider, owner, order in
            let shards = try fill(&order, owner, count: 9)
            try order.amend(removing: [shards[0], shards[4], shards[8]])
            try order.compact(dropping: 2)
            try provider.restart()
            #expect(try order.audit(460).verdict == .ok)
            try order.compact(dropping: 1)
            try order.amend(removing: [shards[7]])
            try provider.restart()
            #expect(try order.audit(460, epoch: 8).verdict == .ok)
            #expect(order.state.commitment.count == 6)
        }
    }

    @Test func repeatedCompactionIsAnsweredAsBefore() throws {
        try withProvider { _, owner, order in
            let shards = try fill(&order, owner, count: 4)
            try order.amend(removing: [shards[1], shards[2]])
            let (query, _) = try order.compaction(dropping: 2)
            let first = try owner.ask(query)
            #expect(try owner.ask(query) == first)
        }
    }

    @Test func staleCompactionIsRefused() throws {
        try withProvider { _, owner, order in
            let shards = try fill(&order, owner, count: 4)
            try order.amend(removing: [shards[1], shards[2]])
            let (stale, _) = try order.compaction(dropping: 2)
            try order.amend(removing: [shards[0]])
            #expect(owner.refusal(stale)?.code == .exists)
            // And an amendment of positions that are no more.
            let (old, _) = try order.amendment(removing: [shards[3]])
            try order.compact(dropping: 3)
            #expect(owner.refusal(old)?.code == .exists)
        }
    }

    @Test func moreThanThereAreOrAnotherCommitmentIsRefused() throws {
        try withProvider { _, owner, order in
            let shards = try fill(&order, owner, count: 6)
            try order.amend(removing: [shards[1], shards[2]])
            let (honest, tree) = try order.compaction(dropping: 2)
            let tooMany = try order.compaction(dropping: 3, leadingTo: tree.commitment)
            #expect(owner.refusal(tooMany)?.code == .malformed)
            let fewer = try order.compaction(dropping: 1, leadingTo: tree.commitment)
            #expect(owner.refusal(fewer)?.code == .malformed)
            let lost = Commitment(root: tree.commitment.root, totalBytes: 1024, count: 4)
            let wrong = try order.compaction(dropping: 2, leadingTo: lost)
            #expect(owner.refusal(wrong)?.code == .malformed)
            // Nothing has changed by it.
            #expect(try order.audit(460).verdict == .ok)
            #expect(try owner.ask(honest).commitment == tree.commitment)
        }
    }

    @Test func whoMayNotAmendMayNotCompact() throws {
        try withProvider { provider, owner, order in
            let shards = try fill(&order, owner, count: 4)
            try order.amend(removing: [shards[1]])
            for (number, rights) in [(51, nil), (52, .audit), (53, .repair)]
                as [(UInt8, Grant.Rights?)]
            {
                let client = try provider.client(number, owner: 50)
                defer { client.close() }
                let grant = try rights.map { try Samples.grant($0, to: number) }
                var theirs = order
                theirs.client = client
                theirs.grant = grant
                let (query, _) = try theirs.compaction(dropping: 1)
                let refusal = client.refusal(query)
                #expect(refusal?.code == (rights == .repair ? nil : .unauthorized))
            }
            try order.followCompactions()
            #expect(order.state.commitment.count == 3)
        }
    }

    @Test func deltaAcrossACompactionTellsOnlyWhatChanged() throws {
        try withProvider { _, owner, order in
            let shards = try fill(&order, owner, count: 200)
            var other = order
            try order.amend(removing: Array(shards[10..<20]))
            try order.compact(dropping: 10)
            // Ten places with what stood last.
            let changes = try other.followCompactions()
            #expect(changes == 10)
            #expect(other.tree.commitment == order.tree.commitment)
            // Only from the end: nothing stands elsewhere.
            try order.amend(removing: [shards[188], shards[189]])
            try order.compact(dropping: 2)
            let none = try other.followCompactions()
            #expect(none == 0)
            #expect(other.state == order.state)
        }
    }

    /// One amends, the other compacts, both as fast as they can.
    @Test func racingAmendmentsAndCompactionsAgree() throws {
        try withProvider { provider, owner, order in
            let shards = try fill(&order, owner, count: 90)
            let start = order
            let failures = Condition<[String]>([])
            let remover = Contender(order: start) { order in
                guard let next = shards.first(where: { order.tree.position(of: $0.id) != nil })
                else { return false }
                try order.amend(removing: [next])
                return true
            }
            let compacter = Contender(order: start) { order in
                if order.tree.tombstoneCount > 0 {
                    try order.compact(dropping: order.tree.tombstoneCount)
                } else {
                    try order.followCompactions()
                }
                return order.tree.count > 0
            }
            let threads = try [remover, compacter].map { contender in
                try Disk.Thread.spawn("contender") {
                    if let failure = contender.run() { failures.update { $0.append(failure) } }
                }
            }
            for thread in threads { thread.join() }
            #expect(failures.withLock { $0 }.isEmpty)
            try order.followCompactions()
            #expect(order.state.commitment == .empty)
        }
    }

    /// Clients that have any older state, and none, come to what the provider has, which is what
    /// a model has; over restarts.
    @Test(arguments: 1...3) func randomHistoriesAreFollowed(seed: UInt64) throws {
        try withProvider { provider, owner, order in
            var generator = SeededGenerator(seed: seed)
            let shard = try TestShard(1, count: 1024)
            let shards = try (0..<60).map { try TestShard(renaming: shard, to: 2000 + $0) }
            try owner.put(shards)
            var live: Set<Int> = []
            var past = [order]
            for step in 0..<40 {
                let adding = (0..<60).filter { !live.contains($0) && generator.next() % 6 == 0 }
                let removing = live.sorted().filter { _ in generator.next() % 4 == 0 }
                if !adding.isEmpty || !removing.isEmpty {
                    try order.amend(
                        adding: adding.map { shards[$0] },
                        removing: removing.map { shards[$0] }
                    )
                    live.formUnion(adding)
                    live.subtract(removing)
                }
                if order.tree.tombstoneCount > 0, generator.next() % 2 == 0 {
                    let drops = 1 + generator.next() % UInt64(order.tree.tombstoneCount)
                    try order.compact(dropping: Int(drops))
                }
                if step % 15 == 14 { try provider.restart() }
                #expect(order.state.commitment.totalBytes == UInt64(live.count) * 1024)
                for old in past {
                    var follower = old
                    try follower.followCompactions()
                    #expect(follower.state == order.state)
                }
                if generator.next() % 4 == 0 { past.append(order) }
            }
            let held = Set((0..<60).filter { order.tree.position(of: shards[$0].id) != nil })
            #expect(held == live)
            #expect(try order.audit(460).verdict == .ok)
        }
    }
}

/// Does something again and again, following whenever someone else was faster.
private final class Contender: @unchecked Sendable {
    // SAFETY: made on one thread and run on one other, never at the same time.
    private var order: ClientOrder
    private let act: (inout ClientOrder) throws -> Bool

    init(order: ClientOrder, act: @escaping (inout ClientOrder) throws -> Bool) {
        self.order = order
        self.act = act
    }

    /// Why it failed, or `nil`.
    func run() -> String? {
        while true {
            do {
                do {
                    guard try act(&order) else { return nil }
                } catch let error as NetworkError {
                    guard error.code == .exists else { throw error }
                    try order.followCompactions()
                }
            } catch {
                return "\(error)"
            }
        }
    }
}
