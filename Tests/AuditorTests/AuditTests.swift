import Auditor
import Network
import Primitives
import Proofs
import Sealing
import Testing
import Transport

@Suite struct AuditTests {
    private func verdicts(_ fixture: Fixture, of provider: NodeID) throws -> [Verdict] {
        guard let order = try fixture.book.orders().first(where: { $0.terms.provider == provider })
        else { return [] }
        return try fixture.book.receipts(of: order.id, limit: 100).map(\.verdict).reversed()
    }

    @Test func everyOrderIsChallengedOnceAnEpoch() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(4)
            fixture.runEpochs(3)
            for id in fixture.network.ids {
                let challenges = fixture.network.change(id) { $0.challenges }
                #expect((3...4).contains(challenges ?? 0))
                let verdicts = try verdicts(fixture, of: id)
                #expect(verdicts.allSatisfy { $0 == .ok })
            }
            #expect(fixture.custodian.status.lastProofOfAll != nil)
        }
    }

    @Test func newOrdersAreAskedForMoreThanTrustedOnes() throws {
        try Fixture.with { configuration in
            configuration.epochsUntilTrusted = 2
            configuration.leavesPerEpoch = 32
            configuration.leavesWhenDoubtful = 460
        } _: { fixture in
            try fixture.placeMany(4)
            fixture.runEpochs(4)
            let order = try #require(try fixture.book.orders().first)
            let leaves = try fixture.book.receipts(of: order.id, limit: 10).map(\.leaves)
            #expect(leaves.reversed().prefix(2).allSatisfy { $0 == 460 })
            #expect(leaves[0] == 32)
        }
    }

    @Test func receiptsAreAChainThatAThirdPartyBelieves() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(4)
            fixture.runEpochs(3)
            for order in try fixture.book.orders() {
                let file = try fixture.book.receiptFile(order: order.id)
                let parsed = try ReceiptFile(parsing: file.encoded())
                let summary = try parsed.verify(trusting: [fixture.network.keeper.publicKey])
                #expect(summary.provider == order.terms.provider)
                #expect(summary.byteSeconds > 0)
            }
        }
    }

    @Test func theProviderAndTheKeeperAreTold() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(2)
            fixture.runEpochs(1)
            fixture.run(120)
            let orders = try fixture.book.orders()
            for order in orders {
                let told = fixture.network.change(order.terms.provider) { $0.receipts }
                let kept = try fixture.book.receipts(of: order.id, limit: 100)
                #expect(Set(told ?? []) == Set(kept))
            }
            let reported = fixture.network.read { $0.reports }
            #expect(Set(reported.map(\.terms.id)) == Set(orders.map(\.id)))
            #expect(reported.flatMap(\.receipts).count == orders.count)
        }
    }

    @Test func proofsAreNotBeforeTheShard() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(1)
            let first = fixture.stripes.all[0].shards[0]
            #expect(fixture.book.provedAt(first.shard, at: first.provider) == nil)
            fixture.runEpochs(1)
            #expect(fixture.book.provedAt(first.shard, at: first.provider) != nil)
            let later = try fixture.place(99, on: fixture.network.ids)
            fixture.book.flush()
            let new = later.shards[0]
            #expect(fixture.book.provedAt(new.shard, at: new.provider) == nil)
            fixture.runEpochs(1)
            #expect(fixture.book.provedAt(new.shard, at: new.provider) != nil)
        }
    }

    @Test func aSlowAnswerIsAProofAndALateOneIsNone() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(1)
            let slow = fixture.network.ids[0]
            let late = fixture.network.ids[1]
            _ = fixture.network.change(slow) { $0.delay = 12 }
            _ = fixture.network.change(late) { $0.delay = 31 }
            let results = try fixture.custodian.auditNow()
            #expect(results.first { $0.provider == slow }?.verdict == .slow)
            #expect(results.first { $0.provider == late }?.verdict == .unreachable)
            #expect(results.count { $0.verdict == .ok } == 4)
        }
    }

    @Test func whoDoesNotAnswerTwiceIsSuspect() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(1)
            fixture.run(10)
            let id = fixture.stripes.all[0].shards[0].provider
            // Up, by the directory's word, but silent when challenged.
            _ = fixture.network.change(id) { $0.delay = 40 }
            let first = try fixture.custodian.auditNow(provider: id)
            #expect(first.map(\.verdict) == [.unreachable])
            fixture.run(10)
            #expect(fixture.custodian.status.shardsMissing == 0)
            fixture.run(120)
            let story = try verdicts(fixture, of: id)
            #expect(story == [.unreachable, .unreachable])
            #expect(fixture.custodian.status.shardsMissing == 1)
            _ = fixture.network.change(id) { $0.delay = 0 }
            fixture.run(900)
            #expect(fixture.custodian.status.shardsMissing == 0)
        }
    }

    @Test func aMissingShardIsNamed() throws {
        try Fixture.with { configuration in
            configuration.repairs = false
        } _: { fixture in
            try fixture.placeMany(4)
            let holding = fixture.stripes.all[0].shards[0]
            _ = fixture.network.change(holding.provider) { $0.shards[holding.shard] = nil }
            let results = try fixture.custodian.auditNow(provider: holding.provider)
            #expect(results.map(\.verdict) == [.missing])
            fixture.run(20)
            #expect(fixture.custodian.status.shardsMissing == 1)
            #expect(fixture.book.provedAt(holding.shard, at: holding.provider) == nil)
        }
    }

    @Test func rotIsCorrupt() throws {
        try Fixture.with { configuration in
            configuration.repairs = false
        } _: { fixture in
            try fixture.placeMany(4)
            let holding = fixture.stripes.all[0].shards[0]
            _ = fixture.network.change(holding.provider) { provider in
                for leaf in 0..<(Fixture.shardBytes / 1024) {
                    provider.flip(holding.shard, byte: leaf * 1024)
                }
            }
            let results = try fixture.custodian.auditNow(provider: holding.provider)
            #expect(results.map(\.verdict) == [.corrupt])
            fixture.run(20)
            #expect(fixture.custodian.status.shardsMissing == 1)
        }
    }

    @Test func whoForgesIsTrustedWithNothing() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(4)
            fixture.run(10)
            let id = fixture.stripes.all[0].shards[0].provider
            let held = fixture.stripes.all.flatMap(\.shards).count { $0.provider == id }
            _ = fixture.network.change(id) { $0.forges = true }
            let results = try fixture.custodian.auditNow(provider: id)
            #expect(results.map(\.verdict) == [.forged])
            #expect(fixture.custodian.placementWeight(of: id) == 0)
            fixture.run(20)
            #expect(fixture.custodian.status.shardsMissing == held)
            fixture.run(6 * 3600, step: 300)
            #expect(fixture.isWhole())
            #expect(!fixture.stripes.all.flatMap(\.shards).contains { $0.provider == id })
        }
    }

    @Test func aWipedProviderLosesItsOrderAndAllUnderIt() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(4)
            let id = fixture.stripes.all[0].shards[0].provider
            _ = fixture.network.change(id) { $0.wipe() }
            let results = try fixture.custodian.auditNow(provider: id)
            #expect(results.map(\.verdict) == [.missing])
            let order = try fixture.book.orders().first { $0.terms.provider == id }
            #expect(order?.isLive == false)
            fixture.run(6 * 3600, step: 300)
            #expect(fixture.isWhole())
            #expect(fixture.isUnderOrder())
        }
    }

    @Test func anOrderThatChangesMeanwhileIsAskedForAnew() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(2)
            let path = try Fixture.temporaryPath()
            defer { for suffix in ["", "-wal", "-shm"] { removeFile(path + suffix) } }
            let other = try Fixture.book(
                path,
                fixture.identity,
                fixture.network,
                fixture.configuration,
                fixture.clock
            )
            let holding = fixture.stripes.all[0].shards[0]
            try other.remove([holding.shard], from: holding.provider)
            let results = try fixture.custodian.auditNow(provider: holding.provider)
            #expect(results.map(\.verdict) == [.ok])
            #expect(results.first?.receipt.sequence == 2)
        }
    }

    @Test func anOldStateOfTheOrderIsAccused() throws {
        try Fixture.with { configuration in
            configuration.repairs = false
        } _: { fixture in
            try fixture.placeMany(2)
            let id = fixture.network.ids[3]
            let backup = fixture.network.change(id) { $0 }
            try fixture.place(60, on: fixture.network.ids)
            fixture.book.flush()
            // The provider's disk goes back to yesterday.
            if let backup { fixture.network.add(backup) }
            let results = try fixture.custodian.auditNow(provider: id)
            #expect(results.map(\.verdict) == [.missing])
            fixture.run(60)
            #expect(fixture.custodian.status.shardsMissing == 1)
        }
    }

    @Test func withoutAKeeperNothingIsChallengedAndThatIsSaid() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(2)
            fixture.network.read { $0.isKeeperUp = false }
            fixture.run(60)
            #expect(fixture.custodian.status.remarks.count == 1)
            #expect(throws: CustodyError.self) { try fixture.custodian.auditNow() }
            fixture.network.read { $0.isKeeperUp = true }
            fixture.run(60)
            #expect(fixture.custodian.status.remarks.isEmpty)
            #expect(fixture.custodian.status.epoch != nil)
        }
    }

    @Test func aBeaconOfAnotherKeyIsNotBelieved() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(1)
            let identity = CustodyIdentity(
                volume: fixture.volume,
                ownerKey: fixture.network.owner.publicKey,
                signer: fixture.network.owner,
                repairKey: fixture.repairKey,
                keepers: [fixture.network.owner.publicKey]
            )
            let path = try Fixture.temporaryPath()
            defer { for suffix in ["", "-wal", "-shm"] { removeFile(path + suffix) } }
            let book = try Fixture.book(
                path,
                identity,
                fixture.network,
                fixture.configuration,
                fixture.clock
            )
            let custodian = Fixture.custodian(
                book,
                identity,
                fixture.network,
                fixture.stripes,
                fixture.configuration,
                fixture.clock
            )
            #expect(throws: CustodyError.self) { try custodian.auditNow() }
        }
    }

    @Test func anOrderThatIsThereAfterAllIsGoneOnWith() throws {
        try Fixture.with { configuration in
            configuration.repairs = false
        } _: { fixture in
            try fixture.placeMany(2)
            let id = fixture.network.ids[3]
            let whole = fixture.network.change(id) { $0 }
            _ = fixture.network.change(id) { $0.wipe() }
            let results = try fixture.custodian.auditNow(provider: id)
            #expect(results.map(\.verdict) == [.missing])
            fixture.run(20)
            #expect(fixture.custodian.status.shardsMissing > 0)
            // The provider's disk had not been mounted.
            if let whole { fixture.network.add(whole) }
            try fixture.book.ensureOrder(with: id)
            let again = try fixture.custodian.auditNow(provider: id)
            #expect(again.map(\.verdict) == [.ok])
            fixture.run(700)
            #expect(fixture.custodian.status.shardsMissing == 0)
        }
    }

    @Test func aWipedProviderThatAnotherClientFilledAgainHasLostNothing() throws {
        try Fixture.with { configuration in
            configuration.repairs = false
        } _: { fixture in
            try fixture.placeMany(2)
            let id = fixture.network.ids[3]
            let shards = fixture.network.change(id) { $0.shards } ?? [:]
            let path = try Fixture.temporaryPath()
            defer { for suffix in ["", "-wal", "-shm"] { removeFile(path + suffix) } }
            let other = try Fixture.book(
                path,
                fixture.identity,
                fixture.network,
                fixture.configuration,
                fixture.clock
            )
            _ = fixture.network.change(id) { $0.wipe() }
            fixture.clock.advance(60)
            try other.ensureOrder(with: id)
            _ = fixture.network.change(id) { $0.shards = shards }
            other.add(
                shards.map { shard, held in
                    OrderEntry(shard: shard, bytes: UInt64(held.bytes.count), root: held.root)
                },
                to: id
            )
            other.flush()
            let results = try fixture.custodian.auditNow(provider: id)
            #expect(results.map(\.verdict) == [.missing])
            fixture.run(60)
            #expect(fixture.custodian.status.shardsMissing == 0)
            let again = try fixture.custodian.auditNow(provider: id)
            #expect(again.map(\.verdict) == [.ok])
        }
    }
}
