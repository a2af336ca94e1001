import Disk
import Network
import Node
import Primitives
import Proofs
import Sealing
import Testing
import Transport

@Suite struct ProviderOrderTests {
    @Test func orderIsOpenedAmendedAndRead() throws {
        try withProvider { provider, owner, order in
            let shards = try (0..<3).map { try TestShard(UInt64($0)) }
            for shard in shards { try owner.put(shard) }
            try order.amend(adding: shards)
            try order.state.verify(terms: order.terms, grants: [])
            #expect(order.state.sequence == 1)
            #expect(order.state.commitment.totalBytes == 3 * 8192)
            try order.amend(removing: [shards[1]])
            #expect(order.state.commitment.totalBytes == 2 * 8192)
            #expect(order.state.commitment.count == 3)
            let heads = try owner.ask(
                OrderHead(volume: order.terms.volume, owner: owner.id)
            )
            #expect(heads.orders.map(\.state) == [order.state])
            #expect(heads.orders.map(\.terms) == [order.terms])
            #expect(try owner.status().orderCount == 1)
        }
    }

    @Test func whatIsInNoOrderIsToldToItsOwner() throws {
        try withProvider { provider, owner, order in
            let shards = try (0..<4).map { try TestShard(UInt64($0)) }
            for shard in shards { try owner.put(shard) }
            try order.amend(adding: [shards[0]])
            // One of another volume of the same owner counts too.
            var second = try ClientOrder(owner, at: provider, volume: 6)
            try second.amend(adding: [shards[1]])
            let loose = [shards[2], shards[3]].map(OrderEntry.init)
                .sorted { $0.shard < $1.shard }
            #expect(try owner.ask(ListLoose()) == LooseShards(shards: loose, next: nil))
            #expect(try owner.ask(ListLoose(after: loose[0].shard)).shards == [loose[1]])
            try order.amend(adding: [shards[2]])
            try owner.delete([shards[3]])
            #expect(try owner.ask(ListLoose()).shards.isEmpty)
            // Nobody is told of another's.
            let stranger = try provider.client(9)
            defer { stranger.close() }
            try owner.put(try TestShard(7))
            #expect(try stranger.ask(ListLoose()).shards.isEmpty)
        }
    }

    @Test func openingAgainAnswersTheStateThatIs() throws {
        try withProvider { provider, owner, order in
            let shard = try TestShard(1)
            try owner.put(shard)
            try order.amend(adding: [shard])
            let again = try ClientOrder(owner, at: provider)
            #expect(again.state == order.state)
            // Other terms of the same generation are the same order.
            let terms = OrderTerms(
                volume: order.terms.volume,
                ownerKey: order.terms.ownerKey,
                provider: provider.id,
                generation: 0,
                opened: .epoch
            )
            let state = try owner.ask(
                OpenOrder(terms: terms, proposal: try ClientOrder.opening(terms, owner.key))
            )
            #expect(state == order.state)
            #expect(try owner.status().orderCount == 1)
            let next = try ClientOrder(owner, at: provider, generation: 1)
            #expect(next.state.sequence == 0)
            #expect(next.id != order.id)
        }
    }

    @Test func repeatedAmendmentIsAnsweredAsBefore() throws {
        try withProvider { _, owner, order in
            let shard = try TestShard(1)
            try owner.put(shard)
            let (query, _) = try order.amendment(adding: [shard])
            let first = try owner.ask(query)
            #expect(try owner.ask(query) == first)
        }
    }

    @Test func staleAmendmentIsRefusedAndFollows() throws {
        try withProvider { provider, owner, order in
            let shards = try (0..<4).map { try TestShard(UInt64($0)) }
            for shard in shards { try owner.put(shard) }
            var other = order
            try order.amend(adding: [shards[0], shards[1]])
            try order.amend(removing: [shards[0]])
            try order.amend(adding: [shards[2], shards[0]])
            let (stale, _) = try other.amendment(adding: [shards[3]])
            let refusal = owner.refusal(stale)
            #expect(refusal?.code == .exists)
            #expect(refusal?.message.contains("is at sequence 3, not 0") == true)
            // What came and went is told as both.
            try other.follow()
            #expect(other.state == order.state)
            try other.amend(adding: [shards[3]])
            try order.follow()
            #expect(order.state == other.state)
            try order.follow()
        }
    }

    /// Two clients amend as fast as they can; each sequence is signed once, and both end up with
    /// one tree that holds all.
    @Test func racingClientsAgree() throws {
        try withProvider { provider, owner, order in
            let shards = try (0..<60).map { try TestShard(UInt64($0), count: 1024) }
            for shard in shards { try owner.put(shard) }
            let start = order
            let finished = Condition<[TestOutcome]>([])
            let threads = try (0..<2).map { half in
                let mine = shards.enumerated().filter { $0.offset % 2 == half }.map(\.element)
                let racer = Racer(order: start, shards: mine)
                return try Disk.Thread.spawn("racer") {
                    let outcome = racer.run()
                    finished.update { $0.append(outcome) }
                }
            }
            for thread in threads { thread.join() }
            let outcomes = finished.withLock { $0 }
            #expect(outcomes.compactMap(\.failure).isEmpty)
            let states = outcomes.flatMap(\.states)
            #expect(Set(states.map(\.sequence)) == Set(1...60))
            #expect(states.count == 60)
            try order.follow()
            #expect(order.state.sequence == 60)
            #expect(shards.allSatisfy { order.tree.position(of: $0.id) != nil })
        }
    }

    @Test func acknowledgedAmendmentsOutliveACrash() throws {
        try withProvider { provider, owner, order in
            let shards = try (0..<5).map { try TestShard(UInt64($0)) }
            for shard in shards { try owner.put(shard) }
            try order.amend(adding: shards)
            try order.amend(removing: [shards[3]])
            try order.compact(dropping: 1)
            // As the disk is while the provider runs: what a crash leaves.
            let copy = provider.path + "-crashed"
            try copyTree(provider.path, copy)
            let crashed = try TestProvider(copy, scrubBytesPerSecond: 1)
            defer { crashed.stop() }
            #expect(crashed.id == provider.id)
            let client = try crashed.client(50)
            defer { client.close() }
            var again = try ClientOrder(client, at: crashed)
            #expect(again.state == order.state)
            // Has nothing yet, and is told everything.
            again.state = try OrderState(
                accepting: try ClientOrder.opening(again.terms, client.key),
                signedBy: client.key
            )
            try again.follow()
            #expect(again.tree.commitment == order.tree.commitment)
            #expect(try again.audit(460).verdict == .ok)
            try again.amend(removing: [shards[4]])
            #expect(again.state.sequence == 4)
        }
    }

    @Test func shardThatIsNotHereIsNotSigned() throws {
        try withProvider { _, owner, order in
            let here = try TestShard(1)
            let absent = try TestShard(2)
            try owner.put(here)
            let (query, _) = try order.amendment(adding: [here, absent])
            let refusal = owner.refusal(query)
            #expect(refusal?.code == .notFound)
            #expect(refusal?.message.contains("put it first") == true)
            // All or nothing.
            try order.amend(adding: [here])
            #expect(order.state.commitment.count == 1)
        }
    }

    @Test(arguments: [false, true])
    func shardWithAnotherRootOrLengthIsNotSigned(isLength: Bool) throws {
        try withProvider { _, owner, order in
            let shard = try TestShard(1)
            try owner.put(shard)
            let entry = OrderEntry(
                shard: shard.id,
                bytes: isLength ? 4096 : 8192,
                root: isLength ? shard.root : try Samples.digest(3)
            )
            let changes = [OrderChange(position: 0, entry: entry)]
            var tree = order.tree
            try tree.apply(changes)
            let query = try order.amendment(changes, leadingTo: tree.commitment)
            #expect(owner.refusal(query)?.code == .malformed)
        }
    }

    @Test func shardOfAnotherOwnerIsNotSigned() throws {
        try withProvider { provider, owner, order in
            let other = try provider.client(51)
            defer { other.close() }
            _ = try ClientOrder(other, at: provider, volume: 6, owner: 51)
            let shard = try TestShard(1)
            try other.put(shard)
            let (query, _) = try order.amendment(adding: [shard])
            #expect(owner.refusal(query)?.code == .unauthorized)
        }
    }

    @Test func changesThatCannotBeAreRefused() throws {
        try withProvider { _, owner, order in
            let shard = try TestShard(1)
            try owner.put(shard)
            try order.amend(adding: [shard])
            let impossible: [[OrderChange]] = [
                [OrderChange(position: 0, entry: .tombstone(try Samples.shard(3)))],
                [OrderChange(position: 0, entry: OrderEntry(shard))],
                [OrderChange(position: 1, entry: OrderEntry(shard))],
                [OrderChange(position: 1, entry: .tombstone(shard.id))],
                [OrderChange(position: 5, entry: OrderEntry(shard))],
                [
                    OrderChange(position: 0, entry: .tombstone(shard.id)),
                    OrderChange(position: 0, entry: .tombstone(shard.id)),
                ],
            ]
            for changes in impossible {
                let query = try order.amendment(changes, leadingTo: order.tree.commitment)
                #expect(owner.refusal(query)?.code == .malformed, "\(changes)")
            }
            #expect(try order.audit().verdict == .ok)
        }
    }

    @Test func wrongCommitmentIsRefused() throws {
        try withProvider { _, owner, order in
            let shards = [try TestShard(1), try TestShard(2)]
            for shard in shards { try owner.put(shard) }
            try order.amend(adding: [shards[0]])
            let (right, _) = try order.amendment(adding: [shards[1]])
            let wrong = try order.amendment(right.changes, leadingTo: order.tree.commitment)
            let refusal = owner.refusal(wrong)
            #expect(refusal?.code == .malformed)
            #expect(refusal?.message.contains("the changes lead to root") == true)
            try order.amend(adding: [shards[1]])
            #expect(try order.audit().verdict == .ok)
        }
    }

    @Test func proposalOfAnotherKeyIsRefused() throws {
        try withProvider { provider, owner, order in
            let shard = try TestShard(1)
            try owner.put(shard)
            let (query, _) = try order.amendment(adding: [shard])
            let stranger = try provider.client(51)
            defer { stranger.close() }
            #expect(stranger.refusal(query)?.code == .unauthorized)
            let forged = AmendOrder(
                order: order.id,
                baseSequence: 0,
                changes: query.changes,
                proposal: try OrderProposal(
                    order: order.id,
                    sequence: 1,
                    commitment: query.proposal.commitment,
                    at: Samples.time,
                    signedBy: stranger.key
                )
            )
            #expect(stranger.refusal(forged)?.code == .unauthorized)
            #expect(owner.refusal(forged)?.code == .unauthorized)
        }
    }

    @Test func orderOfAnotherProviderIsNotOpened() throws {
        try withProvider { _, owner, order in
            let terms = OrderTerms(
                volume: order.terms.volume,
                ownerKey: order.terms.ownerKey,
                provider: try Samples.key(99).publicKey.nodeID,
                generation: 0,
                opened: Samples.time
            )
            let query = OpenOrder(
                terms: terms,
                proposal: try ClientOrder.opening(terms, owner.key)
            )
            #expect(owner.refusal(query)?.code == .malformed)
        }
    }

    @Test func unknownOrderIsNamed() throws {
        try withProvider { _, owner, order in
            let id = try #require(OrderID(bytes: [UInt8](repeating: 3, count: 16)))
            let refusal = owner.refusal(FetchOrder(order: id, sinceSequence: 0))
            #expect(refusal?.code == .notFound)
            #expect(refusal?.message.contains(id.short) == true)
        }
    }

    @Test func shardUnderAnOrderIsNotDeleted() throws {
        try withProvider { _, owner, order in
            let shard = try TestShard(1)
            try owner.put(shard)
            try order.amend(adding: [shard])
            let error = #expect(throws: NetworkError.self) { try owner.delete([shard]) }
            #expect(error?.code == .refused)
            #expect(error?.message.contains("take it out of the order") == true)
            #expect(try owner.get(shard) == shard.bytes)
            try order.amend(removing: [shard])
            try owner.delete([shard])
            let gone = #expect(throws: NetworkError.self) { try owner.get(shard) }
            #expect(gone?.code == .notFound)
        }
    }

    /// Else an owner could have a provider sign for what it is about to remove, and accuse it.
    @Test func shardIsNeverBothSignedForAndDeleted() throws {
        try withProvider { _, owner, order in
            var signed = 0
            for seed in 0..<40 as Range<UInt64> {
                let shard = try TestShard(seed, count: 1024)
                try owner.put(shard)
                let (query, tree) = try order.amendment(adding: [shard])
                var deletion: Pending<Void>?
                if seed % 2 == 0 { deletion = owner.startDelete([shard]) }
                let amendment = owner.start(query)
                deletion = deletion ?? owner.startDelete([shard])
                let isDeleted = (try? deletion?.wait(for: .seconds(60))) != nil
                if let state = try? amendment.wait(for: .seconds(60)) {
                    #expect(!isDeleted)
                    #expect(try owner.get(shard) == shard.bytes)
                    order.state = state
                    order.tree = tree
                    signed += 1
                } else {
                    #expect(isDeleted)
                }
            }
            let outcome = try order.audit(460)
            #expect(outcome.verdict == .ok, "\(signed) signed")
        }
    }

    @Test func putNeedsAnOrder() throws {
        try withProvider { provider, _, _ in
            let stranger = try provider.client(51)
            defer { stranger.close() }
            let shard = try TestShard(1)
            let error = #expect(throws: NetworkError.self) { try stranger.put(shard) }
            #expect(error?.code == .refused)
            #expect(error?.message.contains("open one before putting") == true)
            _ = try ClientOrder(stranger, at: provider, volume: 9, owner: 51)
            try stranger.put(shard)
        }
    }

    @Test func deltasComeInPages() throws {
        try withProvider { _, owner, order in
            let shard = try TestShard(1, count: 1024)
            let shards = try (0..<5000).map { try TestShard(renaming: shard, to: UInt64($0)) }
            for part in stride(from: 0, to: 5000, by: 500) {
                try owner.put(Array(shards[part..<part + 500]))
                try order.amend(adding: Array(shards[part..<part + 500]))
            }
            try order.amend(removing: Array(shards[100..<3000]))
            var fresh = order
            fresh.tree = OrderTree()
            fresh.state = try OrderState(
                accepting: try ClientOrder.opening(order.terms, owner.key),
                signedBy: owner.key
            )
            let first = try owner.ask(FetchOrder(order: order.id, sinceSequence: 0))
            #expect(first.next != nil)
            #expect(first.changes.count <= OrderDelta.changesMax)
            try fresh.follow()
            #expect(fresh.tree.commitment == order.tree.commitment)
        }
    }

    /// Else an order that rotted would keep all others of its owner from going on.
    @Test func anUnreadableOrderGivesWayToTheNextGeneration() throws {
        try withProvider { provider, owner, order in
            let (first, second) = (try TestShard(1), try TestShard(2))
            try owner.put([first, second])
            try order.amend(adding: [first, second])
            try provider.restart { try flip(second.root.bytes, in: provider.path + "/orders.db") }
            // While it is the newest, nobody can tell what it holds.
            let refused = #expect(throws: NetworkError.self) { try owner.put(first) }
            #expect(refused?.code == .corrupt)
            var next = try ClientOrder(owner, at: provider, generation: 1)
            try owner.put(first)
            try next.amend(adding: [first])
            #expect(try next.audit(460).verdict == .ok)
            let held = #expect(throws: NetworkError.self) { try owner.delete([first]) }
            #expect(held?.code == .refused)
            try next.amend(removing: [first])
            try owner.delete([first, second])
        }
    }

    /// Flips a bit of the first place in a file that has these bytes.
    private func flip(_ pattern: [UInt8], in path: String) throws {
        var bytes = try WholeFile.read(path, limit: 64 << 20)
        let start = try #require(
            (0..<bytes.count - pattern.count).first {
                bytes[$0] == pattern[0] && Array(bytes[$0..<$0 + pattern.count]) == pattern
            }
        )
        bytes[start] ^= 1
        try WholeFile.replace(path, with: bytes, permissions: 0o600)
    }

    private func copyTree(_ from: String, _ to: String) throws {
        try Directory.make(to + "/segments")
        for name in try Directory.list(from) where name != "segments" && name != "lock" {
            let bytes = try WholeFile.read(from + "/" + name)
            try WholeFile.replace(to + "/" + name, with: bytes, permissions: 0o600)
        }
        for name in try Directory.list(from + "/segments") {
            let bytes = try WholeFile.read("\(from)/segments/\(name)", limit: 300 << 20)
            try WholeFile.replace("\(to)/segments/\(name)", with: bytes)
        }
    }
}

/// What one of two racing clients met.
private struct TestOutcome: Sendable {
    var states: [OrderState] = []
    var failure: String?
}

/// Adds shards one at a time, following whenever someone else was faster.
private final class Racer: @unchecked Sendable {
    // SAFETY: made on one thread and run on one other, never at the same time.
    private var order: ClientOrder
    private let shards: [TestShard]

    init(order: ClientOrder, shards: [TestShard]) {
        self.order = order
        self.shards = shards
    }

    func run() -> TestOutcome {
        var outcome = TestOutcome()
        for shard in shards {
            while true {
                do {
                    let (query, tree) = try order.amendment(adding: [shard])
                    let state = try order.client.ask(query)
                    order.state = state
                    order.tree = tree
                    outcome.states.append(state)
                    break
                } catch let error as NetworkError where error.code == .exists {
                    do {
                        try order.follow()
                    } catch {
                        outcome.failure = "\(error)"
                        return outcome
                    }
                } catch {
                    outcome.failure = "\(error)"
                    return outcome
                }
            }
        }
        return outcome
    }
}
