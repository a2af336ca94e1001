import Disk
import Network
import Primitives
import Proofs
import Synchronization
import Transport
import Wire

/// The network as the custodian of a delegated volume sees it: providers over the wire on the
/// owner's behalf, the keeper itself without one.
///
/// A provider is shown the owner's grant before the first request to it, and again when it says
/// that it knows of none.
final class KeeperNetwork: StorageNetwork {
    private let owner: NodeID
    private let grant: Grant
    private let services: KeeperServices
    /// Providers that are being shown the grant, or were.
    private let presented = Mutex<[NodeID: Pending<Void>]>([:])

    init(owner: NodeID, grant: Grant, services: KeeperServices) {
        self.owner = owner
        self.grant = grant
        self.services = services
    }

    /// The keeper's directory; its own attempts overrule heartbeats.
    func providers() throws(NetworkError) -> [ProviderRecord] {
        services.state.providers(now: services.now()).map { provider in
            var provider = provider
            provider.isUp = services.pool.isReachable(provider.id) ?? provider.isUp
            return provider
        }
    }

    func put(
        _ shard: ShardID,
        to provider: NodeID,
        bytes: UnsafeRawBufferPointer,
        root: Digest
    ) -> Pending<Void> {
        calls.put(shard, to: provider, payload: Payload(copying: bytes), root: root)
    }

    func get(
        _ shard: ShardID,
        from provider: NodeID,
        offset: Int,
        count: Int
    ) -> Pending<[UInt8]> {
        calls.get(shard, from: provider, offset: offset, count: count)
    }

    func delete(_ shards: [ShardID], from provider: NodeID) -> Pending<Void> {
        calls.delete(shards, from: provider)
    }

    func ask<Q: ProviderQuery>(_ query: Q, of provider: NodeID) -> Pending<Q.Answer> {
        calls.ask(query, of: provider)
    }

    /// Answered here and now, on the calling thread.
    func ask<Q: KeeperQuery>(_ query: Q) -> Pending<Q.Answer> {
        do {
            guard let answer = try answer(query) as? Q.Answer else {
                throw NetworkError(.refused, "the keeper does not ask itself for \(Q.operation)")
            }
            return Pending(.success(answer))
        } catch {
            return Pending(.failure(.of(error)))
        }
    }

    private func answer(_ query: any KeeperQuery) throws -> Any? {
        let now = services.now()
        switch query {
        case let query as FetchBeacons:
            return BeaconList(blocks: try services.beacons.blocks(query, now: now))
        case let query as ReportCustody:
            try services.register.take(query, from: services.id, isOwn: true, now: now)
            return Nothing()
        case let query as ListScores: return try services.scores(query, now: now)
        default: return nil
        }
    }

    // MARK: Providers

    private var calls: ProviderCalls {
        ProviderCalls(owner: owner) { operation, provider, head, payload, timeout in
            self.send(operation, provider, head, payload, timeout, isAgain: false)
        }
    }

    private func send(
        _ operation: Operation,
        _ provider: NodeID,
        _ head: [UInt8],
        _ payload: Payload?,
        _ timeout: Duration,
        isAgain: Bool
    ) -> Pending<[UInt8]> {
        guard let address = services.state.address(of: provider) else {
            return Pending(
                .failure(
                    NetworkError(.unreachable, "provider \(provider.short) is not known here")
                )
            )
        }
        let reply = Pending<[UInt8]>()
        present(to: provider, at: address).whenDone { outcome in
            // A provider may take no grant before it has an order of the volume; the request that
            // opens one brings the grant with it.
            if case .failure(let error) = outcome, error.isTransient {
                return reply.fulfil(.failure(error))
            }
            self.services.pool.request(
                operation.rawValue,
                to: provider,
                at: address,
                head: head,
                payload: payload,
                timeout: timeout
            ).whenDone { outcome in
                guard !isAgain, case .failure(let error) = outcome, error.code == .unauthorized
                else { return reply.fulfil(outcome) }
                self.presented.withLock { $0[provider] = nil }
                self.send(operation, provider, head, payload, timeout, isAgain: true)
                    .forward(to: reply)
            }
        }
        return reply
    }

    /// Shows the grant to a provider, unless it was shown.
    private func present(to provider: NodeID, at address: NodeAddress) -> Pending<Void> {
        let (pending, isNew) = presented.withLock { presented -> (Pending<Void>, Bool) in
            if let pending = presented[provider] { return (pending, false) }
            let pending = Pending<Void>()
            presented[provider] = pending
            return (pending, true)
        }
        guard isNew else { return pending }
        services.pool.request(
            PresentGrant.operation.rawValue,
            to: provider,
            at: address,
            head: PresentGrant(grant: grant).encoded,
            timeout: PresentGrant.timeout
        ).whenDone { outcome in
            if case .failure = outcome { self.presented.withLock { $0[provider] = nil } }
            pending.fulfil(outcome.map { _ in })
        }
        return pending
    }
}
