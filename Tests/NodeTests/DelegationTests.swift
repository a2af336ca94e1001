import Disk
import Glibc
import Network
import Node
import Primitives
import Proofs
import Sealing
import Testing
import Transport
import Wire

extension TestKeeper {
    var id: NodeID {
        get throws { try #require(server.id) }
    }

    func delegation(
        volume: UInt8 = 5,
        owner: UInt8 = 7,
        to keeper: NodeID? = nil,
        expires: Timestamp = Timestamp(seconds: 1 << 40, nanoseconds: 0)
    ) throws -> Delegate {
        Delegate(
            grant: try Samples.grant(
                volume: volume,
                owner: owner,
                to: try keeper ?? id,
                expires: expires
            ),
            repairKey: RepairKey(trusted: Array(repeating: 10, count: 32)),
            code: try Samples.code()
        )
    }

    func hold() throws -> DelegationState {
        try ask(HoldVolume(volume: try Samples.volumeID()))
    }

    func put(_ stripes: [StripeManifest], removing removed: [StripeID] = []) throws {
        let volume = try Samples.volumeID()
        for part in PutStripes.split(volume: volume, upserts: stripes, removed: removed) {
            _ = try ask(part)
        }
    }

    func replace(_ bucket: UInt8, _ stripes: [StripeManifest]) throws {
        let volume = try Samples.volumeID()
        for page in ReplaceBucket.pages(volume: volume, bucket: bucket, stripes: stripes) {
            _ = try ask(page)
        }
    }
}

/// Stripes of 4+2 with random ids, in `bucket` if given.
private func stripes(_ count: Int, seed: UInt64, bucket: UInt8? = nil) throws -> [StripeManifest] {
    var random = SeededGenerator(seed: seed)
    return try (0..<count).map { _ in
        var id = random.bytes(16)
        if let bucket { id[0] = bucket }
        return StripeManifest(
            id: try #require(StripeID(bytes: id)),
            code: try Samples.code(),
            shardBytes: 1 << 20,
            shards: try (0..<6).map { index in
                ShardHolding(
                    index: index,
                    shard: try #require(ShardID(bytes: random.bytes(16))),
                    provider: try Samples.key(3 + index).publicKey.nodeID,
                    root: try #require(Digest(bytes: random.bytes(32)))
                )
            }
        )
    }
}

@Suite struct DelegationTests {
    @Test func delegatedVolumeBeginsEmpty() throws {
        try withKeeper { keeper in
            let state = try keeper.ask(keeper.delegation())
            #expect(state.digests == BucketDigests())
            #expect(try keeper.hold() == state)
            let volume = try Samples.volumeID()
            #expect(try keeper.ask(FetchRepairs(volume: volume, after: 0)).repairs.isEmpty)
        }
    }

    @Test func stripesAreComparedByDigestsAlsoAfterARestart() throws {
        try withKeeper { keeper in
            let delegation = try keeper.delegation()
            _ = try keeper.ask(delegation)
            var all = try stripes(3000, seed: 1)
            try keeper.put(all)
            #expect(try keeper.hold().digests == BucketDigests(of: all))
            // Again, it changes nothing.
            try keeper.put(Array(all.prefix(100)))
            #expect(try keeper.hold().digests == BucketDigests(of: all))
            let provider = try Samples.key(30).publicKey.nodeID
            all[0] = all[0].moving(index: 2, to: provider)
            try keeper.put([all[0]], removing: all[1..<50].map(\.id))
            all.removeSubrange(1..<50)
            try keeper.restart()
            let state = try keeper.hold()
            #expect(state.digests == BucketDigests(of: all))
            #expect(try keeper.ask(delegation) == state)
        }
    }

    @Test func replacedBucketIsExactlyWhatTheOwnerHas() throws {
        try withKeeper { keeper in
            _ = try keeper.ask(keeper.delegation())
            let before = try stripes(1500, seed: 1, bucket: 9)
            let others = try stripes(100, seed: 2, bucket: 10)
            try keeper.put(before + others)
            let after = try Array(before.suffix(700)) + stripes(1000, seed: 3, bucket: 9)
            try keeper.replace(9, after)
            #expect(try keeper.hold().digests == BucketDigests(of: after + others))
            try keeper.replace(9, [])
            #expect(try keeper.hold().digests == BucketDigests(of: others))
        }
    }

    @Test func digestsTellWhichBucketsDiffer() throws {
        let all = try stripes(200, seed: 1)
        let mine = BucketDigests(of: all)
        #expect(BucketDigests(of: all.reversed()) == mine)
        #expect(mine.differing(from: mine).isEmpty)
        let fewer = BucketDigests(of: all.dropLast())
        #expect(mine.differing(from: fewer) == [try #require(all.last).bucket])
        var both = fewer
        both.add(try #require(all.last))
        #expect(both == mine)
    }

    @Test func bucketIsCutIntoPagesThatFitAKeepersFrames() throws {
        let volume = try Samples.volumeID()
        let all = try stripes(3000, seed: 1, bucket: 9)
        let pages = ReplaceBucket.pages(volume: volume, bucket: 9, stripes: all)
        #expect(pages.count > 1)
        #expect(pages.map(\.isLast) == Array(repeating: false, count: pages.count - 1) + [true])
        #expect(pages.flatMap(\.stripes) == all.sorted { $0.id < $1.id })
        for page in pages {
            #expect(page.encoded.count < 1 << 20)
            let read = try ReplaceBucket(decoding: page.encoded)
            #expect(read == page)
        }
        let parts = PutStripes.split(volume: volume, upserts: all, removed: all.map(\.id))
        #expect(parts.allSatisfy { $0.encoded.count < 1 << 20 })
        #expect(parts.flatMap(\.upserts) == all)
        #expect(parts.flatMap(\.removed) == all.map(\.id))
    }

    @Test func repairKeyIsForTheKeeperAlone() throws {
        try withKeeper { keeper in
            _ = try keeper.ask(keeper.delegation())
            for suffix in ["", "-wal", "-shm"] {
                var result = stat()
                #expect(stat(keeper.path + "/keeper/delegations.db" + suffix, &result) == 0)
                #expect(result.st_mode & 0o777 == 0o600)
            }
        }
    }

    @Test func volumeTakenBackIsForgotten() throws {
        try withKeeper { keeper in
            let volume = try Samples.volumeID()
            let first = try keeper.ask(keeper.delegation())
            try keeper.put(try stripes(10, seed: 1))
            _ = try keeper.ask(Undelegate(volume: volume))
            #expect(try keeper.code(HoldVolume(volume: volume), by: 7) == .notFound)
            keeper.clock.pass(1)
            let again = try keeper.ask(keeper.delegation())
            #expect(again.digests == BucketDigests())
            #expect(again.repairs > first.repairs)
        }
    }

    @Test func nobodyDelegatesForAnother() throws {
        try withKeeper { keeper in
            let other = try keeper.delegation(owner: 8)
            #expect(try keeper.code(other, by: 7) == .unauthorized)
            #expect(try keeper.code(other, by: 8) == nil)
        }
    }

    @Test func grantForAnotherKeeperIsRefused() throws {
        try withKeeper { keeper in
            let other = try Samples.key(9).publicKey.nodeID
            #expect(try keeper.code(keeper.delegation(to: other), by: 7) == .unauthorized)
        }
    }

    @Test func expiredGrantIsRefused() throws {
        try withKeeper { keeper in
            let expired = try keeper.delegation(expires: keeper.clock.now)
            #expect(try keeper.code(expired, by: 7) == .unauthorized)
        }
    }

    @Test func strangersSeeAndChangeNothing() throws {
        try withKeeper { keeper in
            _ = try keeper.ask(keeper.delegation())
            let all = try stripes(10, seed: 1)
            try keeper.put(all)
            let volume = try Samples.volumeID()
            #expect(try keeper.code(HoldVolume(volume: volume), by: 8) == .notFound)
            #expect(
                try keeper.code(PutStripes(volume: volume, upserts: all), by: 8) == .notFound
            )
            let page = ReplaceBucket(
                volume: volume,
                bucket: 0,
                after: nil,
                isLast: true,
                stripes: []
            )
            #expect(try keeper.code(page, by: 8) == .notFound)
            #expect(
                try keeper.code(FetchRepairs(volume: volume, after: 0), by: 8) == .notFound
            )
            #expect(try keeper.code(Undelegate(volume: volume), by: 8) == .notFound)
            // The same id of another owner is another volume.
            _ = try keeper.code(keeper.delegation(owner: 8), by: 8)
            #expect(try keeper.code(Undelegate(volume: volume), by: 8) == nil)
            #expect(try keeper.hold().digests == BucketDigests(of: all))
        }
    }

    @Test func pageOfAnotherBucketIsRefused() throws {
        let stripe = try Samples.manifest(8)
        let volume = try Samples.volumeID()
        for (bucket, after) in [(9, nil), (8, try Samples.stripe(7)), (8, try Samples.stripe(8))]
            as [(UInt8, StripeID?)]
        {
            let page = ReplaceBucket(
                volume: volume,
                bucket: bucket,
                after: after,
                isLast: true,
                stripes: [stripe]
            )
            #expect(throws: (any Error).self) { try ReplaceBucket(decoding: page.encoded) }
        }
    }
}
