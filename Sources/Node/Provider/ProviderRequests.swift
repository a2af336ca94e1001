import Network
import Primitives
import Sealing
import Transport
import Wire

/// Answers what peers ask a provider.
///
/// Everything that hashes or touches the disk runs on the workers or the store's writer.
struct ProviderRequests: RequestHandler {
    let store: ShardStore
    let workers: WorkerPool

    func handle(_ request: Request, reply: Reply) {
        guard let operation = Operation(rawValue: request.operation) else {
            return reply.fail(.unknown(request.operation))
        }
        switch operation {
        case .describe:
            reply.succeed(NodeDescription(role: .provider, software: Software.name).encoded)
        case .storeStatus: reply.succeed(store.status.encoded)
        case .putShard: onWorker(reply) { put(request, reply) }
        case .getShard: onWorker(reply) { get(request, reply) }
        case .deleteShards: delete(request, reply)
        case .openOrder, .orderHead, .amendOrder, .fetchOrder, .challenge, .presentGrant,
            .deliverReceipt, .listReceipts, .setLeaving:
            reply.fail(.unknown(request.operation))
        case .heartbeat, .listProviders, .registerVolume, .listVolumes, .exportNetwork,
            .fetchBeacons, .reportCustody, .listScores, .delegate, .undelegate, .holdVolume,
            .putStripes, .replaceBucket, .fetchRepairs:
            reply.fail(NetworkError(.refused, "this is a provider; ask a keeper for that"))
        }
    }

    private func onWorker(_ reply: Reply, _ work: @escaping @Sendable () -> Void) {
        if !workers.submit(work) {
            reply.fail(NetworkError(.refused, "the provider is too busy"))
        }
    }

    private func put(_ request: Request, _ reply: Reply) {
        do throws(DecodeError) {
            let query = try PutShard(headOf: request.body)
            let range = PutShard.byteCount..<request.body.count
            let record = request.body.withUnsafeBytes { body -> SegmentRecord? in
                let shard = UnsafeRawBufferPointer(rebasing: body[range])
                guard MerkleTree.root(of: shard) == query.root else { return nil }
                return SegmentRecord(
                    shard: query.shard,
                    owner: request.peer,
                    root: query.root,
                    hashing: shard
                )
            }
            guard let record else {
                return reply.fail(
                    NetworkError(
                        .corrupt,
                        "shard \(query.shard.short) does not have the root it came with"
                    )
                )
            }
            store.put(record, bytes: request.body, range: range) { answer($0, reply) }
        } catch {
            reply.fail(.malformed(error))
        }
    }

    private func get(_ request: Request, _ reply: Reply) {
        do {
            let query = try GetShard(decoding: request.body)
            let read = try store.find(query, owner: request.peer)
            reply.succeed(capacity: read.bufferBytes) { (buffer) throws(NetworkError) in
                try read.read(into: buffer)
            }
        } catch {
            reply.fail(.of(error))
        }
    }

    private func delete(_ request: Request, _ reply: Reply) {
        do throws(DecodeError) {
            let query = try DeleteShards(decoding: request.body)
            store.delete(query.shards, owner: request.peer) { answer($0, reply) }
        } catch {
            reply.fail(.malformed(error))
        }
    }

    private func answer(_ result: Result<Void, NetworkError>, _ reply: Reply) {
        switch result {
        case .success: reply.succeed()
        case .failure(let error): reply.fail(error)
        }
    }
}
