import Auditor
import Disk
import Network
import Primitives
import Proofs
import Sealing
import Synchronization
import Testing
import Transport

/// Tombstones go, and nothing else does.
@Suite struct CompactionTests {
    private static let shardBytes = 1024

    private static func eager(_ configuration: inout CustodyConfiguration) {
        configuration.tombstonesMin = 4
        configuration.tombstonesPerStep = 3
        configuration.leavesWhenDoubtful = 16
    }

    /// The fixture with stripes, of which all but a few were deleted: ten tombstones at each of six
    /// providers, and two shards.
    private func withTombstones(
        _ change: (inout CustodyConfiguration) -> Void = eager,
        _ body: (inout Fixture) throws -> Void
    ) throws {
        try Fixture.changing(providers: 6, change) { fixture in
            try fixture.placeMany(12, shardBytes: Self.shardBytes)
            try fixture.delete(Array(fixture.stripes.all[1..<11]))
            try body(&fixture)
        }
    }

    private func expectSettled(_ fixture: Fixture) throws {
        #expect(fixture.isExactlyUnderOrder())
        #expect(fixture.isWhole())
        for id in fixture.network.ids { #expect(fixture.tombstones(at: id) == 0) }
        let ours = try fixture.book.orders().filter(\.isLive)
        let theirs = fixture.network.read { world in
            world.providers.values.flatMap { $0.orders.values.map(\.state) }
        }
        #expect(Set(ours.map(\.state)) == Set(theirs))
        #expect(ours.allSatisfy { UInt64($0.shards) == $0.state.commitment.count })
        #expect(try fixture.custodian.auditNow().allSatisfy { $0.verdict == .ok })
    }

    // MARK: When

    @Test func tombstonesGoByThemselves() throws {
        try withTombstones { fixture in
            let before = try fixture.book.orders().map(\.state.commitment.totalBytes)
            fixture.run(5)
            try expectSettled(fixture)
            let after = try fixture.book.orders().map(\.state.commitment.totalBytes)
            #expect(after == before)
            // Ten in steps of three.
            let steps = fixture.network.change(fixture.network.ids[0]) { $0.compactions }
            #expect(steps == 4)
        }
    }

    @Test func fewTombstonesOrLessThanHalfStay() throws {
        try Fixture.changing(providers: 6, Self.eager) { fixture in
            try fixture.placeMany(12, shardBytes: Self.shardBytes)
            try fixture.delete(Array(fixture.stripes.all[..<5]))
            fixture.run(60)
            // Five of twelve.
            #expect(fixture.tombstones(at: fixture.network.ids[0]) == 5)
            try fixture.delete([fixture.stripes.all[0]])
            fixture.run(5)
            #expect(fixture.tombstones(at: fixture.network.ids[0]) == 0)
            // Three of six.
            try fixture.delete(Array(fixture.stripes.all[..<3]))
            fixture.run(60)
            #expect(fixture.tombstones(at: fixture.network.ids[0]) == 3)
        }
    }

    @Test func anOrderThatIsNearlyFullIsCompactedForFewer() throws {
        try Fixture.changing(providers: 6) { configuration in
            Self.eager(&configuration)
            configuration.entriesHigh = 14
        } _: { fixture in
            try fixture.placeMany(13, shardBytes: Self.shardBytes)
            try fixture.delete(Array(fixture.stripes.all[..<4]))
            fixture.run(60)
            #expect(fixture.tombstones(at: fixture.network.ids[0]) == 4)
            try fixture.place(40, on: fixture.network.ids, shardBytes: Self.shardBytes)
            fixture.run(10)
            try expectSettled(fixture)
        }
    }

    @Test func withoutTheRightToRepairNothingIsCompacted() throws {
        try withTombstones { fixture in
            let keeper = try Fixture(keeperOf: fixture, rights: .audit)
            defer { keeper.removeFile() }
            keeper.runEpochs(1)
            #expect(fixture.tombstones(at: fixture.network.ids[0]) == 10)
            #expect(try keeper.book.orders().allSatisfy { $0.lastVerdict == .ok })
        }
    }

    // MARK: What is known of a shard

    @Test func aShardThatMovedIsAsProvedAsItWas() throws {
        try withTombstones { fixture in
            _ = try fixture.custodian.auditNow()
            let holdings = fixture.stripes.all.flatMap(\.shards)
            let known = holdings.map { fixture.book.provedAt($0.shard, at: $0.provider) }
            #expect(known.allSatisfy { $0 != nil })
            var keeper = try Fixture(keeperOf: fixture)
            defer { keeper.removeFile() }
            for id in fixture.network.ids { try keeper.book.ensureOrder(with: id) }
            _ = try keeper.custodian.auditNow()
            fixture.run(5)
            try expectSettled(fixture)
            for holding in holdings {
                #expect(fixture.book.provedAt(holding.shard, at: holding.provider) != nil)
            }
            // Nor has another client to see a proof again of what it follows.
            try keeper.restart()
            try keeper.follow()
            let states = try fixture.book.orders().map(\.state)
            let followed = try keeper.book.orders().map(\.state)
            #expect(Set(followed) == Set(states))
            for holding in holdings {
                #expect(keeper.book.provedAt(holding.shard, at: holding.provider) != nil)
            }
        }
    }

    @Test func whoFollowsIsToldOnlyWhatChanged() throws {
        try Fixture.changing(providers: 6) { fixture in
            try fixture.placeMany(40, shardBytes: Self.shardBytes)
            var keeper = try Fixture(keeperOf: fixture)
            defer { keeper.removeFile() }
            for id in fixture.network.ids { try keeper.book.ensureOrder(with: id) }
            try fixture.delete(Array(fixture.stripes.all[..<6]))
            for id in fixture.network.ids {
                fixture.book.compact(id)
                _ = fixture.network.change(id) { $0.changesTold = 0 }
            }
            try keeper.restart()
            try keeper.follow()
            let states = try fixture.book.orders().map(\.state)
            let followed = try keeper.book.orders().map(\.state)
            #expect(Set(followed) == Set(states))
            for id in fixture.network.ids {
                let told = fixture.network.change(id) { $0.changesTold } ?? 99
                #expect(told <= 6)
            }
        }
    }

    @Test func receiptsCountAsIfThereHadBeenNone() throws {
        try withTombstones { configuration in
            configuration.tombstonesMin = .max
        } _: { fixture in
            fixture.runEpochs(2)
            let before = fixture.clock.now
            for id in fixture.network.ids { fixture.book.compact(id) }
            try expectSettled(fixture)
            fixture.runEpochs(2)
            let hour = UInt128(TestNetwork.epochSeconds)
            for order in try fixture.book.orders() {
                let receipts = try fixture.book.receipts(of: order.id, limit: 100)
                #expect(receipts.first.map { $0.asked > before } == true)
                // Twelve KiB since the start would be counted wrongly, two are right.
                for receipt in receipts.dropLast(2) where receipt.verdict.isProof {
                    #expect(receipt.provedByteSeconds <= 2 * 2 * 1024 * hour)
                }
                let file = try fixture.book.receiptFile(order: order.id)
                let summary = try ReceiptFile(parsing: file.encoded())
                    .verify(trusting: [fixture.network.keeper.publicKey])
                #expect(summary.byteSeconds > 2 * 1024 * 2 * hour)
                #expect(summary.byteSeconds <= 2 * 1024 * 5 * hour)
            }
        }
    }

    // MARK: Crashes

    /// Killed before each step, after the provider made it and before its answer came, and after.
    @Test(arguments: 0...4, [false, true])
    func aCrashAtAnyStepIsGoneOnFrom(step: Int, isAnswerLost: Bool) throws {
        try withTombstones { fixture in
            let id = fixture.network.ids[2]
            if isAnswerLost {
                let network = fixture.network
                let asked = Mutex(0)
                fixture.network.beforeCompaction.withLock {
                    $0 = {
                        let number = asked.withLock { asked in
                            defer { asked += 1 }
                            return asked
                        }
                        if number == step { _ = network.change(id) { $0.answersLost = 1 } }
                    }
                }
                fixture.book.compact(id)
            } else {
                var left = step
                fixture.book.compact(id) {
                    left -= 1
                    return left >= 0
                }
            }
            fixture.network.beforeCompaction.withLock { $0 = nil }
            _ = fixture.network.change(id) { $0.answersLost = 0 }
            #expect(fixture.isExactlyUnderOrder())
            try fixture.restart()
            // It may be a deletion or a new stripe that comes first.
            try fixture.place(50, on: fixture.network.ids, shardBytes: Self.shardBytes)
            try fixture.delete([fixture.stripes.all[0]])
            fixture.book.flush()
            #expect(fixture.isExactlyUnderOrder())
            fixture.run(5)
            for id in fixture.network.ids { fixture.book.compact(id) }
            try expectSettled(fixture)
        }
    }

    @Test(arguments: 0...4) func aLostBookIsLearntAgain(steps: Int) throws {
        try withTombstones { fixture in
            for id in fixture.network.ids {
                var left = steps
                fixture.book.compact(id) {
                    left -= 1
                    return left >= 0
                }
            }
            try fixture.restart(losingBook: true)
            fixture.run(20)
            #expect(fixture.isExactlyUnderOrder())
            for id in fixture.network.ids { fixture.book.compact(id) }
            try expectSettled(fixture)
        }
    }

    // MARK: Others at the same time

    @Test func anotherClientInBetweenIsFollowed() throws {
        try withTombstones { fixture in
            let keeper = try Fixture(keeperOf: fixture)
            defer { keeper.removeFile() }
            for id in fixture.network.ids { try keeper.book.ensureOrder(with: id) }
            let gone = fixture.stripes.all[0]
            let stripes = fixture.stripes
            let asked = Mutex(false)
            fixture.network.beforeCompaction.withLock {
                $0 = {
                    let isFirst = asked.withLock { asked in
                        defer { asked = true }
                        return !asked
                    }
                    guard isFirst else { return }
                    stripes.state.withLock { $0.stripes[gone.id] = nil }
                    for holding in gone.shards {
                        try? keeper.book.remove([holding.shard], from: holding.provider)
                    }
                }
            }
            fixture.run(5)
            try expectSettled(fixture)
            // The keeper meets what the owner did, with its own book of before.
            keeper.runEpochs(1)
            #expect(keeper.isExactlyUnderOrder())
            let states = try fixture.book.orders().map(\.state)
            let theirs = try keeper.book.orders().map(\.state)
            #expect(Set(theirs) == Set(states))
            #expect(try keeper.book.orders().allSatisfy { $0.lastVerdict == .ok })
        }
    }

    @Test func aKeeperCompactsWhileTheOwnerIsAway() throws {
        try withTombstones { fixture in
            var keeper = try Fixture(keeperOf: fixture)
            defer { keeper.removeFile() }
            keeper.runEpochs(1)
            #expect(fixture.tombstones(at: fixture.network.ids[0]) == 0)
            #expect(fixture.isExactlyUnderOrder())
            keeper.custodian.handOver()
            keeper.custodian.stop()
            // The owner is back with the book of before, and goes on.
            try fixture.restart()
            try fixture.delete([fixture.stripes.all[0]])
            try fixture.place(60, on: fixture.network.ids, shardBytes: Self.shardBytes)
            fixture.runEpochs(1)
            #expect(fixture.isExactlyUnderOrder())
            for order in try fixture.book.orders() {
                #expect(order.lastVerdict == .ok)
                _ = try fixture.book.receiptFile(order: order.id).verify(trusting: [])
            }
            // And the keeper after it.
            try keeper.restart()
            keeper.runEpochs(1)
            #expect(try keeper.book.orders().allSatisfy { $0.lastVerdict == .ok })
        }
    }

    /// On threads: one compacts, the others place, delete and audit.
    @Test func placingDeletingAndAuditingGoOnMeanwhile() throws {
        try Fixture.changing(providers: 6) { configuration in
            Self.eager(&configuration)
            configuration.tombstonesPerStep = 1
        } _: { fixture in
            try fixture.placeMany(40, shardBytes: Self.shardBytes)
            let victims = Array(fixture.stripes.all[..<30])
            let rounds = Condition(0)
            let problems = Mutex<[String]>([])
            let shared = fixture
            let compacter = try Disk.Thread.spawn("compact") {
                while rounds.withLock({ $0 }) < 3 {
                    for id in shared.network.ids { shared.book.compact(id) }
                }
            }
            let works: [@Sendable () throws -> Void] = [
                { for victim in victims { try shared.delete([victim]) } },
                {
                    for number in 100..<120 as Range<UInt64> {
                        try shared.place(
                            number,
                            on: shared.network.ids,
                            shardBytes: Self.shardBytes
                        )
                        shared.book.flush()
                    }
                },
                {
                    for _ in 0..<10 {
                        for result in try shared.custodian.auditNow() where result.verdict != .ok {
                            throw CustodyError(.storage, result.reason)
                        }
                    }
                },
            ]
            let threads = try works.map { work in
                try Disk.Thread.spawn("work") {
                    do { try work() } catch { problems.withLock { $0.append("\(error)") } }
                    rounds.update { $0 += 1 }
                }
            }
            for thread in threads { thread.join() }
            compacter.join()
            #expect(problems.withLock { $0 } == [])
            for id in fixture.network.ids { fixture.book.compact(id) }
            try expectSettled(fixture)
        }
    }

    @Test func shardsThatAreMovedMeanwhileStayWhole() throws {
        try Fixture.changing(providers: 9, Self.eager) { fixture in
            try fixture.placeMany(18, shardBytes: Self.shardBytes)
            try fixture.delete(Array(fixture.stripes.all[..<12]))
            let id = fixture.network.ids[1]
            // It leaves: its shards go elsewhere, and its order becomes tombstones.
            _ = fixture.network.change(id) { $0.isLeaving = true }
            fixture.run(2 * 3600, step: 20)
            #expect(fixture.isWhole())
            #expect(fixture.isExactlyUnderOrder())
            let left = fixture.network.change(id) { $0.shards.count }
            #expect(left == 0)
            #expect(fixture.tombstones(at: id) ?? 99 < 4)
        }
    }

    // MARK: Providers that do not keep to it

    @Test func anOlderProgramIsAskedOnceAnHour() throws {
        try withTombstones { fixture in
            let id = fixture.network.ids[0]
            _ = fixture.network.change(id) { $0.isCompacting = false }
            fixture.run(3500)
            #expect(fixture.tombstones(at: id) == 10)
            #expect(fixture.isExactlyUnderOrder())
            _ = fixture.network.change(id) { $0.isCompacting = true }
            let before = fixture.network.change(id) { $0.compactions }
            #expect(before == 0)
            fixture.run(200)
            try expectSettled(fixture)
        }
    }

    @Test func whoSignsSomethingElseIsNotFollowed() throws {
        try withTombstones { fixture in
            let id = fixture.network.ids[0]
            _ = fixture.network.change(id) { $0.lies = true }
            let known = try fixture.book.orders().first { $0.terms.provider == id }
            fixture.run(60)
            let attempts = fixture.network.change(id) { $0.compactions }
            #expect(attempts == 1)
            let held = try fixture.book.orders().first { $0.terms.provider == id }
            #expect(held?.state == known?.state)
            #expect(fixture.isExactlyUnderOrder())
            _ = fixture.network.change(id) { $0.lies = false }
            fixture.run(3700, step: 60)
            try expectSettled(fixture)
        }
    }

    @Test func aCompactionThatAProviderForgotIsAccusedAndDoneAgain() throws {
        try withTombstones { fixture in
            let id = fixture.network.ids[0]
            let backup = fixture.network.change(id) { $0 }
            fixture.book.compact(id)
            // Its disk goes back to before.
            if let backup { fixture.network.add(backup) }
            let results = try fixture.custodian.auditNow(provider: id)
            #expect(results.map(\.verdict) == [.missing])
            fixture.run(60)
            try expectSettled(fixture)
        }
    }

    @Test func anOrderThatAProviderForgotIsLostOnce() throws {
        try withTombstones { configuration in
            Self.eager(&configuration)
            configuration.repairs = false
        } _: { fixture in
            let id = fixture.network.ids[0]
            _ = fixture.network.change(id) { $0.wipe() }
            fixture.book.compact(id)
            let orders = try fixture.book.orders().filter { $0.terms.provider == id }
            #expect(orders.map(\.isLive) == [false])
            fixture.run(60)
            #expect(fixture.custodian.status.shardsMissing == 2)
        }
    }

    @Test func aProviderThatIsAwayIsAskedWhenItIsBack() throws {
        try withTombstones { fixture in
            let id = fixture.network.ids[0]
            _ = fixture.network.change(id) { $0.isUp = false }
            fixture.run(20)
            #expect(fixture.tombstones(at: id) == 10)
            _ = fixture.network.change(id) { $0.isUp = true }
            fixture.run(400)
            try expectSettled(fixture)
        }
    }
}
