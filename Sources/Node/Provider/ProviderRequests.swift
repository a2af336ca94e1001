import Disk
import Logging
import Network
import Primitives
import Transport
import Wire

/// Answers what peers ask a provider.
///
/// Everything that hashes, signs or touches the disk runs on the workers or the store's writer.
struct ProviderRequests: RequestHandler {
    let parts: ProviderParts
    let workers: WorkerPool
    let logger: Logger

    private var orders: ProviderOrders { parts.orders }

    func handle(_ request: Request, reply: Reply) {
        guard let operation = Operation(rawValue: request.operation) else {
            return reply.fail(.unknown(request.operation))
        }
        let peer = request.peer
        switch operation {
        case .describe:
            reply.succeed(NodeDescription(role: .provider, software: Software.name).encoded)
        case .storeStatus: reply.succeed(parts.status.encoded)
        case .putShard: onWorker(reply) { put(request, reply) }
        case .getShard: onWorker(reply) { get(request, reply) }
        case .deleteShards: onWorker(reply) { delete(request, reply) }
        case .openOrder:
            answer(OpenOrder.self, request, reply) { (query) throws(NetworkError) in
                try checkRoom()
                return try orders.open(query, from: peer)
            }
        case .orderHead: answer(OrderHead.self, request, reply, orders.heads)
        case .amendOrder: answer(AmendOrder.self, request, reply, orders.amend)
        case .compactOrder: answer(CompactOrder.self, request, reply, orders.compact)
        case .retainShards: answer(RetainShards.self, request, reply, orders.retain)
        case .fetchOrder: answer(FetchOrder.self, request, reply, orders.delta)
        case .challenge: challenge(request, reply)
        case .presentGrant:
            answer(PresentGrant.self, request, reply) { (query) throws(NetworkError) in
                try orders.present(query.grant, from: peer)
                return Nothing()
            }
        case .deliverReceipt:
            answer(DeliverReceipt.self, request, reply) { (query) throws(NetworkError) in
                try orders.deliver(query.receipt, from: peer)
                return Nothing()
            }
        case .listLoose: onWorker(reply) { listLoose(request, reply) }
        case .listReceipts: answer(ListReceipts.self, request, reply, orders.receipts)
        case .setLeaving:
            answer(SetLeaving.self, request, reply) { (query) throws(NetworkError) in
                try setLeaving(query, from: peer)
            }
        case .heartbeat, .listProviders, .registerVolume, .listVolumes, .exportNetwork,
            .fetchBeacons, .reportCustody, .listScores, .delegate, .undelegate, .holdVolume,
            .putStripes, .replaceBucket, .fetchRepairs, .putHead, .getHead, .holdLease,
            .releaseLease, .retainHead, .listRetained, .fetchRetained:
            reply.fail(NetworkError(.refused, "this is a provider; ask a keeper for that"))
        }
    }

    private func onWorker(_ reply: Reply, _ work: @escaping @Sendable () -> Void) {
        if !workers.submit(work) { reply.fail(Self.busy) }
    }

    private static let busy = NetworkError(.refused, "the provider is too busy")

    /// Reads the question and gives its answer, on a worker.
    private func answer<Q: ProviderQuery>(
        _ type: Q.Type,
        _ request: Request,
        _ reply: Reply,
        _ body: @escaping @Sendable (Q) throws(NetworkError) -> Q.Answer
    ) {
        onWorker(reply) { Self.answer(type, request, reply, body) }
    }

    private func answer<Q: ProviderQuery>(
        _ type: Q.Type,
        _ request: Request,
        _ reply: Reply,
        _ body: @escaping @Sendable (Q, NodeID) throws(NetworkError) -> Q.Answer
    ) {
        answer(type, request, reply) { (query) throws(NetworkError) in
            try body(query, request.peer)
        }
    }

    private static func answer<Q: ProviderQuery>(
        _ type: Q.Type,
        _ request: Request,
        _ reply: Reply,
        _ body: (Q) throws(NetworkError) -> Q.Answer
    ) {
        do {
            reply.succeed(try body(try Q(decoding: request.body)).encoded)
        } catch {
            reply.fail(.of(error))
        }
    }

    // MARK: Shards

    private func put(_ request: Request, _ reply: Reply) {
        do {
            let query = try PutShard(headOf: request.body)
            let range = PutShard.byteCount..<request.body.count
            try orders.check(request.peer, actsFor: query.owner)
            try checkRoom()
            try orders.checkPut(
                query.shard,
                root: query.root,
                bytes: UInt64(range.count),
                owner: query.owner
            )
            let shard = request.body.withUnsafeBytes { body in
                PreparedShard(
                    shard: query.shard,
                    owner: query.owner,
                    hashing: UnsafeRawBufferPointer(rebasing: body[range])
                )
            }
            guard shard.root == query.root else {
                throw NetworkError(
                    .corrupt,
                    "shard \(query.shard.short) does not have the root it came with"
                )
            }
            parts.store.put(shard, bytes: request.body, range: range) { answer($0, reply) }
        } catch {
            reply.fail(.of(error))
        }
    }

    private func get(_ request: Request, _ reply: Reply) {
        do {
            let query = try GetShard(decoding: request.body)
            try orders.check(request.peer, actsFor: query.owner)
            let read = try parts.store.find(query)
            reply.succeed(capacity: read.bufferBytes) { (buffer) throws(NetworkError) in
                try read.read(into: buffer)
            }
        } catch {
            reply.fail(.of(error))
        }
    }

    private func delete(_ request: Request, _ reply: Reply) {
        do {
            let query = try DeleteShards(decoding: request.body)
            try orders.check(request.peer, actsFor: query.owner)
            try orders.beginDeletion(query.shards, owner: query.owner)
            parts.store.delete(query.shards, owner: query.owner) { result in
                orders.endDeletion(query.shards)
                answer(result, reply)
            }
        } catch {
            reply.fail(.of(error))
        }
    }

    /// Shards of the peer's own that are in no order of theirs.
    private func listLoose(_ request: Request, _ reply: Reply) {
        answer(ListLoose.self, request, reply) { (query) throws(NetworkError) in
            let shards = try parts.store.shards(
                of: request.peer,
                after: query.after,
                limit: LooseShards.shardsMax
            )
            return LooseShards(
                shards: try orders.loose(shards, owner: request.peer),
                next: shards.count == LooseShards.shardsMax ? shards.last : nil
            )
        }
    }

    private func answer(_ result: Result<Void, NetworkError>, _ reply: Reply) {
        switch result {
        case .success: reply.succeed()
        case .failure(let error): reply.fail(error)
        }
    }

    // MARK: The rest

    private func challenge(_ request: Request, _ reply: Reply) {
        let isQueued = parts.prover.submit {
            Self.answer(ChallengeProvider.self, request, reply) { (query) throws(NetworkError) in
                try parts.prover.answer(query.challenge, from: request.peer)
            }
        }
        if !isQueued { reply.fail(Self.busy) }
    }

    /// Whether anything new is taken.
    private func checkRoom() throws(NetworkError) {
        guard !parts.leaving.isLeaving else {
            throw NetworkError(
                .full,
                "provider \(parts.id.short) is leaving and takes nothing new; use another"
            )
        }
    }

    private func setLeaving(
        _ query: SetLeaving,
        from peer: NodeID
    ) throws(NetworkError) -> StoreStatus {
        guard peer == parts.id else {
            throw NetworkError(.unauthorized, "only the provider's own key may have it leave")
        }
        do throws(DiskError) {
            try parts.leaving.set(query.isLeaving)
        } catch {
            throw NetworkError(.refused, "\(error)")
        }
        logger.notice(query.isLeaving ? "leaving: nothing new is taken" : "staying after all")
        return parts.status
    }
}
