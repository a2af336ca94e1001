import Metadata
import Primitives
import Testing

/// Blocks, stripes and their sums.
@Suite struct ContentTests {
    private let mib = UInt64(Geometry.blockBytes)

    @Test func dirtyBlockBecomesPlaced() throws {
        try withNewStore { path in
            var store = try MetadataStore(opening: path)
            let ino = try store.make("f")
            try store.recordWrite(ino, growingTo: mib + 100, now: time(3))
            let tokens = try (0..<2).map {
                try store.markDirty(ino, BlockIndex($0), since: time(4), resident: .max)
            }
            #expect(tokens[0] == time(4) && tokens[1] > time(4))
            #expect(store.totals.dirtyBytes == mib + 100)
            #expect(store.totals.oldestDirty == time(4))

            let stripe = try Stripes.begin(1, in: store)
            let placed = (0..<2).map { index in
                PlacedBlock(
                    key: BlockKey(ino, BlockIndex(UInt64(index))),
                    location: Stripes.location(
                        in: stripe,
                        at: index,
                        bytes: index == 0 ? mib : 100
                    ),
                    token: tokens[index]
                )
            }
            #expect(try store.completeStripe(stripe.id, blocks: placed) == placed.map(\.key))
            #expect(store.totals.dirtyBytes == 0)
            #expect(store.totals.placedBytes == mib + 100)
            #expect(try store.blocks(in: stripe.id) == placed.map(\.key))
            try store.close()

            store = try MetadataStore(opening: path)
            #expect(try store.stripe(stripe.id) == stripe)
            #expect(try store.block(BlockIndex(1), of: ino)?.location == placed[1].location)
            #expect(try store.blocks(of: ino).map(\.resident) == [.max, .max])
            try store.close()
        }
    }

    @Test func blockChangedMeanwhileStaysDirty() throws {
        try withStore { store in
            let ino = try store.make("f")
            try store.recordWrite(ino, growingTo: 100, now: time(3))
            let token = try store.markDirty(ino, BlockIndex(0), since: time(4), resident: .max)
            let newer = try store.markDirty(ino, BlockIndex(0), since: time(4))
            #expect(newer > token)
            let stripe = try Stripes.begin(1, in: store)
            let block = PlacedBlock(
                key: BlockKey(ino, BlockIndex(0)),
                location: Stripes.location(in: stripe, at: 0, bytes: 100),
                token: token
            )
            #expect(try store.completeStripe(stripe.id, blocks: [block]) == [])
            #expect(try store.block(BlockIndex(0), of: ino)?.dirtySince == newer)
            // Nothing refers to the stripe: it is garbage at once.
            #expect(try store.deadShards(limit: 100).map(\.record) == stripe.shards)
        }
    }

    @Test func replacedStripeDiesAndIsForgotten() throws {
        try withStore { store in
            let ino = try store.make("f")
            let first = try Stripes.place(ino, bytes: 100, 1, in: store)
            let second = try Stripes.place(ino, bytes: 100, 2, in: store)
            let dead = try store.deadShards(limit: 100)
            #expect(Set(dead.map(\.stripe)) == [first.id])
            try store.forgetShards(Array(dead.prefix(4)))
            #expect(try store.deadShards(limit: 100).count == 2)
            try store.forgetShards(dead)
            #expect(try store.deadShards(limit: 100).isEmpty)
            #expect(code { _ = try store.stripe(first.id) } == .notFound)
            let used = DeadShard.of(try store.stripe(second.id))
            #expect(code { try store.forgetShards(used) } == .invalid)
        }
    }

    /// Regression: operations without any change were counted as unsaved for ever, and at the
    /// bound the next one waited for a commit that had nothing to save.
    @Test func regressionManyOperationsThatChangeNothing() throws {
        try withStore(limits: .tiny) { store in
            let ino = try store.make("f")
            for _ in 0..<100 { try store.removeBlocks(ino, BlockIndex(0)..<BlockIndex(10)) }
            try store.make("g")
        }
    }

    /// Regression: chunks emptied in memory filled each part of a reaping, which never got on.
    @Test func regressionReapingAfterManyHoles() throws {
        try withNewStore { path in
            var store = try MetadataStore(opening: path)
            let ino = try store.make("f")
            let chunks: UInt64 = 150
            try store.recordWrite(ino, growingTo: chunks << 26, now: time(3))
            for chunk in 0..<chunks {
                try store.markDirty(ino, BlockIndex(chunk * 64), since: time(3), resident: .max)
            }
            try store.close()
            store = try MetadataStore(opening: path)
            try store.removeBlocks(ino, BlockIndex(0)..<BlockIndex(100 * 64))
            #expect(store.totals.dirtyBlocks == 50)
            try store.unlink(name("f"), in: .root, now: time(4))
            try store.reap(ino)
            #expect(store.totals.dirtyBlocks == 0)
            try store.close()
        }
    }

    /// Shards whose provider is away stay listed, and must not hide the others.
    @Test func deadShardsAreGivenInTurn() throws {
        try withStore { store in
            for number in 1...2 as ClosedRange<UInt64> {
                _ = try Stripes.begin(number, in: store)
                try store.abandonStripe(Stripes.id(number))
            }
            var seen: [DeadShard] = []
            for count in [5, 5, 2, 5] {
                let part = try store.deadShards(limit: 5)
                #expect(part.count == count)
                seen += part
            }
            #expect(Set(seen.prefix(12)).count == 12)
            #expect(seen.prefix(5) == seen.suffix(5))
        }
    }

    @Test func interruptedStripeIsGarbageAfterReopening() throws {
        try withNewStore { path in
            var store = try MetadataStore(opening: path)
            let stripe = try Stripes.begin(1, in: store)
            #expect(try store.deadShards(limit: 100).isEmpty)
            try store.close()
            store = try MetadataStore(opening: path)
            #expect(try store.deadShards(limit: 100).map(\.record) == stripe.shards)
            #expect(code { try store.completeStripe(stripe.id, blocks: []) } == .invalid)
            try store.close()
        }
    }

    @Test func shardThatWentElsewhereIsDeletedWhereItFailed() throws {
        try withStore { store in
            let ino = try store.make("f")
            try store.recordWrite(ino, growingTo: 100, now: time(3))
            let token = try store.markDirty(ino, BlockIndex(0), since: time(4), resident: .max)
            let stripe = try Stripes.begin(1, in: store)
            let old = stripe.shards[2]
            let new = ShardRecord(
                index: 2,
                shard: old.shard,
                provider: Stripes.id(77),
                root: old.root
            )
            try store.reassignShard(
                of: stripe.id,
                from: old,
                to: new,
                garbage: Stripes.id(9_000)
            )
            let block = PlacedBlock(
                key: BlockKey(ino, BlockIndex(0)),
                location: Stripes.location(in: stripe, at: 0, bytes: 100),
                token: token
            )
            try store.completeStripe(stripe.id, blocks: [block])
            #expect(try store.stripe(stripe.id).shards[2] == new)
            #expect(try store.deadShards(limit: 100).map(\.record) == [old])
        }
    }

    @Test func cutBlockKeepsItsHeadAndReadsZeroBehindIt() throws {
        try withStore { store in
            let ino = try store.make("f")
            _ = try Stripes.place(ino, bytes: 1000, 1, in: store)
            var change = AttributeChange()
            change.size = 10
            _ = try store.setAttributes(change, of: ino, now: time(5))
            change.size = 1000
            _ = try store.setAttributes(change, of: ino, now: time(6))
            let block = try store.block(BlockIndex(0), of: ino)
            #expect(block?.location?.validBytes == 10)
            #expect(block?.location?.plainBytes == 1000)
            #expect(block?.resident == .max)
            change.size = 0
            _ = try store.setAttributes(change, of: ino, now: time(7))
            #expect(try store.blocks(of: ino).isEmpty)
            #expect(try store.deadShards(limit: 100).count == 6)
        }
    }

    @Test func evictionTakesCleanBlocksOnly() throws {
        try withStore { store in
            let ino = try store.make("f")
            _ = try Stripes.place(ino, bytes: 1000, 1, in: store)
            let other = try store.make("g")
            try store.recordWrite(other, growingTo: 10, now: time(3))
            try store.markDirty(other, BlockIndex(0), since: time(4), resident: .max)
            #expect(store.totals.residentBytes == 1010)
            let keys = [
                BlockKey(ino, BlockIndex(0)), BlockKey(other, BlockIndex(0)),
                BlockKey(ino, BlockIndex(5)), BlockKey(InodeNumber(999), BlockIndex(0)),
            ]
            #expect(try store.residentClean(limit: 10).map(\.key) == [keys[0]])
            #expect(try store.evict(keys) == [keys[0]])
            #expect(store.totals.residentBytes == 10)
            #expect(try store.block(BlockIndex(0), of: ino)?.location != nil)
            #expect(try store.residentClean(limit: 10).isEmpty)
        }
    }

    @Test func shardsMoveOnlyFromTheirHolderAndOnlyInPlacedStripes() throws {
        try withStore { store in
            let ino = try store.make("f")
            let stripe = try Stripes.place(ino, bytes: 3 * mib, 1, in: store)
            let placing = try Stripes.begin(2, in: store)
            let (first, second): (NodeID, NodeID) = (Stripes.id(90), Stripes.id(91))
            let from = stripe.shards[4].provider
            #expect(try !store.moveShard(of: stripe.id, index: 4, from: first, to: second))
            #expect(try !store.moveShard(of: stripe.id, index: 9, from: from, to: first))
            #expect(try !store.moveShard(of: placing.id, index: 4, from: from, to: first))
            #expect(try !store.moveShard(of: Stripes.id(3), index: 4, from: from, to: first))
            #expect(try store.stripe(stripe.id) == stripe)
            let moves = [(from, first), (first, second), (from, first)].map { from, to in
                ShardMove(stripe: stripe.id, index: 4, from: from, to: to)
            }
            #expect(try store.moveShards(moves) == [true, true, false])
            let moved = stripe.moving(4, to: second)
            #expect(try store.placedStripe(stripe.id) == moved)
            #expect(try store.placedStripe(placing.id) == nil)
            #expect(try store.allPlacedStripes() == [moved])
            try store.unlink(name("f"), in: .root, now: time(5))
            try store.reap(ino)
            #expect(try store.placedStripe(stripe.id) == nil)
            #expect(try !store.moveShard(of: stripe.id, index: 4, from: second, to: first))
            // What is to be deleted is where it was moved to.
            #expect(try Set(store.deadShards(limit: 20)) == Set(DeadShard.of(moved)))
            #expect(try store.allPlacedStripes().isEmpty)
        }
    }

    @Test func shardsOfNoStripeAreKeptUntilTheyAreDeleted() throws {
        try withNewStore { path in
            var store = try MetadataStore(opening: path)
            let stray = Stripes.record(7).shards[3]
            let id: StripeID = Stripes.id(70)
            let code = Stripes.record(7).code
            try store.keepGarbage(stray, shardBytes: 1 << 20, code: code, under: id)
            try store.close()
            store = try MetadataStore(opening: path)
            let dead = DeadShard(stripe: id, record: stray)
            #expect(try store.deadShards(limit: 9) == [dead])
            try store.forgetShards([dead])
            #expect(try store.deadShards(limit: 9).isEmpty)
            #expect(store.totals.stripes == 0)
            try store.close()
        }
    }

    /// A provider that failed while a stripe was placed may get the same shard in a repair later.
    @Test func whatMovesBackToAProviderIsNoGarbageThereAnyMore() throws {
        try withStore { store in
            let ino = try store.make("f")
            let stripe = try Stripes.place(ino, bytes: 3 * mib, 1, in: store)
            let shard = stripe.shards[2]
            let at: NodeID = Stripes.id(90)
            let code = stripe.code
            func garbage(_ shard: ShardRecord, at: NodeID, _ number: UInt64) throws -> DeadShard {
                let record = ShardRecord(
                    index: shard.index,
                    shard: shard.shard,
                    provider: at,
                    root: shard.root
                )
                let id: StripeID = Stripes.id(number)
                try store.keepGarbage(record, shardBytes: 1 << 20, code: code, under: id)
                return DeadShard(stripe: id, record: record)
            }
            let other: NodeID = Stripes.id(91)
            _ = try garbage(shard, at: at, 70)
            let kept = [
                try garbage(shard, at: other, 71), try garbage(stripe.shards[3], at: at, 72),
            ]
            let from = shard.provider
            #expect(try store.moveShard(of: stripe.id, index: 2, from: from, to: at))
            #expect(try Set(store.deadShards(limit: 9)) == Set(kept))
        }
    }

    @Test func appliedRepairsAreKeptForEachKeeper() throws {
        try withNewStore { path in
            var store = try MetadataStore(opening: path)
            let (keeper, other): (NodeID, NodeID) = (Stripes.id(1), Stripes.id(2))
            #expect(try store.repairsApplied(of: keeper) == 0)
            try store.setRepairsApplied(of: keeper, 7)
            #expect(try store.repairsApplied(of: keeper) == 7)
            try store.close()
            store = try MetadataStore(opening: path)
            #expect(try store.repairsApplied(of: keeper) == 7)
            #expect(try store.repairsApplied(of: other) == 0)
            try store.close()
        }
    }

    @Test func sparseStripesAreFoundEmptiestFirst() throws {
        try withStore { store in
            var stripes: [StripeRecord] = []
            for (index, count) in [1, 3, 2, 4].enumerated() {
                let ino = try store.make("f\(index)")
                stripes.append(
                    try Stripes.place(ino, bytes: 4 * mib, UInt64(index + 1), in: store)
                )
                var change = AttributeChange()
                change.size = UInt64(count) * mib
                _ = try store.setAttributes(change, of: ino, now: time(5))
            }
            let found = try store.sparseStripes(liveBelow: 0.6, limit: 10)
            #expect(found == [stripes[0].id, stripes[2].id])
            #expect(try store.sparseStripes(liveBelow: 0.6, limit: 1) == [stripes[0].id])
        }
    }

    @Test func dirtyBlocksComeOldestFirst() throws {
        try withNewStore { path in
            var store = try MetadataStore(opening: path)
            let files = try (0..<5).map { try store.make("f\($0)") }
            for (index, ino) in files.enumerated() {
                try store.recordWrite(ino, growingTo: 10, now: time(3))
                try store.markDirty(ino, BlockIndex(0), since: time(10 + index), resident: .max)
            }
            try store.markDirty(files[0], BlockIndex(0), since: time(20))
            try store.unlink(name("f3"), in: .root, now: time(4))
            try store.reap(files[3])
            for _ in 0..<2 {
                let dirty = try store.dirtyBlocks(limit: 10)
                #expect(dirty.map(\.key.ino) == [files[1], files[2], files[4], files[0]])
                #expect(try store.dirtyBlocks(limit: 10, olderThan: time(12)).count == 1)
                #expect(try store.dirtyBlocks(limit: 2).count == 2)
                #expect(store.totals.dirtyFiles == 4)
                #expect(store.totals.placedFiles == 0)
                try store.close()
                store = try MetadataStore(opening: path)
            }
            try store.close()
        }
    }

    // MARK: Random

    /// Sums kept by increments must be those that SQL finds after reopening, and the blocks those
    /// of a reference, in memory and after reopening.
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func randomChangesKeepBlocksAndSums(seed: UInt64) throws {
        let limits = seed.isMultiple(of: 2) ? MetadataLimits.tiny : MetadataLimits()
        try withNewStore { path in
            var store = try MetadataStore(opening: path, limits: limits)
            var operations = RandomContent(seed: seed)
            for round in 0..<6 {
                for _ in 0..<80 { try operations.step(store) }
                try operations.compare(store, "seed \(seed), round \(round)")
                let totals = store.totals
                try store.close()
                store = try MetadataStore(opening: path, limits: limits)
                var recounted = store.totals
                // Known only as far as blocks are still dirty.
                recounted.newestToken = totals.newestToken
                #expect(recounted == totals, "seed \(seed), round \(round)")
                try operations.compare(store, "seed \(seed), round \(round), reopened")
            }
            try operations.removeAll(store)
            #expect(store.totals.placedBytes == 0)
            #expect(store.totals.residentBytes == 0)
            #expect(store.totals.dirtyBytes == 0)
            // Nothing refers to any stripe, so every shard there is must be on its way out.
            #expect(try store.deadShards(limit: .max).count == operations.shardsBegun)
            try store.forgetShards(try store.deadShards(limit: .max))
            #expect(try store.deadShards(limit: .max).isEmpty)
            try store.close()
        }
    }
}
