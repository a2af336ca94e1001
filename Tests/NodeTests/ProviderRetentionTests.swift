import Disk
import Network
import Node
import Primitives
import Proofs
import SQLite
import Testing
import Transport

/// Retained shards: kept until their time, whoever asks.
@Suite struct ProviderRetentionTests {
    /// A provider on a clock of the test's, with three shards of the owner 50 under order.
    private func withShards(
        _ body: (TestProvider, TestClock, TestClient, inout ClientOrder, [TestShard]) throws -> Void
    ) throws {
        try withScratch { path in
            let clock = TestClock(seconds: Clock.now().seconds)
            let provider = try TestProvider(path + "/p", clock: clock)
            defer { provider.stop() }
            let owner = try provider.client(50)
            defer { owner.close() }
            var order = try ClientOrder(owner, at: provider)
            let shards = try (0..<3).map { try TestShard(UInt64($0)) }
            try owner.put(shards)
            try order.amend(adding: shards)
            try body(provider, clock, owner, &order, shards)
        }
    }

    private func retain(
        _ shards: [TestShard],
        until: Int64,
        by client: TestClient
    ) throws -> [Int64] {
        try client.ask(query(shards, until: until, by: client)).times
    }

    private func query(_ shards: [TestShard], until: Int64, by client: TestClient) -> RetainShards {
        RetainShards(owner: client.owner, until: until, shards: shards.map(\.id))
    }

    @Test func nobodyHasARetainedShardDeletedBeforeItsTime() throws {
        try withShards { provider, clock, owner, order, shards in
            let until = clock.now.seconds + 60
            #expect(try retain([shards[0]], until: until, by: owner) == [until])
            let refusal = owner.refusal(try order.amendment(removing: [shards[0]]).0)
            #expect(refusal?.code == .retained)
            let text = Timestamp(seconds: until, nanoseconds: 0).text
            #expect(refusal?.message.contains("is retained until \(text)") == true)
            // One that is not is let go of, but not together with it.
            #expect(owner.refusal(try order.amendment(removing: shards).0)?.code == .retained)
            try order.amend(removing: [shards[1]])
            try owner.delete([shards[1]])
            let code = failure { () throws(NetworkError) in try owner.delete([shards[0]]) }
            #expect(code == .refused)
            #expect(try owner.get(shards[0]) == shards[0].bytes)
            #expect(try order.audit().verdict == .ok)

            clock.pass(59)
            #expect(owner.refusal(try order.amendment(removing: [shards[0]]).0)?.code == .retained)
            clock.pass(1)
            try order.amend(removing: [shards[0]])
            try owner.delete([shards[0]])
            #expect(try owner.status().shardCount == 1)
        }
    }

    @Test func timesOnlyGrow() throws {
        try withShards { provider, clock, owner, _, shards in
            let now = clock.now.seconds
            let first = try retain(shards, until: now + 100, by: owner)
            #expect(first == [now + 100, now + 100, now + 100])
            #expect(try retain([shards[1]], until: now + 50, by: owner) == [now + 100])
            #expect(try retain([shards[1]], until: now + 200, by: owner) == [now + 200])
            #expect(try retain([shards[1]], until: 1, by: owner) == [now + 200])
            let asked = try retain(shards, until: 0, by: owner)
            #expect(asked == [now + 100, now + 200, now + 100])
        }
    }

    @Test func retentionOutlivesRestartsAndALostIndex() throws {
        try withShards { provider, clock, owner, order, shards in
            let until = clock.now.seconds + 60
            _ = try retain(shards, until: until, by: owner)
            try provider.restart {
                for suffix in ["", "-wal", "-shm"] {
                    try WholeFile.remove(provider.path + "/index.db" + suffix)
                }
            }
            #expect(try retain(shards, until: 0, by: owner) == [until, until, until])
            #expect(owner.refusal(try order.amendment(removing: [shards[2]]).0)?.code == .retained)
        }
    }

    @Test func aNewGenerationOfTheOrderLetsNothingGo() throws {
        try withShards { provider, clock, owner, order, shards in
            _ = try retain(shards, until: clock.now.seconds + 60, by: owner)
            _ = try ClientOrder(owner, at: provider, generation: 1)
            let code = failure { () throws(NetworkError) in try owner.delete(shards) }
            #expect(code == .refused)
            for shard in shards { #expect(try owner.get(shard) == shard.bytes) }
        }
    }

    @Test func onlyTheOwnersShardsUnderOrderAreRetained() throws {
        try withShards { provider, clock, owner, _, shards in
            let until = clock.now.seconds + 60
            // Here, and under no order.
            let loose = try TestShard(9)
            try owner.put(loose)
            #expect(try retain([loose, shards[0]], until: until, by: owner) == [0, until])
            try owner.delete([loose])
            let stranger = try provider.client(51)
            defer { stranger.close() }
            #expect(try retain(shards, until: until, by: stranger) == [0, 0, 0])
            let impostor = try provider.client(51, owner: 50)
            defer { impostor.close() }
            let refusal = impostor.refusal(query(shards, until: until, by: impostor))
            #expect(refusal?.code == .unauthorized)
        }
    }

    @Test func noShardIsRetainedWithoutBound() throws {
        try withShards { provider, clock, owner, _, shards in
            let longest = clock.now.seconds + RetainShards.secondsMax
            let refusal = owner.refusal(query(shards, until: longest + 1, by: owner))
            #expect(refusal?.code == .malformed)
            let times = try retain(shards, until: longest, by: owner)
            #expect(times == [longest, longest, longest])
        }
    }

    /// There is nothing to protect, and its owner must be able to put it elsewhere.
    @Test func aShardThatRottedIsLetGoOf() throws {
        try withShards { provider, clock, owner, order, shards in
            _ = try retain(shards, until: clock.now.seconds + 60, by: owner)
            try provider.flip(shards[0], at: 100)
            #expect(failure { () throws(NetworkError) in try owner.get(shards[0]) } == .corrupt)
            try order.amend(removing: [shards[0]])
            try owner.delete([shards[0]])
            #expect(owner.refusal(try order.amendment(removing: [shards[1]]).0)?.code == .retained)
        }
    }

    /// Only the provider's own key has it leave.
    @Test func aProviderThatLeavesLetsGo() throws {
        try withShards { provider, clock, owner, order, shards in
            _ = try retain(shards, until: clock.now.seconds + 60, by: owner)
            #expect(owner.refusal(SetLeaving(isLeaving: true))?.code == .unauthorized)
            #expect(owner.refusal(try order.amendment(removing: [shards[0]]).0)?.code == .retained)
            let operatorClient = try provider.ownClient()
            defer { operatorClient.close() }
            _ = try operatorClient.ask(SetLeaving(isLeaving: true))
            try order.amend(removing: [shards[0]])
            try owner.delete([shards[0]])
            #expect(try owner.status().shardCount == 2)
        }
    }

    @Test func ordersOfVersion1AreTakenOver() throws {
        try withShards { provider, clock, owner, order, shards in
            try provider.restart {
                let database = try Database(path: provider.path + "/orders.db")
                try database.executeScript("DROP TABLE retained; PRAGMA user_version = 1;")
            }
            let until = clock.now.seconds + 60
            #expect(try retain(shards, until: until, by: owner) == [until, until, until])
        }
    }
}
