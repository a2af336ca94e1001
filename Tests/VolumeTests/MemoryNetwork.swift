import Network
import Primitives
import Sealing
import Synchronization
import Transport
import Wire

/// Providers and keepers in memory, with switches for what they do in the world: die, fill up, rot,
/// lie.
final class MemoryNetwork: StorageNetwork {
    struct Provider {
        let record: Int
        var shards: [ShardID: [UInt8]] = [:]
        var isUp = true
        var capacityBytes: UInt64
        var usedBytes: UInt64 { shards.values.reduce(0) { $0 + UInt64($1.count) } }
        /// Whether requests are taken and never answered, as by a process that is stopped.
        var isFrozen = false
        /// Ranges of shards asked for, and their bytes.
        var gets = 0
        var gotBytes = 0
        /// Puts still to be accepted before every further one fails.
        var putsLeft: Int?
    }

    /// A keeper of heads alone.
    struct Keeper {
        var heads: [VolumeID: VolumeHead] = [:]
        var isUp = true
        /// What it gives instead of what it has, as one that lies.
        var oldHeads: [VolumeID: VolumeHead] = [:]
    }

    let ids: [NodeID]
    /// Whether what is to be deleted stays, as what a snapshot needs does.
    let keepsDeleted = Atomic(false)
    let keeperIDs: [NodeID]
    private let keepers: Mutex<[NodeID: Keeper]>
    private let state: Mutex<[NodeID: Provider]>

    init(count: Int, capacityBytes: UInt64 = 1 << 32, keepers: Int = 3) {
        var ids: [NodeID] = []
        var providers: [NodeID: Provider] = [:]
        for number in 0..<count {
            let digest = SHA256.digest([UInt8(number)])
            guard let id = NodeID(bytes: digest.bytes) else { continue }
            ids.append(id)
            providers[id] = Provider(record: number, capacityBytes: capacityBytes)
        }
        self.ids = ids
        state = Mutex(providers)
        keeperIDs = (0..<keepers).compactMap {
            NodeID(bytes: SHA256.digest([UInt8($0), 1]).bytes)
        }
        self.keepers = Mutex(
            Dictionary(uniqueKeysWithValues: keeperIDs.map { ($0, Keeper()) })
        )
    }

    // MARK: Switches

    func change(_ id: NodeID, _ body: (inout Provider) -> Void) {
        state.withLock { providers in
            guard var provider = providers[id] else { return }
            body(&provider)
            providers[id] = provider
        }
    }

    func changeKeeper(_ id: NodeID, _ body: (inout Keeper) -> Void) {
        keepers.withLock { keepers in
            guard var keeper = keepers[id] else { return }
            body(&keeper)
            keepers[id] = keeper
        }
    }

    /// Flips one bit of every shard that `id` holds, at a byte chosen by `byte`.
    func rot(_ id: NodeID, byte: (Int) -> Int) {
        change(id) { provider in
            for key in provider.shards.keys {
                guard var bytes = provider.shards[key] else { continue }
                bytes[byte(bytes.count)] ^= 1
                provider.shards[key] = bytes
            }
        }
    }

    var shardCount: Int { state.withLock { $0.values.reduce(0) { $0 + $1.shards.count } } }

    var storedBytes: UInt64 { state.withLock { $0.values.reduce(0) { $0 + $1.usedBytes } } }

    /// Requests for shards and their bytes since the last time this was asked, of all providers.
    func takeGets() -> (count: Int, bytes: Int) {
        state.withLock { providers in
            var sum = (count: 0, bytes: 0)
            for id in ids {
                guard var provider = providers[id] else { continue }
                sum.count += provider.gets
                sum.bytes += provider.gotBytes
                provider.gets = 0
                provider.gotBytes = 0
                providers[id] = provider
            }
            return sum
        }
    }

    /// The providers that were asked for most since `takeGets`, which hold data shards.
    func busiest(_ count: Int) -> [NodeID] {
        state.withLock { providers in
            Array(ids.sorted { providers[$0]?.gets ?? 0 > providers[$1]?.gets ?? 0 }.prefix(count))
        }
    }

    func gets(of id: NodeID) -> Int { state.withLock { $0[id]?.gets ?? 0 } }

    // MARK: StorageNetwork

    func providers() throws(NetworkError) -> [ProviderRecord] {
        guard let address = NodeAddress("127.0.0.1:1") else {
            throw NetworkError(.malformed, "address")
        }
        return state.withLock { providers in
            ids.compactMap { id in
                guard let provider = providers[id] else { return nil }
                return ProviderRecord(
                    id: id,
                    address: address,
                    domain: id.hex,
                    capacityBytes: provider.capacityBytes,
                    usedBytes: provider.usedBytes,
                    isUp: provider.isUp,
                    lastSeen: Timestamp.epoch
                )
            }
        }
    }

    func put(
        _ shard: ShardID,
        to node: NodeID,
        bytes: UnsafeRawBufferPointer,
        root: Digest
    ) -> Pending<Void> {
        let copy = Array(bytes)
        let isRight = MerkleTree.root(of: bytes) == root
        return Pending(
            state.withLock { providers -> Result<Void, NetworkError> in
                guard var provider = providers[node], provider.isUp else {
                    return .failure(NetworkError(.unreachable, "down"))
                }
                guard isRight else { return .failure(NetworkError(.corrupt, "root")) }
                if let left = provider.putsLeft {
                    guard left > 0 else { return .failure(NetworkError(.closed, "died")) }
                    provider.putsLeft = left - 1
                }
                guard provider.usedBytes + UInt64(copy.count) <= provider.capacityBytes else {
                    return .failure(NetworkError(.full, "full"))
                }
                provider.shards[shard] = copy
                providers[node] = provider
                return .success(())
            }
        )
    }

    func get(
        _ shard: ShardID,
        from node: NodeID,
        offset: Int,
        count: Int
    ) -> Pending<[UInt8]> {
        let isFrozen = state.withLock { providers in
            providers[node]?.gets += 1
            providers[node]?.gotBytes += count
            return providers[node]?.isFrozen ?? false
        }
        guard !isFrozen else { return Pending() }
        return Pending(
            state.withLock { providers -> Result<[UInt8], NetworkError> in
                guard let provider = providers[node], provider.isUp else {
                    return .failure(NetworkError(.unreachable, "down"))
                }
                guard let bytes = provider.shards[shard], offset + count <= bytes.count else {
                    return .failure(NetworkError(.notFound, "no such shard"))
                }
                return .success(Array(bytes[offset..<offset + count]))
            }
        )
    }

    func delete(_ shards: [ShardID], from node: NodeID) -> Pending<Void> {
        Pending(
            state.withLock { providers -> Result<Void, NetworkError> in
                guard var provider = providers[node], provider.isUp else {
                    return .failure(NetworkError(.unreachable, "down"))
                }
                guard !keepsDeleted.load(ordering: .relaxed) else { return .success(()) }
                for shard in shards { provider.shards[shard] = nil }
                providers[node] = provider
                return .success(())
            }
        )
    }

    // Nobody here keeps orders: engines over this network have no custody.

    func ask<Q: ProviderQuery>(_ query: Q, of provider: NodeID) -> Pending<Q.Answer> {
        Pending(.failure(NetworkError(.refused, "providers in memory keep shards only")))
    }

    func ask<Q: KeeperQuery>(_ query: Q) -> Pending<Q.Answer> {
        Pending(.failure(NetworkError(.unreachable, "keepers in memory keep heads only")))
    }

    func ask<Q: KeeperQuery>(_ query: Q, ofKeeper id: NodeID) -> Pending<Q.Answer> {
        keepers.withLock { keepers in
            guard var keeper = keepers[id], keeper.isUp else {
                return Pending(.failure(NetworkError(.unreachable, "down")))
            }
            var answer: (any Message)?
            switch query {
            case let query as PutHead:
                let head = query.head
                if let refusal = head.refusal(after: keeper.heads[head.volume], newestTerm: 0) {
                    return Pending(.failure(refusal))
                }
                keeper.heads[head.volume] = head
                keepers[id] = keeper
                answer = Nothing()
            case let query as GetHead:
                let head = keeper.oldHeads[query.volume] ?? keeper.heads[query.volume]
                answer = HeadList(head: head, term: head?.term ?? 0)
            default: break
            }
            guard let answer = answer as? Q.Answer else {
                return Pending(
                    .failure(NetworkError(.unreachable, "keepers in memory keep heads only"))
                )
            }
            return Pending(.success(answer))
        }
    }
}
