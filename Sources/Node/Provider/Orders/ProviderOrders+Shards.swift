import Network
import Primitives
import Proofs
import Transport
import Sealing
import Logging

extension ProviderOrders {
    /// How an order stands to a challenge.
    enum Standing {
        /// Not known here, or only in an older state.
        case unknown
        /// We have a newer state.
        case stale(OrderState, Grant?)
        case current(OrderTree)
    }

    /// What there is to prove for `challenge`, if `peer` may ask.
    func standing(
        _ challenge: Challenge,
        from peer: NodeID
    ) throws(NetworkError) -> Standing {
        guard challenge.provider == provider.publicKey.nodeID else {
            throw NetworkError(
                .malformed,
                "the challenge is for provider \(challenge.provider.short)"
            )
        }
        return try withState { state in
            guard let order = state.orders[challenge.order] else { return .unknown }
            try check(peer, may: [.audit], on: order, in: state)
            guard order.state.sequence >= challenge.sequence else {
                logger.error(
                    """
                    order \(order.id) is asked for at sequence \(challenge.sequence), but known \
                    only at \(order.state.sequence): this provider lost what it signed
                    """
                )
                return .unknown
            }
            guard order.state.sequence == challenge.sequence,
                order.state.commitment == challenge.commitment
            else { return .stale(order.state, order.grant) }
            return .current(try tree(of: order.id, in: &state))
        }
    }

    /// Checks that the owner has an order here, and that no order says something else of the
    /// shard.
    ///
    /// The second matters when a shard was lost: under its id no other bytes may come.
    func checkPut(
        _ shard: ShardID,
        root: Digest,
        bytes: UInt64,
        owner: NodeID
    ) throws(NetworkError) {
        try withState { state in
            let orders = state.byOwner[owner, default: []]
            guard !orders.isEmpty else {
                throw NetworkError(
                    .refused,
                    "\(owner.short) has no order at this provider; open one before putting shards"
                )
            }
            for id in orders {
                guard let tree = try bindingTree(of: id, in: &state) else { continue }
                guard let position = tree.position(of: shard) else { continue }
                let entry = tree[position]
                guard entry.root == root, entry.bytes == bytes else {
                    throw NetworkError(
                        .exists,
                        "shard \(shard.short) is in order \(id.short) with other bytes; take it"
                            + " out of the order and delete it first"
                    )
                }
            }
        }
    }

    /// Checks that no order holds the shards and none is retained, and keeps amendments from adding
    /// them until `endDeletion`.
    func beginDeletion(_ shards: [ShardID], owner: NodeID) throws(NetworkError) {
        try withState { state in
            for id in state.byOwner[owner, default: []] {
                guard let tree = try bindingTree(of: id, in: &state) else { continue }
                if let held = shards.first(where: { tree.position(of: $0) != nil }) {
                    throw NetworkError(
                        .refused,
                        "shard \(held.short) is in order \(id.short); take it out of the order"
                            + " before deleting it"
                    )
                }
            }
            try checkLetGo(shards, in: state)
            try state.database.forgetRetention(of: shards, before: now().seconds)
            for shard in shards { state.deleting[shard, default: 0] += 1 }
        }
    }

    /// The tree of an order; `nil` if it cannot be read, and a newer generation was opened since.
    ///
    /// What such an order held can be told by nobody, and what still counts is in the newer one.
    func bindingTree(of id: OrderID, in state: inout State) throws -> OrderTree? {
        do {
            return try tree(of: id, in: &state)
        } catch let error as NetworkError {
            guard error.code == .corrupt, let terms = state.orders[id]?.terms else { throw error }
            let isSuperseded = state.byOwner[terms.ownerKey.nodeID, default: []]
                .compactMap { state.orders[$0]?.terms }
                .contains { $0.volume == terms.volume && $0.generation > terms.generation }
            guard isSuperseded else { throw error }
            return nil
        }
    }

    func endDeletion(_ shards: [ShardID]) {
        try? withState { state in
            for shard in shards {
                let count = state.deleting[shard, default: 1] - 1
                state.deleting[shard] = count > 0 ? count : nil
            }
        }
    }

    /// Those of the owner's `shards` that none of their orders holds, and that are whole.
    func loose(_ shards: [ShardID], owner: NodeID) throws(NetworkError) -> [OrderEntry] {
        let free = try withState { state in
            let trees = try state.byOwner[owner, default: []]
                .compactMap { try bindingTree(of: $0, in: &state) }
            return shards.filter { shard in
                state.deleting[shard] == nil && trees.allSatisfy { $0.position(of: shard) == nil }
            }
        }
        var entries: [OrderEntry] = []
        for shard in free {
            guard let stored = try store.stored(shard), let root = stored.root else { continue }
            entries.append(OrderEntry(shard: shard, bytes: stored.bytes, root: root))
        }
        return entries
    }

    // MARK: Damage

    /// Those of `shards` that the order holds, at most `limit`.
    func held(
        _ shards: some Sequence<ShardID>,
        by tree: OrderTree,
        limit: Int
    ) -> [ShardID] {
        Array(shards.lazy.filter { tree.position(of: $0) != nil }.prefix(limit))
    }

    var ids: [OrderID] { (try? withState { Array($0.orders.keys) }) ?? [] }

    /// Remembers which of an order's entries from `position` on are not in the store.
    ///
    /// - Returns: where to go on, or `nil` at the end.
    func noteMissing(
        in order: OrderID,
        from position: Int,
        limit: Int
    ) throws(NetworkError) -> Int? {
        // Under the lock, because a deletion begins under it too.
        try withState { state in
            let tree = try tree(of: order, in: &state)
            let end = min(position + limit, tree.count)
            guard position < end else { return nil }
            for index in position..<end where !tree[index].isTombstone {
                _ = try store.noteMissing(tree[index].shard)
            }
            return end
        }
    }

    /// Whether any order holds the shard.
    func isHeld(_ shard: ShardID) throws(NetworkError) -> Bool {
        try withState { state in
            for id in Array(state.orders.keys)
            where try bindingTree(of: id, in: &state)?.position(of: shard) != nil {
                return true
            }
            return false
        }
    }
}
