package import Primitives
package import Transport

/// The providers of a network as their user sees them; a simulator may stand in for it.
///
/// All methods may be called from any thread of our own at once.
package protocol StorageNetwork: Sendable {
    /// The providers known, those that are down too; seldom older than a few seconds while a
    /// keeper answers. May wait for keepers, at most `KeeperClient.patience`.
    ///
    /// - Throws: only if no list was ever had.
    func providers() throws(NetworkError) -> [ProviderRecord]

    /// Stores a shard of 1 KiB...4 MiB, whole leaves, at a provider; done when it is durable there.
    ///
    /// Copies `bytes` before it returns. Storing the same shard again succeeds. `root` is the
    /// shard's Merkle root, which the provider checks.
    func put(
        _ shard: ShardID,
        to provider: NodeID,
        bytes: UnsafeRawBufferPointer,
        root: Digest
    ) -> Pending<Void>

    /// The same for bytes that are in memory of their own already.
    func put(
        _ shard: ShardID,
        to provider: NodeID,
        payload: Payload,
        root: Digest
    ) -> Pending<Void>

    /// Reads exactly `count` bytes of a shard from `offset` on.
    ///
    /// The provider's word alone vouches for them: check them against a tag or a root.
    func get(
        _ shard: ShardID,
        from provider: NodeID,
        offset: Int,
        count: Int
    ) -> Pending<[UInt8]>

    /// Removes shards; those that are not there count as removed.
    func delete(_ shards: [ShardID], from provider: NodeID) -> Pending<Void>

    /// Asks a provider.
    func ask<Q: ProviderQuery>(_ query: Q, of provider: NodeID) -> Pending<Q.Answer>

    /// Asks the first keeper that answers, or tells all (`KeeperQuery.isForEveryKeeper`): then it
    /// is done when all have answered, with the answer of one that took it.
    func ask<Q: KeeperQuery>(_ query: Q) -> Pending<Q.Answer>

    /// The keepers of the network's file, which may each be asked; none where nobody keeps
    /// anything.
    var keeperIDs: [NodeID] { get }

    /// Asks one keeper and no other: the one that a volume was delegated to.
    func ask<Q: KeeperQuery>(_ query: Q, ofKeeper keeper: NodeID) -> Pending<Q.Answer>
}

extension StorageNetwork {
    /// As where nobody keeps anything.
    package var keeperIDs: [NodeID] { [] }

    /// As a network with one keeper does.
    package func ask<Q: KeeperQuery>(
        _ query: Q,
        ofKeeper keeper: NodeID
    ) -> Pending<Q.Answer> {
        ask(query)
    }
}

extension StorageNetwork {
    package func put(
        _ shard: ShardID,
        to provider: NodeID,
        payload: Payload,
        root: Digest
    ) -> Pending<Void> {
        payload.withUnsafeBytes { put(shard, to: provider, bytes: $0, root: root) }
    }
}
