import Network
import Primitives
import Synchronization
import Transport

/// A network that notes which providers fail whoever reads; all else goes through it.
final class TalliedNetwork: StorageNetwork {
    /// What one provider failed in.
    struct Failures: Sendable {
        var count = 0
        /// The last one.
        var reason = ""
    }

    private let base: any StorageNetwork
    private let failures = Mutex<[NodeID: Failures]>([:])

    init(_ base: any StorageNetwork) { self.base = base }

    /// Failed reads by provider.
    var failed: [NodeID: Failures] { failures.withLock { $0 } }

    private func note(_ provider: NodeID, _ error: NetworkError) {
        failures.withLock { failures in
            failures[provider, default: Failures()].count += 1
            failures[provider]?.reason = error.message
        }
    }

    // MARK: StorageNetwork

    func providers() throws(NetworkError) -> [ProviderRecord] { try base.providers() }

    func put(
        _ shard: ShardID,
        to provider: NodeID,
        bytes: UnsafeRawBufferPointer,
        root: Digest
    ) -> Pending<Void> {
        base.put(shard, to: provider, bytes: bytes, root: root)
    }

    func get(
        _ shard: ShardID,
        from provider: NodeID,
        offset: Int,
        count: Int
    ) -> Pending<[UInt8]> {
        let pending = base.get(shard, from: provider, offset: offset, count: count)
        pending.whenDone { [self] outcome in
            if case .failure(let error) = outcome { note(provider, error) }
        }
        return pending
    }

    func delete(_ shards: [ShardID], from provider: NodeID) -> Pending<Void> {
        base.delete(shards, from: provider)
    }

    func ask<Q: ProviderQuery>(_ query: Q, of provider: NodeID) -> Pending<Q.Answer> {
        base.ask(query, of: provider)
    }

    func ask<Q: KeeperQuery>(_ query: Q) -> Pending<Q.Answer> { base.ask(query) }

    var keeperIDs: [NodeID] { base.keeperIDs }

    func ask<Q: KeeperQuery>(_ query: Q, ofKeeper keeper: NodeID) -> Pending<Q.Answer> {
        base.ask(query, ofKeeper: keeper)
    }
}
