import Auditor
import Network
import Primitives
import Proofs
import Sealing
import Testing
import Transport

/// A keeper that looks after a volume with its owner's grant.
@Suite struct KeeperTests {
    private struct Keeper {
        let custodian: Custodian
        let book: OrderBook
        let network: TestNetwork
        let path: String

        func run(_ fixture: Fixture, _ seconds: Int64, step: Int64 = 5) {
            var left = seconds
            while left > 0 {
                fixture.clock.advance(step)
                left -= step
                custodian.tick()
            }
        }
    }

    private func withKeeper(
        _ fixture: Fixture,
        rights: Grant.Rights = .all,
        lasts seconds: Int64 = 10 * 24 * 3600,
        _ body: (Keeper) throws -> Void
    ) throws {
        let now = fixture.clock.now
        let grant = try Grant(
            volume: fixture.volume,
            grantee: fixture.network.keeper.publicKey.nodeID,
            rights: rights,
            issued: now,
            expires: Timestamp(seconds: now.seconds + seconds, nanoseconds: 0),
            signedBy: fixture.network.owner
        )
        let identity = CustodyIdentity(
            volume: fixture.volume,
            ownerKey: fixture.network.owner.publicKey,
            signer: fixture.network.keeper,
            grant: grant,
            repairKey: fixture.repairKey,
            keepers: [fixture.network.keeper.publicKey]
        )
        let network = TestNetwork(fixture.network, as: fixture.network.keeper)
        let path = try Fixture.temporaryPath()
        defer { for suffix in ["", "-wal", "-shm"] { removeFile(path + suffix) } }
        let book = try Fixture.book(path, identity, network, fixture.configuration, fixture.clock)
        let custodian = Fixture.custodian(
            book,
            identity,
            network,
            fixture.stripes,
            fixture.configuration,
            fixture.clock
        )
        try body(Keeper(custodian: custodian, book: book, network: network, path: path))
    }

    @Test func aKeeperAuditsAndRepairsWhileTheOwnerIsAway() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(4)
            let id = fixture.stripes.all[0].shards[0].provider
            try withKeeper(fixture) { keeper in
                keeper.run(fixture, 4000, step: 20)
                let orders = try keeper.book.orders()
                #expect(orders.count == fixture.network.ids.count)
                #expect(orders.allSatisfy { $0.lastVerdict == .ok })
                _ = fixture.network.change(id) { $0.isUp = false }
                keeper.run(fixture, 26 * 3600, step: 300)
                #expect(fixture.isWhole())
                #expect(fixture.isUnderOrder())
                for order in orders where order.terms.provider != id {
                    let file = try keeper.book.receiptFile(order: order.id)
                    let summary = try file.verify(trusting: [fixture.network.keeper.publicKey])
                    #expect(summary.auditor == fixture.network.keeper.publicKey)
                }
            }
            // The owner comes back and finds orders amended by the keeper.
            fixture.run(4000, step: 20)
            for order in try fixture.book.orders() where order.terms.provider != id {
                #expect(order.lastVerdict == .ok)
                let file = try fixture.book.receiptFile(order: order.id)
                _ = try file.verify(trusting: [])
            }
        }
    }

    @Test func aGrantToAuditDoesNotAllowRepairs() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(2)
            try withKeeper(fixture, rights: .audit) { keeper in
                keeper.run(fixture, 4000, step: 20)
                let audited = try keeper.book.orders()
                #expect(audited.allSatisfy { $0.lastVerdict == .ok })
                for id in fixture.network.ids.prefix(2) {
                    _ = fixture.network.change(id) { $0.isUp = false }
                }
                keeper.run(fixture, 3600, step: 60)
                #expect(fixture.stripes.moveCount == 0)
            }
        }
    }

    @Test func anExpiredGrantEndsRepairs() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(2)
            try withKeeper(fixture, lasts: 3600) { keeper in
                keeper.run(fixture, 4000, step: 20)
                for id in fixture.network.ids.prefix(2) {
                    _ = fixture.network.change(id) { $0.isUp = false }
                }
                keeper.run(fixture, 3600, step: 60)
                #expect(fixture.stripes.moveCount == 0)
            }
        }
    }

    @Test func whatAKeeperMovedIsTidiedUpByTheOwner() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(1)
            let old = fixture.stripes.all[0].shards[0]
            _ = fixture.network.change(old.provider) { $0.isUp = false }
            try withKeeper(fixture) { keeper in
                keeper.run(fixture, 26 * 3600, step: 300)
                #expect(fixture.stripes.all[0].shards[0].provider != old.provider)
                keeper.custodian.handOver()
                keeper.custodian.stop()
            }
            fixture.custodian.noteMoved(
                RepairRecord(
                    number: 1,
                    stripe: fixture.stripes.all[0].id,
                    index: 0,
                    shard: old.shard,
                    from: old.provider,
                    to: fixture.stripes.all[0].shards[0].provider,
                    at: fixture.clock.now
                )
            )
            _ = fixture.network.change(old.provider) { $0.isUp = true }
            fixture.run(26 * 3600, step: 300)
            let isThere = fixture.network.change(old.provider) { $0.shards[old.shard] != nil }
            #expect(isThere == false)
            #expect(fixture.isWhole())
            #expect(fixture.isUnderOrder())
        }
    }
}
