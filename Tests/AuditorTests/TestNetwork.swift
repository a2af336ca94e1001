import Network
import Primitives
import Proofs
import Reliability
import Sealing
import Synchronization
import Transport
import Wire

/// Providers and a keeper in memory, as one client of theirs sees them.
final class TestNetwork: StorageNetwork {
    struct World {
        var providers: [NodeID: TestProvider] = [:]
        var beacons: [BeaconBlock] = []
        var isKeeperUp = true
        var reports: [ReportCustody] = []
        var readBytes = 0
        var writtenBytes = 0
        var puts: [(shard: ShardID, provider: NodeID)] = []
    }

    static let epochSeconds: UInt32 = 3600

    let clock: TestClock
    let keeper: SigningKey
    let owner: SigningKey
    /// Who asks: the owner, or a keeper with a grant.
    let peer: SigningKey
    private let world: SharedWorld
    /// Called before a provider is asked to compact, outside of all locks.
    let beforeCompaction = Mutex<(@Sendable () -> Void)?>(nil)

    final class SharedWorld: Sendable {
        let state: Mutex<World>

        init(_ world: sending World) { state = Mutex(world) }
    }

    init(providers count: Int, clock: TestClock) throws {
        self.clock = clock
        keeper = try SigningKey(seed: [UInt8](repeating: 200, count: 32))
        owner = try SigningKey(seed: [UInt8](repeating: 201, count: 32))
        peer = owner
        var world = World()
        for number in 0..<count {
            let provider = try TestProvider(number)
            world.providers[provider.id] = provider
        }
        self.world = SharedWorld(world)
    }

    /// The same network as another client sees it.
    init(_ other: TestNetwork, as peer: SigningKey) {
        clock = other.clock
        keeper = other.keeper
        owner = other.owner
        world = other.world
        self.peer = peer
    }

    var ids: [NodeID] { world.state.withLock { $0.providers.keys.sorted() } }

    func change<T>(_ id: NodeID, _ body: (inout TestProvider) throws -> T) rethrows -> T? {
        try world.state.withLock { world in
            guard var provider = world.providers[id] else { return nil }
            defer { world.providers[id] = provider }
            return try body(&provider)
        }
    }

    func read<T: Sendable>(_ body: (inout World) -> T) -> T { world.state.withLock { body(&$0) } }

    func add(_ provider: TestProvider) {
        let id = provider.id
        world.state.withLock { [provider] in $0.providers[id] = provider }
    }

    // MARK: StorageNetwork

    func providers() throws(NetworkError) -> [ProviderRecord] {
        guard let address = NodeAddress(host: "127.0.0.1", port: 1) else {
            throw NetworkError(.malformed, "address")
        }
        let now = clock.now
        return world.state.withLock { world in
            world.providers.values.filter(\.isListed).map { provider in
                ProviderRecord(
                    id: provider.id,
                    address: address,
                    domain: provider.domain,
                    capacityBytes: provider.capacityBytes,
                    usedBytes: provider.usedBytes,
                    isUp: provider.isUp,
                    lastSeen: now,
                    firstSeen: .epoch,
                    isLeaving: provider.isLeaving
                )
            }
        }
    }

    private func with<T: Sendable>(
        _ id: NodeID,
        _ body: (inout TestProvider) throws -> T
    ) -> Pending<T> {
        do {
            let answer = try change(id) { provider in
                guard provider.isUp else { throw NetworkError(.unreachable, "down") }
                return try body(&provider)
            }
            guard let answer else { throw NetworkError(.unreachable, "unknown") }
            return Pending(.success(answer))
        } catch let error as NetworkError {
            return Pending(.failure(error))
        } catch {
            return Pending(.failure(NetworkError(.malformed, "\(error)")))
        }
    }

    private func mayAct(at provider: TestProvider) -> Bool {
        peer.publicKey == owner.publicKey
            || provider.grants.contains { $0.grantee == peer.publicKey.nodeID }
    }

    private func check(_ provider: TestProvider) throws {
        guard mayAct(at: provider) else { throw NetworkError(.unauthorized, "no grant") }
    }

    func put(
        _ shard: ShardID,
        to provider: NodeID,
        bytes: UnsafeRawBufferPointer,
        root: Digest
    ) -> Pending<Void> {
        let copy = Array(bytes)
        let owner = owner.publicKey.nodeID
        world.state.withLock { world in
            world.writtenBytes += copy.count
            world.puts.append((shard, provider))
        }
        return with(provider) { provider in
            try self.check(provider)
            try provider.put(shard, copy, root, owner: owner)
        }
    }

    func get(_ shard: ShardID, from provider: NodeID, offset: Int, count: Int) -> Pending<[UInt8]> {
        world.state.withLock { $0.readBytes += count }
        return with(provider) { provider in
            try self.check(provider)
            return try provider.get(shard, offset..<offset + count)
        }
    }

    func delete(_ shards: [ShardID], from provider: NodeID) -> Pending<Void> {
        with(provider) { provider in
            try self.check(provider)
            try provider.delete(shards)
        }
    }

    func ask<Q: ProviderQuery>(_ query: Q, of provider: NodeID) -> Pending<Q.Answer> {
        let clock = clock
        if query is CompactOrder { beforeCompaction.withLock { $0 }?() }
        return with(provider) { provider in
            if let query = query as? PresentGrant {
                provider.grants.append(query.grant)
            } else if !(query is OpenOrder), !provider.orders.isEmpty {
                try self.check(provider)
            }
            let answer: Any =
                switch query {
                case let query as OpenOrder: try provider.open(query)
                case let query as OrderHead: provider.heads(query)
                case let query as AmendOrder: try provider.amend(query)
                case let query as CompactOrder: try provider.compact(query)
                case let query as FetchOrder: try provider.delta(query)
                case let query as ChallengeProvider: try provider.answer(query.challenge)
                case let query as DeliverReceipt:
                    { provider.receipts.append(query.receipt) }() as Any
                default: ()
                }
            if query is ChallengeProvider { clock.advance(provider.delay) }
            if query is AmendOrder || query is CompactOrder, provider.answersLost > 0 {
                provider.answersLost -= 1
                throw NetworkError(.closed, "the answer is lost")
            }
            if let answer = answer as? Q.Answer { return answer }
            if let nothing = Nothing() as? Q.Answer { return nothing }
            throw NetworkError(.refused, "\(Q.self)")
        }
    }

    func ask<Q: KeeperQuery>(_ query: Q) -> Pending<Q.Answer> {
        let now = clock.now
        do {
            let answer: Any = try world.state.withLock { world -> any Message in
                guard world.isKeeperUp else { throw NetworkError(.unreachable, "keeper") }
                switch query {
                case let query as FetchBeacons:
                    try self.extend(&world.beacons, at: now)
                    return BeaconList(
                        blocks: query.from == Epoch(.max)
                            ? Array(world.beacons.suffix(Int(query.count)))
                            : Array(
                                world.beacons.filter { $0.epoch >= query.from }
                                    .prefix(Int(query.count))
                            )
                    )
                case let query as ReportCustody: world.reports.append(query)
                case is ListScores: return ScoreList(scores: [])
                default: break
                }
                return Nothing()
            }
            if let answer = answer as? Q.Answer { return Pending(.success(answer)) }
            return Pending(.failure(NetworkError(.refused, "\(Q.self)")))
        } catch let error as NetworkError {
            return Pending(.failure(error))
        } catch {
            return Pending(.failure(NetworkError(.malformed, "\(error)")))
        }
    }

    private func extend(_ beacons: inout [BeaconBlock], at now: Timestamp) throws {
        let epoch = BeaconBlock.epoch(at: now, seconds: Self.epochSeconds)
        guard beacons.last?.epoch != epoch else { return }
        beacons.append(
            try BeaconBlock.next(
                after: beacons.last,
                epoch: epoch,
                epochSeconds: Self.epochSeconds,
                signedBy: keeper
            )
        )
    }
}
