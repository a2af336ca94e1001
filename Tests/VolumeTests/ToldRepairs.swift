import Network
import Primitives
import Synchronization
import Transport

/// The way to a real network, on which the keeper tells of repairs that a test has made up.
final class ToldRepairs: StorageNetwork {
    private let network: RemoteNetwork
    private let repairs: [RepairRecord]
    /// After which number repairs were asked for.
    let asked = Mutex<[UInt64]>([])

    init(_ network: RemoteNetwork, _ repairs: [RepairRecord]) {
        self.network = network
        self.repairs = repairs
    }

    func ask<Q: KeeperQuery>(_ query: Q) -> Pending<Q.Answer> { network.ask(query) }

    var keeperIDs: [NodeID] { network.keeperIDs }

    func ask<Q: KeeperQuery>(_ query: Q, ofKeeper keeper: NodeID) -> Pending<Q.Answer> {
        if let query = query as? FetchRepairs {
            asked.withLock { $0.append(query.after) }
            // Two at a time, as a keeper that has many does.
            let page = repairs.filter { $0.number > query.after }.prefix(2)
            if let answer = RepairList(repairs: Array(page)) as? Q.Answer {
                return Pending(.success(answer))
            }
        }
        let last = repairs.last?.number ?? 0
        return network.ask(query, ofKeeper: keeper).map { answer in
            guard let state = answer as? DelegationState,
                let told = DelegationState(repairs: last, digests: state.digests) as? Q.Answer
            else { return answer }
            return told
        }
    }

    func ask<Q: ProviderQuery>(_ query: Q, of provider: NodeID) -> Pending<Q.Answer> {
        network.ask(query, of: provider)
    }

    func providers() throws(NetworkError) -> [ProviderRecord] { try network.providers() }

    func put(
        _ shard: ShardID,
        to provider: NodeID,
        bytes: UnsafeRawBufferPointer,
        root: Digest
    ) -> Pending<Void> {
        network.put(shard, to: provider, bytes: bytes, root: root)
    }

    func get(
        _ shard: ShardID,
        from provider: NodeID,
        offset: Int,
        count: Int
    ) -> Pending<[UInt8]> {
        network.get(shard, from: provider, offset: offset, count: count)
    }

    func delete(_ shards: [ShardID], from provider: NodeID) -> Pending<Void> {
        network.delete(shards, from: provider)
    }
}
