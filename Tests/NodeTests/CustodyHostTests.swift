import Auditor
import Disk
import Erasure
import Network
import Node
import Primitives
import Proofs
import Reliability
import Sealing
import Testing
import Transport

/// A keeper with epochs and holds of a second, four providers, and an owner with one stripe of 2+1
/// at three of them.
final class DelegatedVolume {
    static let shardBytes = 64 << 10

    let keeper: KeeperServer
    private(set) var providers: [ProviderServer] = []
    private(set) var ids: [NodeID] = []
    let owner: RemoteNetwork
    let ownerKey: SigningKey
    let volume: VolumeID
    let repairKey = RepairKey.random()
    let log = LogLines()
    private let path: String
    private(set) var book: OrderBook
    private(set) var shards: [[UInt8]] = []

    init(_ path: String) throws {
        self.path = path
        var configuration = KeeperConfiguration(
            directory: path + "/keeper",
            listen: try Samples.address("127.0.0.1:0"),
            epochSeconds: 1
        )
        configuration.holdLasts = .seconds(2)
        configuration.custody.repairPolicy = RepairPolicy(wait: .seconds(1))
        configuration.custody.suspicionGrace = .seconds(2)
        configuration.custody.lookInterval = .milliseconds(500)
        configuration.custody.scanInterval = .seconds(2)
        configuration.custody.amendInterval = .milliseconds(200)
        keeper = KeeperServer(configuration: configuration, logger: log.logger)
        _ = try keeper.start()
        let file = try keeper.networkFile(named: "test", code: try Samples.code())
        ownerKey = try Samples.key(7)
        owner = try RemoteNetwork(file: file, identity: ownerKey, logger: log.logger)
        volume = try Samples.volumeID()
        book = try OrderBook(
            path: path + "/owner.db",
            identity: CustodyIdentity(
                volume: volume,
                ownerKey: ownerKey.publicKey,
                signer: ownerKey,
                repairKey: repairKey,
                keepers: file.keepers.map(\.publicKey)
            ),
            network: owner,
            logger: log.logger
        )
        for number in 0..<4 {
            let provider = ProviderServer(
                configuration: ProviderConfiguration(
                    directory: path + "/provider-\(number)",
                    capacityBytes: 1 << 30,
                    listen: try Samples.address("127.0.0.1:0"),
                    keepers: .known(file.keepers)
                ),
                logger: log.logger
            )
            _ = try provider.start()
            providers.append(provider)
            ids.append(try #require(provider.id))
        }
        let known = eventually {
            Set((try? owner.providers())?.map(\.id) ?? []).isSuperset(of: self.ids)
        }
        try #require(known)
    }

    func stop() {
        owner.close()
        for provider in providers { provider.stop() }
        keeper.stop()
    }

    /// Places one stripe at the first three providers, and puts it under order.
    func placeStripe() throws -> StripeManifest {
        var random = SeededGenerator(seed: 1)
        let code = try #require(ErasureCode(k: 2, m: 1))
        let buffers = (0..<3).map { _ in
            UnsafeMutableRawBufferPointer.allocate(byteCount: Self.shardBytes, alignment: 64)
        }
        defer { for buffer in buffers { buffer.deallocate() } }
        for buffer in buffers { buffer.copyBytes(from: random.bytes(Self.shardBytes)) }
        ErasureCoder(code).encode(buffers)
        var holdings: [ShardHolding] = []
        for (index, buffer) in buffers.enumerated() {
            let id = try #require(ShardID(bytes: random.bytes(16)))
            let root = try ShardMask.applyAndHash(to: buffer, key: repairKey.maskKey(for: id))
            try book.ensureOrder(with: ids[index])
            try owner.put(id, to: ids[index], bytes: UnsafeRawBufferPointer(buffer), root: root)
                .wait(for: .seconds(60))
            book.add(
                [OrderEntry(shard: id, bytes: UInt64(Self.shardBytes), root: root)],
                to: ids[index]
            )
            shards.append(Array(buffer))
            holdings.append(
                ShardHolding(index: UInt8(index), shard: id, provider: ids[index], root: root)
            )
        }
        book.flush()
        return StripeManifest(
            id: try #require(StripeID(bytes: random.bytes(16))),
            code: code,
            shardBytes: UInt32(Self.shardBytes),
            shards: holdings
        )
    }

    func delegate(_ stripe: StripeManifest) throws -> DelegationState {
        let keeperID = try #require(keeper.id)
        let grant = try Samples.grant(to: keeperID)
        let state = try ask(Delegate(grant: grant, repairKey: repairKey, code: stripe.code))
        _ = try ask(PutStripes(volume: volume, upserts: [stripe]))
        return state
    }

    func ask<Q: KeeperQuery>(_ query: Q) throws(NetworkError) -> Q.Answer {
        try owner.ask(query).wait(for: .seconds(60))
    }

    var status: CustodyStatus? {
        keeper.custodyStatus(of: volume, owner: ownerKey.publicKey.nodeID)
    }
}

@Suite struct CustodyHostTests {
    @Test func keeperAuditsAndRepairsWhileTheOwnerIsAway() throws {
        try withScratch { path in
            let world = try DelegatedVolume(path)
            defer { world.stop() }
            let stripe = try world.placeStripe()
            let delegated = try world.delegate(stripe)
            #expect(world.status == nil)

            // The owner is away: the keeper challenges the holders, with the owner's grant.
            let holders = Set(world.ids.prefix(3))
            let isProved = eventually {
                let proved = world.status?.providers.filter { $0.lastProved != nil } ?? []
                return holders.isSubset(of: proved.map(\.id))
            }
            #expect(isProved)
            let isScored = eventually {
                let scores = (try? world.ask(ListScores()).scores) ?? []
                return scores.filter { holders.contains($0.provider) }.allSatisfy { score in
                    score.score.reasons.contains { $0.hasPrefix("proved") && !$0.contains(" 0 ") }
                } && scores.count >= 3
            }
            #expect(isScored)

            // A holder goes: its shard comes to the fourth provider, once no heartbeat of the last
            // half a minute speaks for it.
            world.providers[0].stop()
            try #require(eventually(within: 240) { (world.status?.repairsDone ?? 0) >= 1 })
            let state = try world.ask(HoldVolume(volume: world.volume))
            #expect(state.repairs == delegated.repairs + 1)
            let moved = stripe.moving(index: 0, to: world.ids[3])
            #expect(state.digests == BucketDigests(of: [moved]))
            let repairs = try world.ask(
                FetchRepairs(volume: world.volume, after: delegated.repairs)
            ).repairs
            #expect(repairs.map(\.number) == [state.repairs])
            #expect(repairs.first?.shard == stripe.shards[0].shard)
            #expect(repairs.first?.from == world.ids[0])
            #expect(repairs.first?.to == world.ids[3])
            let bytes = try world.owner.get(
                stripe.shards[0].shard,
                from: world.ids[3],
                offset: 0,
                count: DelegatedVolume.shardBytes
            ).wait(for: .seconds(60))
            #expect(bytes == world.shards[0])

            // The owner is there: the keeper keeps away while it says so.
            let isAlone = eventually {
                _ = try? world.ask(HoldVolume(volume: world.volume))
                return world.status == nil
            }
            #expect(isAlone)
        }
    }
}
