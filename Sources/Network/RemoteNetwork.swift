package import Logging
package import Primitives
package import Sealing
package import Transport
import Synchronization
import Wire

/// The providers of a network over the wire.
package final class RemoteNetwork: StorageNetwork {
    /// Time for a read; whoever waits asks other providers long before.
    package static let getTimeout = Duration.seconds(10)
    /// Time for a write, which ends with a disk sync, after its last byte was sent.
    package static let putTimeout = Duration.seconds(30)
    package static let deleteTimeout = Duration.seconds(30)
    package static let keeperTimeout = KeeperClient.timeout

    package let file: NetworkFile
    /// Whose shards are put, got and deleted.
    package let owner: NodeID
    private let loops: EventLoops
    private let pool: ConnectionPool
    private let keepers: KeeperClient
    private let directory: ProviderDirectory

    /// Connects to nobody yet.
    ///
    /// Providers give shards back to the key `identity` alone, or, if `owner` is another, to who
    /// presented that owner's grant. The file `directoryCache` keeps the list of providers, so that
    /// reads go on without a keeper after a restart; `nil` for none.
    package init(
        file: NetworkFile,
        identity: SigningKey,
        owner: NodeID? = nil,
        logger: Logger,
        directoryCache: String? = nil,
        eventLoopThreads: Int = 1
    ) throws(NetworkError) {
        self.file = file
        self.owner = owner ?? identity.publicKey.nodeID
        loops = EventLoops(threads: eventLoopThreads)
        pool = try ConnectionPool(identity: identity, loops: loops)
        keepers = KeeperClient(keepers: file.keepers, pool: pool)
        directory = ProviderDirectory(client: keepers, path: directoryCache, logger: logger)
    }

    /// Ends all connections and threads; requests under way fail with `closed`.
    ///
    /// Blocks; only once.
    package func close() {
        pool.stop()
        loops.stop()
    }

    // MARK: StorageNetwork

    /// The directory's providers; our own attempts overrule the keeper's word on who is up.
    package func providers() throws(NetworkError) -> [ProviderRecord] {
        try directory.providers().map { provider in
            var provider = provider
            provider.isUp = pool.isReachable(provider.id) ?? provider.isUp
            return provider
        }
    }

    package func put(
        _ shard: ShardID,
        to provider: NodeID,
        bytes: UnsafeRawBufferPointer,
        root: Digest
    ) -> Pending<Void> {
        calls.put(shard, to: provider, payload: Payload(copying: bytes), root: root)
    }

    package func put(
        _ shard: ShardID,
        to provider: NodeID,
        payload: Payload,
        root: Digest
    ) -> Pending<Void> {
        calls.put(shard, to: provider, payload: payload, root: root)
    }

    package func get(
        _ shard: ShardID,
        from provider: NodeID,
        offset: Int,
        count: Int
    ) -> Pending<[UInt8]> {
        calls.get(shard, from: provider, offset: offset, count: count)
    }

    package func delete(_ shards: [ShardID], from provider: NodeID) -> Pending<Void> {
        calls.delete(shards, from: provider)
    }

    package func ask<Q: ProviderQuery>(_ query: Q, of provider: NodeID) -> Pending<Q.Answer> {
        calls.ask(query, of: provider)
    }

    package func ask<Q: KeeperQuery>(_ query: Q) -> Pending<Q.Answer> { keepers.ask(query) }

    package var keeperIDs: [NodeID] { file.keepers.map(\.publicKey.nodeID) }

    package func ask<Q: KeeperQuery>(
        _ query: Q,
        ofKeeper keeper: NodeID
    ) -> Pending<Q.Answer> {
        keepers.ask(query, of: keeper)
    }

    // MARK: Keepers

    /// Registers a volume with a keeper, or replaces our registration of it.
    ///
    /// Blocks.
    package func register(_ volume: VolumeRegistration) throws(NetworkError) {
        try keepers.register(volume).wait(for: KeeperClient.patience)
    }

    /// The registration of one of our volumes, or `nil` if the keeper has none.
    ///
    /// Blocks.
    package func registration(of id: VolumeID) throws(NetworkError) -> VolumeRegistration? {
        try keepers.registration(of: id).wait(for: KeeperClient.patience)
    }

    /// The registrations of all volumes of our identity: where a recovery begins.
    ///
    /// Blocks.
    package func registrations() throws(NetworkError) -> [VolumeRegistration] {
        try keepers.registrations().wait(for: KeeperClient.patience)
    }

    /// What a provider's store holds.
    ///
    /// Blocks.
    package func storeStatus(of provider: NodeID) throws(NetworkError) -> StoreStatus {
        let body = try request(
            .storeStatus,
            to: provider,
            head: [],
            timeout: Self.getTimeout
        ).wait(for: Self.getTimeout)
        return try KeeperClient.decode(StoreStatus.self, body)
    }

    // MARK: Asking

    private var calls: ProviderCalls {
        ProviderCalls(owner: owner) { operation, provider, head, payload, timeout in
            self.request(operation, to: provider, head: head, payload: payload, timeout: timeout)
        }
    }

    /// Sends to a provider; one that is not in the directory is looked for there once more.
    private func request(
        _ operation: Operation,
        to id: NodeID,
        head: [UInt8],
        payload: Payload? = nil,
        timeout: Duration
    ) -> Pending<[UInt8]> {
        if let provider = directory.provider(id) {
            let reply = pool.request(
                operation.rawValue,
                to: id,
                at: provider.address,
                head: head,
                payload: payload,
                timeout: timeout
            )
            reply.whenDone { outcome in
                // It may have moved.
                if case .failure(let error) = outcome, error.isTransient {
                    self.directory.refreshIfOld()
                }
            }
            return reply
        }
        let reply = Pending<[UInt8]>()
        directory.refresh().whenDone { outcome in
            if let provider = self.directory.provider(id) {
                self.pool.request(
                    operation.rawValue,
                    to: id,
                    at: provider.address,
                    head: head,
                    payload: payload,
                    timeout: timeout
                ).forward(to: reply)
            } else if case .failure(let error) = outcome {
                reply.fulfil(
                    .failure(
                        NetworkError(
                            .unreachable,
                            "provider \(id.short) is not known: \(error)"
                        )
                    )
                )
            } else {
                reply.fulfil(
                    .failure(
                        NetworkError(
                            .unreachable,
                            "provider \(id.short) is not in the network's directory"
                        )
                    )
                )
            }
        }
        return reply
    }
}
