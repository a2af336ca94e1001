import Auditor
import Network
import Primitives
import Proofs
import Synchronization
import Testing
import Transport

@Suite struct OrderBookTests {
    @Test func shardsComeUnderOrderAndGo() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(3)
            #expect(fixture.isUnderOrder())
            let stripe = fixture.stripes.all[0]
            let holding = stripe.shards[0]
            #expect(throws: NetworkError.self) {
                try fixture.network.delete([holding.shard], from: holding.provider)
                    .wait(for: .seconds(1))
            }
            try fixture.book.remove([holding.shard], from: holding.provider)
            try fixture.network.delete([holding.shard], from: holding.provider)
                .wait(for: .seconds(1))
            let orders = try fixture.book.orders()
            #expect(orders.map(\.shards).reduce(0, +) == 17)
            #expect(orders.allSatisfy { $0.isLive })
        }
    }

    @Test func amendmentsWaitForEachOtherAndNotForLong() throws {
        try Fixture.with { fixture in
            let ids = fixture.network.ids
            try fixture.place(1, on: ids)
            let sequence = { try fixture.book.orders().map(\.state.sequence).max() }
            let before = try sequence()
            #expect(before == 0)
            fixture.custodian.tick()
            let early = try sequence()
            #expect(early == 0)
            fixture.clock.advance(2)
            fixture.custodian.tick()
            let after = try sequence()
            #expect(after == 1)
        }
    }

    @Test func removingCancelsWhatIsQueued() throws {
        try Fixture.with { fixture in
            let stripe = try fixture.place(1, on: fixture.network.ids)
            let holding = stripe.shards[2]
            try fixture.book.remove([holding.shard], from: holding.provider)
            fixture.book.flush()
            let count = fixture.network.change(holding.provider) { provider in
                provider.orders.values.first?.tree.count
            }
            #expect(count == 0)
        }
    }

    @Test(arguments: [false, true])
    func aShardWhoseAmendmentWasNotAnsweredIsRemoved(isRestarted: Bool) throws {
        try Fixture.changing { fixture in
            let stripe = try fixture.place(1, on: fixture.network.ids)
            let holding = stripe.shards[1]
            _ = fixture.network.change(holding.provider) { $0.answersLost = 1 }
            fixture.book.flush()
            if isRestarted { try fixture.restart() }
            // The book does not know that it is under order.
            try fixture.delete([stripe])
            let isThere = fixture.network.change(holding.provider) {
                $0.shards[holding.shard] != nil
            }
            #expect(isThere == false)
            #expect(fixture.isExactlyUnderOrder())
        }
    }

    @Test func anotherClientsAmendmentIsFollowed() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(2)
            let otherPath = try Fixture.temporaryPath()
            let other = try Fixture.book(
                otherPath,
                fixture.identity,
                fixture.network,
                fixture.configuration,
                fixture.clock
            )
            // The other takes a shard out; ours then has a stale base.
            let gone = fixture.stripes.all[0].shards[0]
            try other.remove([gone.shard], from: gone.provider)
            try fixture.place(77, on: fixture.network.ids)
            fixture.book.flush()
            let ours = try fixture.book.orders().map(\.state)
            let theirs = fixture.network.read { world in
                world.providers.values.flatMap { $0.orders.values.map(\.state) }
            }
            #expect(Set(ours) == Set(theirs))
            for suffix in ["", "-wal", "-shm"] { removeFile(otherPath + suffix) }
        }
    }

    @Test func alostBookIsLearntAgainFromProviders() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(9)
            let gone = fixture.stripes.all[0].shards[0]
            try fixture.book.remove([gone.shard], from: gone.provider)
            let path = try Fixture.temporaryPath()
            let book = try Fixture.book(
                path,
                fixture.identity,
                fixture.network,
                fixture.configuration,
                fixture.clock
            )
            for id in fixture.network.ids { try book.ensureOrder(with: id) }
            let known = try book.orders()
            let before = try fixture.book.orders()
            #expect(Set(known.map(\.state)) == Set(before.map(\.state)))
            #expect(known.map(\.shards).sorted() == before.map(\.shards).sorted())
            // And it can go on from there.
            let other = fixture.stripes.all[1].shards[0]
            try book.remove([other.shard], from: other.provider)
            for suffix in ["", "-wal", "-shm"] { removeFile(path + suffix) }
        }
    }

    @Test func entriesThatWereNeverQueuedAreFoundByTheScan() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(2)
            let path = try Fixture.temporaryPath()
            defer { for suffix in ["", "-wal", "-shm"] { removeFile(path + suffix) } }
            // A shard that its provider holds, and no order: the queue was lost with a crash.
            let holding = fixture.stripes.all[0].shards[3]
            try fixture.book.remove([holding.shard], from: holding.provider)
            #expect(!fixture.isUnderOrder())
            let book = try Fixture.book(
                path,
                fixture.identity,
                fixture.network,
                fixture.configuration,
                fixture.clock
            )
            let custodian = Fixture.custodian(
                book,
                fixture.identity,
                fixture.network,
                fixture.stripes,
                fixture.configuration,
                fixture.clock
            )
            for _ in 0..<4 {
                fixture.clock.advance(5)
                custodian.tick()
            }
            #expect(fixture.isUnderOrder())
        }
    }

    @Test func aShardThatIsNotThereIsNotSignedForAndLost() throws {
        try Fixture.with { fixture in
            let stripe = try fixture.place(1, on: fixture.network.ids)
            let holding = stripe.shards[1]
            _ = fixture.network.change(holding.provider) { $0.shards[holding.shard] = nil }
            fixture.book.flush()
            fixture.run(10)
            #expect(fixture.custodian.status.shardsMissing == 1)
        }
    }
}
