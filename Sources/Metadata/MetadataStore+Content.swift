package import Primitives

/// Blocks and stripes: what of a file is in the cache, and what the network holds.
///
/// The order that keeps data safe at a power cut:
/// - A block's dirty mark is synced before a write to it is acknowledged as durable.
/// - `completeStripe` is synced before the cache gives up the blocks it placed.
/// - `deadShards` names only shards whose death is durable.
extension MetadataStore {
    // MARK: Blocks

    /// Blocks of a file that are not holes, in order.
    ///
    /// `range`: block indexes; `nil` for all, which of a huge file is a long answer.
    package func blocks(
        of ino: InodeNumber,
        in range: Range<BlockIndex>? = nil
    ) throws(FileSystemError) -> [BlockState] {
        let wanted = range.map { $0.lowerBound.rawValue..<$0.upperBound.rawValue }
        return try read { state throws(FileSystemError) in
            try state.blocks(of: ino, in: wanted ?? 0..<Geometry.fileBytesMax)
        }
    }

    /// One block; `nil` if it is a hole.
    ///
    /// No SQL when a neighbour within 64 MiB was asked lately.
    package func block(
        _ index: BlockIndex,
        of ino: InodeNumber
    ) throws(FileSystemError) -> BlockState? {
        let found = try read { state throws(FileSystemError) -> [BlockState] in
            try state.block(BlockKey(ino, index)).map { [$0] } ?? []
        }
        return found.first
    }

    /// Notes that the cache holds a newer version of the block than the network.
    ///
    /// A block that is dirty already gets a new token, and waits its turn anew.
    ///
    /// `since`: the time of the change.
    /// `resident`: the segments in the cache now; `nil` leaves what is noted.
    /// - Returns: The block's token: `since`, or as much later as makes it the latest of all.
    @discardableResult
    package func markDirty(
        _ ino: InodeNumber,
        _ index: BlockIndex,
        since: Timestamp,
        resident: UInt16? = nil
    ) throws(FileSystemError) -> Timestamp {
        try change { state throws(FileSystemError) in
            try state.markDirty(BlockKey(ino, index), since: since, resident: resident)
        }
    }

    /// Notes exactly which segments of the block are in the cache.
    ///
    /// `isLosable`: whether it is no harm if a crash within the next second forgets it, as of a
    /// clean block, which is fetched again then.
    package func setResident(
        _ ino: InodeNumber,
        _ index: BlockIndex,
        _ mask: UInt16,
        isLosable: Bool = false
    ) throws(FileSystemError) {
        try change(isLosable: isLosable) { state throws(FileSystemError) in
            try state.setResident(BlockKey(ino, index), mask)
        }
    }

    /// Notes that the cache no longer holds clean blocks.
    ///
    /// Dirty ones and unknown ones are left.
    ///
    /// The caller commits before it punches them out of the cache, so that a crash in between
    /// leaves bytes that nobody relies on, and not the other way round.
    ///
    /// - Returns: The blocks that were evicted.
    package func evict(_ blocks: [BlockKey]) throws(FileSystemError) -> [BlockKey] {
        try change(isFreeing: true) { state throws(FileSystemError) in try state.evict(blocks) }
    }

    /// Gives up the changes of dirty blocks: what the network holds of them counts again.
    ///
    /// Blocks that it never held stay as they are.
    ///
    /// For changes that a power cut may have torn, and that no sync had acknowledged.
    package func revert(_ blocks: [BlockKey]) throws(FileSystemError) {
        try change(isFreeing: true) { state throws(FileSystemError) in try state.revert(blocks) }
    }

    /// Forgets blocks: they are holes from now on.
    package func removeBlocks(
        _ ino: InodeNumber,
        _ range: Range<BlockIndex>
    ) throws(FileSystemError) {
        let range = range.lowerBound.rawValue..<range.upperBound.rawValue
        try change(isFreeing: true) { state throws(FileSystemError) in
            let inode = try state.regularFile(ino)
            try state.load(range, of: inode)
            state.remove(range, of: inode)
            state.changes.operations += 1
        }
    }

    /// Dirty blocks, oldest first.
    ///
    /// `olderThan`: only those dirty before it, if given.
    package func dirtyBlocks(
        limit: Int,
        olderThan: Timestamp? = nil
    ) throws(FileSystemError) -> [DirtyBlock] {
        try read { state in state.dirty.list(limit: limit, olderThan: olderThan) }
    }

    /// Clean blocks in the cache, in order of inode and index, from after `key` on.
    package func residentClean(
        after key: BlockKey? = nil,
        limit: Int
    ) throws(FileSystemError) -> [(key: BlockKey, mask: UInt16)] {
        try scan { reader throws(FileSystemError) in
            try reader.residentClean(after: key, limit: limit)
        }
    }

    // MARK: Keys

    /// The wrapped key of a file's content; `nil` if it has none yet.
    package func fileKey(of ino: InodeNumber) throws(FileSystemError) -> [UInt8]? {
        let found = try read { state throws(FileSystemError) -> [[UInt8]] in
            try state.fileKey(of: ino).map { [$0] } ?? []
        }
        return found.first
    }

    package func setFileKey(
        _ wrapped: [UInt8],
        of ino: InodeNumber
    ) throws(FileSystemError) {
        try change { state throws(FileSystemError) in try state.setFileKey(wrapped, of: ino) }
    }

    /// Wrapped keys of files in order of inode, at most `limit`, from after `ino` on.
    package func fileKeys(
        after ino: InodeNumber?,
        limit: Int
    ) throws(FileSystemError) -> [(ino: InodeNumber, wrapped: [UInt8])] {
        try scan { reader throws(FileSystemError) in
            try reader.fileKeys(after: ino, limit: limit)
        }
    }

    // MARK: Stripes

    /// Notes, durably, that shards are about to be sent, so that whatever happens somebody knows
    /// which to delete.
    ///
    /// Waits for the disk.
    package func beginStripe(_ record: StripeRecord) throws(FileSystemError) {
        try change { state throws(FileSystemError) in try state.begin(record) }
        try sync()
    }

    /// Notes that all shards of the stripe are stored.
    ///
    /// In one transaction: its current blocks are where it says and clean, and what held them
    /// before is no longer needed.
    ///
    /// A block whose token is another by now, or whose file was removed or cut before it, is not
    /// current. A stripe without any current block is dead at once.
    ///
    /// - Returns: The blocks that are clean now.
    @discardableResult
    package func completeStripe(
        _ id: StripeID,
        blocks: [PlacedBlock]
    ) throws(FileSystemError) -> [BlockKey] {
        try change { state throws(FileSystemError) in try state.complete(id, blocks) }
    }

    /// Notes, committed, that a shard of a stripe being placed goes to another provider than first
    /// recorded.
    ///
    /// What the old one may have got is garbage.
    ///
    /// `garbage`: a fresh id, under which that garbage is kept.
    package func reassignShard(
        of stripe: StripeID,
        from old: ShardRecord,
        to new: ShardRecord,
        garbage: StripeID
    ) throws(FileSystemError) {
        try change { state throws(FileSystemError) in
            try state.reassign(old, to: new, of: stripe, garbage: garbage)
        }
        try commit()
    }

    /// Notes that the stripe will not be completed: its shards are garbage.
    package func abandonStripe(_ id: StripeID) throws(FileSystemError) {
        try change(isFreeing: true) { state throws(FileSystemError) in try state.abandon(id) }
    }

    /// Notes, durably, that a shard of a placed stripe has another holder.
    ///
    /// Waits for the disk: once it has returned the old holder's copy may be deleted.
    ///
    /// - Returns: Whether the shard is with `to` now; not if the stripe is dead or gone, or the
    ///   shard is with neither of the two.
    package func moveShard(
        of stripe: StripeID,
        index: Int,
        from: NodeID,
        to: NodeID
    ) throws(FileSystemError) -> Bool {
        let move = ShardMove(stripe: stripe, index: index, from: from, to: to)
        return try moveShards([move])[0]
    }

    /// As `moveShard`, in order, for the price of one wait.
    package func moveShards(_ moves: [ShardMove]) throws(FileSystemError) -> [Bool] {
        var wanted: [ShardRecord] = []
        for move in moves {
            let shard = try read { state throws(FileSystemError) in
                try state.shard(move.index, of: move.stripe, heldBy: move.to)
            }
            if let shard { wanted.append(shard) }
        }
        guard !wanted.isEmpty else { return moves.map { _ in false } }
        // A copy that was garbage at the new holder is what it holds from now on. Both in one, so
        // that no crash leaves it to be deleted.
        let targets = wanted
        let wrongly = try scan { reader throws(FileSystemError) in
            try reader.deadShards(equalTo: targets)
        }
        let results = try change { state throws(FileSystemError) in
            try state.move(moves, forgetting: wrongly)
        }
        try sync()
        return results
    }

    /// The number of the last repair by `keeper` that the moves of shards here contain.
    package func repairsApplied(of keeper: NodeID) throws(FileSystemError) -> UInt64 {
        try read { state throws(FileSystemError) in
            UInt64(clamping: try state.number(MetaKey.repairs(of: keeper)) ?? 0)
        }
    }

    package func setRepairsApplied(
        of keeper: NodeID,
        _ number: UInt64
    ) throws(FileSystemError) {
        try change { state throws(FileSystemError) in
            state.setNumber(MetaKey.repairs(of: keeper), Int64(clamping: number))
        }
    }

    /// Notes, committed, a shard that a provider holds and no stripe needs, to have it deleted.
    ///
    /// `id`: a fresh id, under which it is kept.
    package func keepGarbage(
        _ shard: ShardRecord,
        shardBytes: Int,
        code: ErasureCode,
        under id: StripeID
    ) throws(FileSystemError) {
        try change { state throws(FileSystemError) in
            try state.keepGarbage(shard, shardBytes: shardBytes, code: code, under: id)
        }
        try commit()
    }

    /// Placed stripes in order of id, at most `limit`, from after `id` on.
    ///
    /// As of the call's beginning, read beside the operations that go on.
    ///
    /// `version`: only those that this head, the newest or a kept one, may need; `nil` for all.
    package func placedStripes(
        after id: StripeID? = nil,
        limit: Int,
        neededBy version: UInt64? = nil
    ) throws(FileSystemError) -> [StripeRecord] {
        try scan { reader throws(FileSystemError) in
            try reader.placedStripes(after: id, limit: limit, neededBy: version)
        }
    }

    /// A stripe and its shards if it is placed; `nil` if it is dead, being placed or unknown.
    package func placedStripe(_ id: StripeID) throws(FileSystemError) -> StripeRecord? {
        let found = try read { state throws(FileSystemError) -> [StripeRecord] in
            try state.isPlaced(id) ? [try state.stripeRecord(id)] : []
        }
        return found.first
    }

    /// A stripe and its shards, of those in memory without SQL.
    package func stripe(_ id: StripeID) throws(FileSystemError) -> StripeRecord {
        try read { state throws(FileSystemError) in try state.stripeRecord(id) }
    }

    /// Shards that can be deleted at their providers; each call goes on where the last one ended,
    /// and begins anew after the last.
    ///
    /// Waits for the disk if there are any: were the death of a stripe undone by a power cut, its
    /// shards would be needed again.
    package func deadShards(limit: Int) throws(FileSystemError) -> [DeadShard] {
        let dead = try scan { reader throws(FileSystemError) in
            try reader.nextDeadShards(limit: limit)
        }
        if !dead.isEmpty { try sync() }
        return dead
    }

    /// Notes that providers have deleted dead shards.
    package func forgetShards(_ shards: [DeadShard]) throws(FileSystemError) {
        try change(isFreeing: true) { state throws(FileSystemError) in try state.forget(shards) }
    }

    /// Placed stripes of whose bytes less than `fraction` is needed, the emptiest first.
    package func sparseStripes(
        liveBelow fraction: Double,
        limit: Int
    ) throws(FileSystemError) -> [StripeID] {
        try scan { reader throws(FileSystemError) in
            try reader.sparseStripes(liveBelow: fraction, limit: limit)
        }
    }

    /// Shards that `mefs fsck` has found missing or wrong and that nobody was told of yet, at most
    /// `limit`; they are not given again.
    package func takeDoubts(
        limit: Int
    ) throws(FileSystemError) -> [(stripe: StripeID, index: Int)] {
        let keys = try scan { reader throws(FileSystemError) in try reader.doubts(limit: limit) }
        guard !keys.isEmpty else { return [] }
        try change { state throws(FileSystemError) in
            for key in keys { state.setNumber(key, 0) }
        }
        return keys.compactMap { key in
            let parts = key.dropFirst(MetaKey.doubtPrefix.count).split(separator: "_")
            guard parts.count == 2, let stripe = StripeID(hex: String(parts[0])),
                let index = Int(parts[1])
            else { return nil }
            return (stripe, index)
        }
    }

    /// The blocks whose current version the stripe holds.
    package func blocks(in stripe: StripeID) throws(FileSystemError) -> [BlockKey] {
        try scan { reader throws(FileSystemError) in try reader.blocks(in: stripe) }
    }
}
