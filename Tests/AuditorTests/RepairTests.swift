import Auditor
import Network
import Primitives
import Proofs
import Reliability
import Sealing
import Synchronization
import Testing
import Transport

@Suite struct RepairTests {
    private static let day: Int64 = 24 * 3600

    /// The shards of a stripe as they lie at their holders.
    private func bytes(_ fixture: Fixture, _ stripe: StripeManifest) -> [[UInt8]?] {
        stripe.shards.map { holding in
            fixture.network.read { $0.providers[holding.provider]?.shards[holding.shard]?.bytes }
        }
    }

    @Test(arguments: [1, 2]) func lostShardsComeBackByteForByte(count: Int) throws {
        try Fixture.with { fixture in
            try fixture.placeMany(1, shardBytes: 1280 << 10)
            let before = bytes(fixture, fixture.stripes.all[0])
            for holding in fixture.stripes.all[0].shards.prefix(count) {
                _ = fixture.network.change(holding.provider) { $0.shards[holding.shard] = nil }
            }
            _ = try fixture.custodian.auditNow()
            fixture.run(2 * 3600, step: 60)
            #expect(bytes(fixture, fixture.stripes.all[0]) == before)
            #expect(fixture.isWhole())
            #expect(fixture.isUnderOrder())
            #expect(fixture.custodian.status.shardsMissing == 0)
            #expect(fixture.custodian.status.repairsDone == UInt64(count))
        }
    }

    @Test func widerCodesAreRebuiltToo() throws {
        try Fixture.with(providers: 14, code: "8+4") { fixture in
            try fixture.placeMany(2)
            for holding in fixture.stripes.all[0].shards.suffix(4) {
                _ = fixture.network.change(holding.provider) { $0.shards[holding.shard] = nil }
            }
            _ = try fixture.custodian.auditNow()
            fixture.run(2 * 3600, step: 60)
            #expect(fixture.isWhole())
        }
    }

    @Test func aDeadProviderIsReplacedAfterTheWait() throws {
        try Fixture.with {
            $0.audits = false
        } _: { fixture in
            try fixture.placeMany(4)
            let id = fixture.stripes.all[0].shards[0].provider
            _ = fixture.network.change(id) { $0.isUp = false }
            fixture.run(Self.day / 2, step: 300)
            #expect(fixture.stripes.moveCount == 0)
            fixture.run(Self.day, step: 300)
            #expect(fixture.isWhole())
            #expect(fixture.isUnderOrder())
            #expect(!fixture.stripes.all.flatMap(\.shards).contains { $0.provider == id })
        }
    }

    @Test func twoDeadProvidersAreNotWaitedFor() throws {
        try Fixture.with {
            $0.audits = false
        } _: { fixture in
            try fixture.placeMany(4)
            for id in fixture.network.ids.prefix(2) {
                _ = fixture.network.change(id) { $0.isUp = false }
            }
            fixture.run(600, step: 5)
            // Stripes that missed two are full again; those that miss one wait.
            let counts = fixture.stripes.all.map { stripe in
                stripe.shards.count { holding in
                    fixture.network.read { $0.providers[holding.provider]?.isUp == false }
                }
            }
            #expect(counts.allSatisfy { $0 < 2 })
            #expect(fixture.stripes.moveCount > 0)
        }
    }

    @Test func aHolderThatReturnsInTimeCostsNothing() throws {
        try Fixture.with {
            $0.audits = false
        } _: { fixture in
            try fixture.placeMany(4)
            fixture.run(60)
            let read = fixture.network.read { $0.readBytes }
            let id = fixture.stripes.all[0].shards[0].provider
            _ = fixture.network.change(id) { $0.isUp = false }
            fixture.run(Self.day - 3600, step: 300)
            #expect(fixture.custodian.status.repairsPending > 0)
            _ = fixture.network.change(id) { $0.isUp = true }
            fixture.run(2 * Self.day, step: 300)
            #expect(fixture.stripes.moveCount == 0)
            #expect(fixture.network.read { $0.readBytes } == read)
            #expect(fixture.custodian.status.repairsPending == 0)
        }
    }

    @Test func aCopyThatCameBackTakesThePlaceOfItsSuccessor() throws {
        try Fixture.with {
            $0.audits = false
        } _: { fixture in
            try fixture.placeMany(1)
            let old = fixture.stripes.all[0].shards[0].provider
            _ = fixture.network.change(old) { $0.isUp = false }
            fixture.run(Self.day + 7200, step: 300)
            let new = fixture.stripes.all[0].shards[0].provider
            #expect(new != old)
            _ = fixture.network.change(old) { $0.isUp = true }
            fixture.run(3600, step: 60)
            let read = fixture.network.read { $0.readBytes }
            _ = fixture.network.change(new) { $0.isUp = false }
            fixture.run(600, step: 5)
            #expect(fixture.stripes.all[0].shards[0].provider == old)
            #expect(fixture.network.read { $0.readBytes } - read <= 1024)
            #expect(fixture.isWhole())
        }
    }

    @Test func aSpareIsRemovedWhenItsTimeIsOver() throws {
        try Fixture.with {
            $0.audits = false
        } _: { fixture in
            try fixture.placeMany(1)
            let stripe = fixture.stripes.all[0]
            let old = stripe.shards[0]
            _ = fixture.network.change(old.provider) { $0.isUp = false }
            fixture.run(Self.day + 7200, step: 300)
            _ = fixture.network.change(old.provider) { $0.isUp = true }
            fixture.run(Self.day / 2, step: 300)
            let kept = fixture.network.change(old.provider) { $0.shards[old.shard] != nil }
            #expect(kept == true)
            #expect(fixture.custodian.status.spares == 1)
            fixture.run(Self.day, step: 300)
            #expect(fixture.custodian.status.spares == 0)
            let isThere = fixture.network.change(old.provider) { $0.shards[old.shard] != nil }
            #expect(isThere == false)
            #expect(fixture.isWhole())
            #expect(fixture.isUnderOrder())
        }
    }

    @Test func aCorruptHelperIsFoundAndNotUsed() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(1, shardBytes: 1280 << 10)
            let stripe = fixture.stripes.all[0]
            let before = bytes(fixture, stripe)
            // One is lost for all to see; another lies in its reads, and only there.
            let lost = stripe.shards[5]
            _ = fixture.network.change(lost.provider) { $0.shards[lost.shard] = nil }
            _ = try fixture.custodian.auditNow(provider: lost.provider)
            let liar = stripe.shards[1]
            _ = fixture.network.change(liar.provider) { $0.flip(liar.shard, byte: 1_200_000) }
            fixture.run(2 * 3600, step: 60)
            #expect(fixture.isWhole())
            #expect(bytes(fixture, fixture.stripes.all[0]) == before)
        }
    }

    @Test func damageThatAProviderReportsIsMendedWhereItIs() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(2)
            let holding = fixture.stripes.all[0].shards[2]
            _ = fixture.network.change(holding.provider) { provider in
                _ = provider.damaged.insert(holding.shard)
            }
            _ = try fixture.custodian.auditNow(provider: holding.provider)
            fixture.run(2 * 3600, step: 60)
            #expect(fixture.stripes.moveCount == 0)
            #expect(fixture.isWhole())
            #expect(fixture.custodian.status.shardsMissing == 0)
            let puts = fixture.network.read { world in
                world.puts.filter { $0.shard == holding.shard }.map(\.provider)
            }
            #expect(puts == [holding.provider, holding.provider])
        }
    }

    @Test func withNoOtherProviderTheLoserGetsTheShardAgain() throws {
        try Fixture.with(providers: 6) { fixture in
            try fixture.placeMany(2)
            let holding = fixture.stripes.all[0].shards[2]
            _ = fixture.network.change(holding.provider) { $0.shards[holding.shard] = nil }
            _ = try fixture.custodian.auditNow(provider: holding.provider)
            fixture.run(2 * 3600, step: 60)
            #expect(fixture.isWhole())
            #expect(fixture.stripes.moveCount == 0)
        }
    }

    @Test func withTooFewProvidersItIsSaidAndDoneLater() throws {
        try Fixture.with(providers: 6) { fixture in
            try fixture.placeMany(2)
            for id in fixture.network.ids.prefix(2) {
                _ = fixture.network.change(id) { $0.isUp = false }
            }
            fixture.run(600)
            #expect(fixture.stripes.moveCount == 0)
            #expect(!fixture.custodian.status.remarks.isEmpty)
            for number in 6..<8 { fixture.network.add(try TestProvider(number)) }
            fixture.run(600)
            #expect(fixture.isWhole())
        }
    }

    @Test func whoLeavesIsDrainedWithoutReadingOthers() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(8)
            fixture.run(30)
            let id = fixture.network.ids[2]
            let held = fixture.stripes.all.flatMap(\.shards).count { $0.provider == id }
            let gets = fixture.network.read { world in
                world.providers.values.filter { $0.id != id }.map(\.gets).reduce(0, +)
            }
            _ = fixture.network.change(id) { $0.isLeaving = true }
            fixture.run(300)
            #expect(!fixture.stripes.all.flatMap(\.shards).contains { $0.provider == id })
            #expect(fixture.isWhole())
            #expect(fixture.isUnderOrder())
            #expect(fixture.stripes.moveCount == held)
            let left = fixture.network.change(id) { $0.shards.count }
            #expect(left == 0)
            let getsAfter = fixture.network.read { world in
                world.providers.values.filter { $0.id != id }.map(\.gets).reduce(0, +)
            }
            #expect(getsAfter == gets)
        }
    }

    @Test func worstStripesComeFirst() throws {
        try Fixture.with(providers: 12) { configuration in
            // One stripe at a time, so that the order shows.
            configuration.repairBytesPerSecond = 1000
        } _: { fixture in
            let ids = fixture.network.ids
            let one = try fixture.place(1, on: Array(ids[1..<7]))
            let two = try fixture.place(2, on: Array(ids[0..<6]))
            fixture.book.flush()
            fixture.run(30)
            for holding in one.shards where holding.provider == ids[1] {
                _ = fixture.network.change(ids[1]) { $0.shards[holding.shard] = nil }
            }
            for holding in two.shards where ids[0..<2].contains(holding.provider) {
                _ = fixture.network.change(holding.provider) { $0.shards[holding.shard] = nil }
            }
            _ = try fixture.custodian.auditNow()
            fixture.run(3 * 3600, step: 10)
            #expect(fixture.stripes.movedStripes == [two.id, two.id, one.id])
        }
    }

    @Test func bandwidthIsBounded() throws {
        try Fixture.with { configuration in
            configuration.repairBytesPerSecond = 20_000
            configuration.audits = false
        } _: { fixture in
            try fixture.placeMany(48)
            fixture.run(30)
            let before = fixture.network.read { $0.readBytes + $0.writtenBytes }
            let id = fixture.network.ids[0]
            _ = fixture.network.change(id) { $0.isLeaving = true }
            let start = fixture.clock.now
            let perShard = 2 * Fixture.shardBytes
            while fixture.clock.now.seconds(since: start) < 60 {
                fixture.run(1, step: 1)
                let moved = fixture.network.read { $0.readBytes + $0.writtenBytes } - before
                let seconds = fixture.clock.now.seconds(since: start)
                // A second's worth at first, and the shards that were begun.
                #expect(Double(moved) <= 20_000 * (seconds + 1) + 2 * Double(perShard))
            }
            let moved = fixture.network.read { $0.readBytes + $0.writtenBytes } - before
            #expect(moved > 20_000 * 40)
            #expect(UInt64(moved) == fixture.custodian.status.repairedBytes)
        }
    }

    @Test func nothingIsRepairedTwice() throws {
        try Fixture.with {
            $0.audits = false
        } _: { fixture in
            try fixture.placeMany(6)
            let id = fixture.network.ids[0]
            let held = fixture.stripes.all.flatMap(\.shards).count { $0.provider == id }
            _ = fixture.network.change(id) { $0.isUp = false }
            fixture.run(3 * Self.day, step: 300)
            #expect(fixture.stripes.moveCount == held)
            let puts = fixture.network.read { $0.puts.count }
            #expect(puts == 36 + held)
        }
    }

    @Test func aPutThatFailsLeavesTheStripeAsItWas() throws {
        try Fixture.with(providers: 7) {
            $0.audits = false
        } _: { fixture in
            try fixture.placeMany(1)
            let holding = fixture.stripes.all[0].shards[0]
            let spareID = try #require(
                fixture.network.ids.first { id in
                    !fixture.stripes.all[0].shards.contains { $0.provider == id }
                }
            )
            _ = fixture.network.change(spareID) { $0.putsLeft = 0 }
            _ = fixture.network.change(holding.provider) { $0.isUp = false }
            fixture.run(Self.day + 7200, step: 300)
            #expect(fixture.stripes.moveCount == 0)
            _ = fixture.network.change(spareID) { $0.putsLeft = nil }
            fixture.run(2 * 3600, step: 60)
            #expect(fixture.stripes.moveCount == 1)
            #expect(fixture.isWhole())
        }
    }

    @Test func aDoubtIsChecked() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(1)
            let stripe = fixture.stripes.all[0]
            fixture.custodian.noteDoubt(stripe: stripe.id, index: 0)
            fixture.run(30)
            #expect(fixture.custodian.status.shardsMissing == 0)
            let holding = stripe.shards[0]
            _ = fixture.network.change(holding.provider) { $0.flip(holding.shard, byte: 100) }
            fixture.custodian.noteDoubt(stripe: stripe.id, index: 0)
            fixture.run(30)
            #expect(fixture.custodian.status.shardsMissing == 1)
            fixture.run(2 * 3600, step: 60)
            #expect(fixture.isWhole())
        }
    }

    @Test func aSourceThatFailsStopsNothingElse() throws {
        try Fixture.with { fixture in
            try fixture.placeMany(2)
            fixture.stripes.state.withLock { $0.fails = true }
            fixture.run(600)
            #expect(fixture.custodian.status.remarks.count == 1)
            #expect(fixture.custodian.status.lastProofOfAll == nil)
            fixture.runEpochs(1)
            #expect(fixture.custodian.status.lastProofOfAll != nil)
            fixture.stripes.state.withLock { $0.fails = false }
            fixture.run(1200)
            #expect(fixture.custodian.status.remarks.isEmpty)
        }
    }
}
