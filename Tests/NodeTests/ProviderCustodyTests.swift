import Disk
import Network
import Node
import Primitives
import Proofs
import Sealing
import Testing
import Transport

/// What a provider proves, what it admits, and how it is mended.
@Suite struct ProviderCustodyTests {
    @Test(arguments: [1, 32, 460] as [UInt32])
    func challengeIsProved(leaves: UInt32) throws {
        try withProvider { _, owner, order in
            let sizes = [1 << 10, 8 << 10, 17 << 10, 100 << 10, 4 << 20]
            let shards = try sizes.enumerated().map {
                try TestShard(UInt64($0.offset), count: $0.element)
            }
            try owner.put(shards)
            try order.amend(adding: shards)
            let outcome = try order.audit(leaves)
            #expect(outcome.verdict == .ok, "\(outcome.reason)")
            #expect(outcome.provedLeaves == (try order.challenge(leaves)).draws().count)
            try order.amend(removing: [shards[4]])
            #expect(try order.audit(leaves, epoch: 8).verdict == .ok)
        }
    }

    @Test func emptyOrderIsProvedToo() throws {
        try withProvider { _, _, order in
            let outcome = try order.audit()
            #expect(outcome.verdict == .ok)
        }
    }

    @Test func olderStateIsAnsweredWithTheNewer() throws {
        try withProvider { _, owner, order in
            let shards = [try TestShard(1), try TestShard(2)]
            try owner.put(shards)
            try order.amend(adding: [shards[0]])
            let old = try order.challenge()
            try order.amend(adding: [shards[1]])
            let answer = try owner.ask(ChallengeProvider(challenge: old))
            #expect(answer == .stale(order.state, nil))
        }
    }

    @Test func stateThatWasNeverSignedHereIsUnknown() throws {
        try withProvider { provider, owner, order in
            let ahead = Challenge(
                order: order.id,
                provider: provider.id,
                epoch: Epoch(7),
                beacon: try Samples.digest(9),
                sequence: 9,
                commitment: .empty,
                leaves: 32
            )
            #expect(try owner.ask(ChallengeProvider(challenge: ahead)) == .unknownOrder)
            #expect(provider.log.contains("this provider lost what it signed"))
            let nowhere = Challenge(
                order: try #require(OrderID(bytes: [UInt8](repeating: 3, count: 16))),
                provider: provider.id,
                epoch: Epoch(7),
                beacon: try Samples.digest(9),
                sequence: 0,
                commitment: .empty,
                leaves: 32
            )
            #expect(try owner.ask(ChallengeProvider(challenge: nowhere)) == .unknownOrder)
        }
    }

    @Test func strangerMayNotChallenge() throws {
        try withProvider { provider, _, order in
            let stranger = try provider.client(51)
            defer { stranger.close() }
            let query = ChallengeProvider(challenge: try order.challenge())
            let refusal = stranger.refusal(query)
            #expect(refusal?.code == .unauthorized)
            #expect(refusal?.message.contains("present its grant") == true)
        }
    }

    @Test func manyChallengesAtOnceAreAllAnswered() throws {
        try withProvider { _, owner, order in
            let shards = try (0..<20).map { try TestShard(UInt64($0), count: 64 << 10) }
            try owner.put(shards)
            try order.amend(adding: shards)
            let challenges = try (0..<40).map { try order.challenge(460, epoch: $0) }
            let answers = challenges.map { owner.start(ChallengeProvider(challenge: $0)) }
            for (challenge, answer) in zip(challenges, answers) {
                guard case .proof(let proof) = try answer.wait(for: .seconds(60)) else {
                    Issue.record("no proof")
                    continue
                }
                #expect(Verifier.verify(proof, of: challenge).verdict == .ok)
            }
        }
    }

    // MARK: Damage

    @Test func flippedBitIsAdmittedAndMendedByAPut() throws {
        try withProvider { provider, owner, order in
            let shards = try (0..<4).map { try TestShard(UInt64($0), count: 64 << 10) }
            try owner.put(shards)
            try order.amend(adding: shards)
            try provider.flip(shards[2], at: 20_000)
            // 230 of 256 leaves are drawn, so the rotten chunk is among them.
            let outcome = try order.audit(1000)
            #expect(outcome.verdict == .corrupt)
            #expect(outcome.corrupt == [shards[2].id])
            #expect(try owner.status().damagedShards == 1)
            // The next proof names it whether it is asked for or not.
            #expect(try order.audit(1, epoch: 8).damaged == [shards[2].id])
            let read = #expect(throws: NetworkError.self) { try owner.get(shards[2]) }
            #expect(read?.code == .corrupt)
            // Nothing new is promised on it either.
            var next = try ClientOrder(owner, at: provider, generation: 1)
            let (query, _) = try next.amendment(adding: [shards[2]])
            #expect(owner.refusal(query)?.code == .notFound)

            let used = try owner.status().usedBytes
            try owner.put(shards[2])
            #expect(try owner.status().damagedShards == 0)
            #expect(try owner.status().usedBytes == used)
            #expect(try owner.status().shardCount == 4)
            #expect(try owner.get(shards[2]) == shards[2].bytes)
            #expect(try order.audit(1000).verdict == .ok)
            try next.amend(adding: [shards[2]])
            try provider.restart()
            #expect(try order.audit(1000, epoch: 9).verdict == .ok)
            #expect(try owner.status().damagedShards == 0)
        }
    }

    @Test func damageIsRememberedOverARestart() throws {
        try withProvider { provider, owner, order in
            let shard = try TestShard(1, count: 64 << 10)
            try owner.put(shard)
            try order.amend(adding: [shard])
            try provider.flip(shard, at: 0)
            _ = try? owner.get(shard)
            #expect(try owner.status().damagedShards == 1)
            try provider.restart()
            #expect(try owner.status().damagedShards == 1)
            // Other bytes under its id do not mend it.
            var other = try TestShard(2, count: 64 << 10)
            other = TestShard(id: shard.id, bytes: other.bytes, root: other.root)
            let refusal = #expect(throws: NetworkError.self) { try owner.put(other) }
            #expect(refusal?.code == .exists)
            try order.amend(removing: [shard])
            try owner.delete([shard])
            #expect(try owner.status().damagedShards == 0)
        }
    }

    /// The trailer lies behind the shard: its rot does not make the shard unprovable.
    @Test func rottenTrailerIsNotedAndTheShardStillProved() throws {
        try withProvider { provider, owner, order in
            let shard = try TestShard(1, count: 64 << 10)
            try owner.put(shard)
            try order.amend(adding: [shard])
            try provider.flip(shard, at: (64 << 10) + 40)
            let outcome = try order.audit()
            #expect(outcome.verdict == .ok)
            #expect(try owner.status().damagedShards == 1)
            #expect(try order.audit(1).damaged == [shard.id])
            #expect(try owner.get(shard) == shard.bytes)
            try owner.put(shard)
            #expect(try owner.status().damagedShards == 0)
            #expect(try order.audit().verdict == .ok)
        }
    }

    @Test(arguments: [false, true])
    func lostSegmentIsAdmittedAndRefilled(withIndex: Bool) throws {
        try withProvider { provider, owner, order in
            let shards = try (0..<5).map { try TestShard(UInt64($0), count: 16 << 10) }
            try owner.put(shards)
            try order.amend(adding: shards)
            try provider.restart {
                try WholeFile.remove(provider.segment)
                if withIndex {
                    for suffix in ["", "-wal", "-shm"] {
                        try WholeFile.remove(provider.path + "/index.db" + suffix)
                    }
                }
            }
            // At once, or once the orders were compared with the new index.
            #expect(eventually { (try? owner.status().damagedShards) == 5 })
            let outcome = try order.audit()
            #expect(outcome.verdict == .missing)
            #expect(Set(outcome.damaged) == Set(shards.map(\.id)))
            let read = #expect(throws: NetworkError.self) { try owner.get(shards[0]) }
            #expect(read?.code == .corrupt)
            try owner.put(shards)
            #expect(try owner.status().damagedShards == 0)
            #expect(try owner.status().shardCount == 5)
            #expect(
                try owner.status().usedBytes
                    == 5 * UInt64(SegmentRecord.footprint(length: 16 << 10))
            )
            #expect(try order.audit(460).verdict == .ok)
            try provider.restart()
            #expect(try order.audit(460, epoch: 8).verdict == .ok)
            #expect(try owner.status().damagedShards == 0)
        }
    }

    @Test func lostShardIsRefilledInAFullStore() throws {
        try withScratch { path in
            let footprint = UInt64(SegmentRecord.footprint(length: 16 << 10))
            let provider = try TestProvider(
                path + "/p",
                capacity: 3 * footprint,
                scrubBytesPerSecond: 1
            )
            defer { provider.stop() }
            let owner = try provider.client(50)
            defer { owner.close() }
            var order = try ClientOrder(owner, at: provider)
            let shards = try (0..<3).map { try TestShard(UInt64($0), count: 16 << 10) }
            try owner.put(shards)
            try order.amend(adding: shards)
            try provider.restart { try WholeFile.remove(provider.segment) }
            try owner.put(shards)
            #expect(try order.audit(460).verdict == .ok)
            let more = #expect(throws: NetworkError.self) {
                try owner.put(try TestShard(9, count: 16 << 10))
            }
            #expect(more?.code == .full)
        }
    }

    @Test func cutSegmentIsAdmitted() throws {
        try withProvider { provider, owner, order in
            let shards = try (0..<4).map { try TestShard(UInt64($0), count: 64 << 10) }
            for shard in shards { try owner.put(shard) }
            try order.amend(adding: shards)
            try provider.restart {
                let file = try Descriptor(opening: provider.segment, .readWrite)
                // The last record, and a part of the trailer of the one before.
                let footprint = UInt64(SegmentRecord.footprint(length: 64 << 10))
                let end = try file.size() - footprint
                try file.truncate(to: end - 4096)
            }
            #expect(try owner.status().damagedShards == 2)
            #expect(Set(try order.audit(1).damaged) == Set(shards[2...].map(\.id)))
            try owner.put(Array(shards[2...]))
            #expect(try order.audit(1000).verdict == .ok)
        }
    }

    // MARK: Scrub

    @Test func scrubFindsRotBeforeAnyChallenge() throws {
        try withProvider(scrubBytesPerSecond: 1 << 30) { provider, owner, order in
            let shards = try (0..<6).map { try TestShard(UInt64($0), count: 100 << 10) }
            try owner.put(shards)
            try order.amend(adding: shards)
            try provider.restart {
                try provider.flip(shards[1], at: 70_000)
                // In the trailer of another.
                try provider.flip(shards[4], at: (100 << 10) + 1)
            }
            #expect(eventually { (try? owner.status().damagedShards) == 2 })
            #expect(eventually { provider.log.contains("the store was read to its end") })
            // What was read to its end may have been the store before the restart.
            #expect(eventually { (try? owner.status().scrubbedBytes) ?? 0 >= 5 * 100 << 10 })
            #expect(provider.log.contains("shard \(shards[1].id) is damaged: chunk 4 is corrupt"))
            #expect(
                Set(try order.audit(1).damaged) == [shards[1].id, shards[4].id]
            )
        }
    }

    @Test func shardThatIsWholeAfterAllIsNoLongerDamaged() throws {
        try withProvider(scrubBytesPerSecond: 1 << 30) { provider, owner, order in
            let shard = try TestShard(1, count: 64 << 10)
            try owner.put(shard)
            try order.amend(adding: [shard])
            // A disk that is not there at one start, and back at the next.
            let aside = provider.path + "/aside"
            try provider.restart { try Directory.rename(provider.segment, to: aside) }
            #expect(try owner.status().damagedShards == 1)
            try provider.restart { try Directory.rename(aside, to: provider.segment) }
            #expect(eventually { (try? owner.status().damagedShards) == 0 })
            #expect(try order.audit().verdict == .ok)
        }
    }

    @Test func scrubGoesOnWhereItStopped() throws {
        try withProvider(scrubBytesPerSecond: 1 << 20) { provider, owner, order in
            let shards = try (0..<200).map { try TestShard(UInt64($0), count: 1024) }
            try owner.put(shards)
            try order.amend(adding: shards)
            try provider.restart()
            // 16 shards a second.
            #expect(eventually { (try? owner.status().scrubbedBytes) ?? 0 >= 4 << 10 })
            provider.stop()
            let text = String(
                decoding: try WholeFile.read(provider.path + "/scrub"),
                as: UTF8.self
            )
            let position = try #require(ShardID(hex: String(text.dropLast())))
            let ascending = shards.map(\.id).sorted()
            let index = try #require(ascending.firstIndex(of: position))
            #expect(index >= 2 && index < 199)
            try provider.restart()
        }
    }

    // MARK: Records of version 1

    @Test func recordOfVersion1IsReadProvedAndScrubbed() throws {
        try withScratch { path in
            let owner = try Samples.key(50).publicKey.nodeID
            let shards = try (0..<3).map { try TestShard(UInt64($0), count: 40 << 10) }
            let first = try TestProvider(path + "/p", scrubBytesPerSecond: 1)
            first.stop()
            try Self.writeVersion1(path + "/p", node: first.id, owner: owner, shards)
            let provider = try TestProvider(path + "/p", scrubBytesPerSecond: 1 << 30)
            defer { provider.stop() }
            let client = try provider.client(50)
            defer { client.close() }
            var order = try ClientOrder(client, at: provider)
            try order.amend(adding: shards)
            #expect(try client.get(shards[1]) == shards[1].bytes)
            #expect(try order.audit(460).verdict == .ok)
            #expect(eventually { provider.log.contains("the store was read to its end") })
            #expect(try client.status().damagedShards == 0)
            try provider.flip(shards[0], at: 33_000)
            let outcome = try order.audit(1000, epoch: 8)
            #expect(outcome.verdict == .corrupt)
            #expect(outcome.corrupt == [shards[0].id])
            // What takes its place is of version 2.
            try client.put(shards[0])
            #expect(try order.audit(1000, epoch: 9).verdict == .ok)
            let old = SegmentRecord.footprint(length: 40 << 10, version: .plain)
            let new = SegmentRecord.footprint(length: 40 << 10)
            #expect(try client.status().usedBytes == UInt64(2 * old + new))
        }
    }

    /// A segment as the first version wrote it.
    private static func writeVersion1(
        _ path: String,
        node: NodeID,
        owner: NodeID,
        _ shards: [TestShard]
    ) throws {
        let header = SegmentHeader(number: 1, node: node, salt: 77)
        let file = try Descriptor(
            opening: path + "/segments/0000000000000001.seg",
            .readWrite,
            [.create]
        )
        try file.write(at: 0, header.encoded)
        var offset = UInt64(SegmentRecord.alignment)
        for shard in shards {
            let record = shard.bytes.withUnsafeBytes {
                SegmentRecord(
                    version: .plain,
                    shard: shard.id,
                    owner: owner,
                    root: shard.root,
                    hashing: $0
                )
            }
            try file.write(at: offset, record.encoded(salt: 77) + shard.bytes)
            offset += UInt64(record.footprint)
        }
        try file.truncate(to: offset)
        for suffix in ["", "-wal", "-shm"] {
            try WholeFile.remove(path + "/index.db" + suffix)
        }
    }
}
