package import Primitives
package import Transport
import Wire

/// The requests to providers on an owner's behalf, made and checked the same way by whatever
/// connects to them.
package struct ProviderCalls: Sendable {
    /// Sends an operation with the head and the rest of its body; gives the answer's body.
    package typealias Send =
        @Sendable (
            _ operation: Operation, _ provider: NodeID, _ head: [UInt8], _ payload: Payload?,
            _ timeout: Duration
        ) -> Pending<[UInt8]>

    private let owner: NodeID
    private let send: Send

    package init(owner: NodeID, send: @escaping Send) {
        self.owner = owner
        self.send = send
    }

    /// As `StorageNetwork.put`.
    package func put(
        _ shard: ShardID,
        to provider: NodeID,
        payload: Payload,
        root: Digest
    ) -> Pending<Void> {
        guard payload.count > 0, payload.count <= Geometry.shardBytesMax,
            payload.count.isMultiple(of: Geometry.leafBytes)
        else {
            let error = NetworkError(
                .malformed,
                "shard \(shard.short) of \(payload.count) bytes is not whole leaves"
            )
            return Pending(.failure(error))
        }
        let query = PutShard(owner: owner, shard: shard, root: root)
        return send(
            .putShard,
            provider,
            query.encoded,
            payload,
            RemoteNetwork.putTimeout
        ).map { _ in }
    }

    /// As `StorageNetwork.get`.
    package func get(
        _ shard: ShardID,
        from provider: NodeID,
        offset: Int,
        count: Int
    ) -> Pending<[UInt8]> {
        guard count > 0 else { return Pending(.success([])) }
        guard offset >= 0, offset <= Geometry.shardBytesMax,
            count <= Geometry.shardBytesMax - offset
        else {
            let error = NetworkError(
                .malformed,
                "no shard has \(count) bytes from \(offset) on"
            )
            return Pending(.failure(error))
        }
        let query = GetShard(
            owner: owner,
            shard: shard,
            offset: UInt32(offset),
            count: UInt32(count)
        )
        return send(
            .getShard,
            provider,
            query.encoded,
            nil,
            RemoteNetwork.getTimeout
        ).map { (body) throws(NetworkError) in
            guard body.count == count else {
                throw NetworkError(
                    .malformed,
                    "provider \(provider.short) gave \(body.count) bytes of shard \(shard.short)"
                        + " instead of \(count)"
                )
            }
            return body
        }
    }

    /// As `StorageNetwork.delete`.
    package func delete(_ shards: [ShardID], from provider: NodeID) -> Pending<Void> {
        var parts: [Pending<Void>] = []
        var rest = shards[...]
        while !rest.isEmpty {
            let query = DeleteShards(
                owner: owner,
                shards: Array(rest.prefix(DeleteShards.shardsMax))
            )
            rest = rest.dropFirst(DeleteShards.shardsMax)
            parts.append(
                send(
                    .deleteShards,
                    provider,
                    query.encoded,
                    nil,
                    RemoteNetwork.deleteTimeout
                ).map { _ in }
            )
        }
        return .all(parts)
    }

    /// As `StorageNetwork.ask`.
    package func ask<Q: ProviderQuery>(_ query: Q, of provider: NodeID) -> Pending<Q.Answer> {
        send(Q.operation, provider, query.encoded, nil, Q.timeout).map {
            (body) throws(NetworkError) in
            try KeeperClient.decode(Q.Answer.self, body)
        }
    }
}
