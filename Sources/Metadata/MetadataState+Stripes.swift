import Primitives

/// A stripe in memory.
final class Stripe {
    var row: StripeRow
    /// Once read, or from its beginning.
    var shards: [ShardRecord]?
    /// Whether the row differs from what was last handed to a commit.
    var isDirty = false

    init(_ row: StripeRow, shards: [ShardRecord]? = nil) {
        self.row = row
        self.shards = shards
    }
}

/// Stripes, and how much of each is alive.
extension MetadataState {
    func stripe(_ id: StripeID) throws(FileSystemError) -> Stripe {
        if let stripe = stripes.value(id) { return stripe }
        var isRemoved = false
        forEachUnsaved { isRemoved = isRemoved || $0.removedStripes.contains(id) }
        guard !isRemoved, let row = try reader.stripe(id) else {
            throw FileSystemError(.notFound, "stripe \(id) does not exist")
        }
        let stripe = Stripe(row)
        stripes.insert(stripe, for: id)
        return stripe
    }

    /// The stripe that a block's row names.
    ///
    /// - Throws: `corrupt` if there is none.
    @discardableResult
    func stripe(holding location: BlockLocation) throws(FileSystemError) -> Stripe {
        do {
            return try stripe(location.stripe)
        } catch  where error.code == .notFound {
            throw FileSystemError(
                .corrupt,
                "metadata database: stripe \(location.stripe) of a block is missing"
            )
        }
    }

    private func shards(of stripe: Stripe) throws(FileSystemError) -> [ShardRecord] {
        if let shards = stripe.shards { return shards }
        let shards = try reader.shards(of: stripe.row.id)
        stripe.shards = shards
        return shards
    }

    func stripeRecord(_ id: StripeID) throws(FileSystemError) -> StripeRecord {
        let stripe = try stripe(id)
        return StripeRecord(
            id: id,
            code: stripe.row.code,
            payloadBytes: stripe.row.payloadBytes,
            shardBytes: stripe.row.shardBytes,
            shards: try shards(of: stripe)
        )
    }

    func isPlaced(_ id: StripeID) throws(FileSystemError) -> Bool {
        do {
            return try stripe(id).row.state == .placed
        } catch  where error.code == .notFound {
            return false
        }
    }

    func begin(_ record: StripeRecord) throws(FileSystemError) {
        guard stripes.peek(record.id) == nil, try reader.stripe(record.id) == nil else {
            throw FileSystemError(.exists, "stripe \(record.id) exists already")
        }
        let row = StripeRow(
            id: record.id,
            code: record.code,
            payloadBytes: record.payloadBytes,
            shardBytes: record.shardBytes,
            state: .placing,
            liveBlocks: 0,
            liveBytes: 0
        )
        let stripe = Stripe(row, shards: record.shards)
        stripes.insert(stripe, for: record.id)
        markDirty(stripe)
        changes.shards[record.id] = record.shards
        changes.operations += 1
    }

    private func placingStripe(_ id: StripeID) throws(FileSystemError) -> Stripe {
        let stripe = try stripe(id)
        guard stripe.row.state == .placing else {
            throw FileSystemError(.invalid, "stripe \(id) is not being placed")
        }
        return stripe
    }

    /// - Returns: The blocks that are clean now.
    func complete(
        _ id: StripeID,
        _ blocks: [PlacedBlock]
    ) throws(FileSystemError) -> [BlockKey] {
        let stripe = try placingStripe(id)
        var current: [(block: PlacedBlock, inode: Inode, chunk: BlockChunk)] = []
        for block in blocks {
            guard block.location.stripe == id else {
                throw FileSystemError(
                    .invalid,
                    "a block of stripe \(block.location.stripe) is not in stripe \(id)"
                )
            }
            do {
                let inode = try regularFile(block.key.ino)
                let chunk = try chunk(BlockChunk.number(of: block.key.index), of: inode)
                if let location = chunk[block.key.index]?.location {
                    try self.stripe(holding: location)
                }
                current.append((block, inode, chunk))
            } catch  where error.code == .notFound {
                // Removed meanwhile: what was placed is garbage.
                continue
            }
        }

        stripe.row.born = openVersion
        setState(of: stripe, to: .placed)
        var cleaned: [BlockKey] = []
        for (block, inode, chunk) in current {
            let key = block.key
            let bytes = Self.extent(inode.row.attributes.size, key.index)
            guard var entry = chunk[key.index], entry.dirtySince == block.token, bytes > 0
            else { continue }
            var location = block.location
            location.validBytes = min(location.validBytes, bytes)
            entry.location = location
            entry.dirtySince = nil
            // A dirty block is wholly in the cache, whatever of it was noted as durable there.
            entry.resident = .max
            entry.bytes = bytes
            set(key.index, of: inode, in: chunk, to: entry)
            cleaned.append(key)
        }
        if stripe.row.liveBlocks == 0 { setState(of: stripe, to: .dead) }
        markDirty(stripe)
        changes.operations += 1
        return cleaned
    }

    /// Puts another provider in the place of one that failed.
    ///
    /// The old one may have got the shard all the same, so it becomes the only shard of a dead
    /// stripe of its own.
    func reassign(
        _ old: ShardRecord,
        to new: ShardRecord,
        of id: StripeID,
        garbage: StripeID
    ) throws(FileSystemError) {
        let stripe = try placingStripe(id)
        var shards = try shards(of: stripe)
        guard let position = shards.firstIndex(of: old), new.index == old.index else {
            throw FileSystemError(.invalid, "shard \(old.shard) is not in stripe \(id)")
        }
        try keepGarbage(
            old,
            shardBytes: stripe.row.shardBytes,
            code: stripe.row.code,
            under: garbage
        )
        shards[position] = new
        stripe.shards = shards
        changes.shards[id] = shards
        changes.operations += 1
    }

    /// What a shard of a placed stripe would be with another holder; `nil` if the stripe is dead or
    /// gone.
    func shard(
        _ index: Int,
        of id: StripeID,
        heldBy holder: NodeID
    ) throws(FileSystemError) -> ShardRecord? {
        guard let old = try placedShard(index, of: id)?.shard else { return nil }
        return ShardRecord(
            index: old.index,
            shard: old.shard,
            provider: holder,
            root: old.root
        )
    }

    private func placedShard(
        _ index: Int,
        of id: StripeID
    ) throws(FileSystemError) -> (stripe: Stripe, shard: ShardRecord)? {
        let stripe: Stripe
        do {
            stripe = try self.stripe(id)
        } catch  where error.code == .notFound {
            return nil
        }
        guard stripe.row.state == .placed,
            let shard = try shards(of: stripe).first(where: { $0.index == index })
        else { return nil }
        return (stripe, shard)
    }

    /// Puts other holders in the place of those that shards of placed stripes had, in order, and
    /// forgets those of `dead` that are in use now.
    ///
    /// - Returns: Of each move, whether the shard is with the new holder.
    func move(
        _ moves: [ShardMove],
        forgetting dead: [DeadShard]
    ) throws(FileSystemError) -> [Bool] {
        // Brings all into memory, so that nothing below can fail halfway.
        for move in moves { _ = try placedShard(move.index, of: move.stripe) }
        for shard in dead {
            do {
                _ = try self.shards(of: try self.stripe(shard.stripe))
            } catch  where error.code == .notFound {
                // Deleted and forgotten meanwhile.
                continue
            }
        }

        var used: [ShardID: NodeID] = [:]
        var results: [Bool] = []
        for move in moves {
            guard let (stripe, old) = try placedShard(move.index, of: move.stripe),
                old.provider == move.from || old.provider == move.to
            else {
                results.append(false)
                continue
            }
            results.append(true)
            used[old.shard] = move.to
            guard old.provider != move.to else { continue }
            let new = try shard(move.index, of: move.stripe, heldBy: move.to)
            let shards = try shards(of: stripe).map { $0.index == move.index ? new ?? $0 : $0 }
            stripe.shards = shards
            changes.shards[move.stripe] = shards
            changes.operations += 1
        }
        try forget(dead.filter { used[$0.record.shard] == $0.record.provider })
        return results
    }

    /// Keeps a shard that belongs to no stripe, and that somebody has, until it is deleted there.
    func keepGarbage(
        _ shard: ShardRecord,
        shardBytes: Int,
        code: ErasureCode,
        under id: StripeID
    ) throws(FileSystemError) {
        try begin(
            StripeRecord(
                id: id,
                code: code,
                payloadBytes: 0,
                shardBytes: shardBytes,
                shards: [shard]
            )
        )
        try abandon(id)
    }

    func abandon(_ id: StripeID) throws(FileSystemError) {
        let stripe = try placingStripe(id)
        setState(of: stripe, to: .dead)
        markDirty(stripe)
        changes.operations += 1
    }

    /// Gives up what a crash has cut off; at the opening, before anything else is placed.
    func abandonInterrupted() throws(FileSystemError) {
        for id in try reader.placingStripes() { try abandon(id) }
    }

    func forget(_ dead: [DeadShard]) throws(FileSystemError) {
        var found: [(shard: DeadShard, stripe: Stripe)] = []
        for shard in dead {
            let stripe: Stripe
            do {
                stripe = try self.stripe(shard.stripe)
            } catch  where error.code == .notFound {
                // Forgotten before.
                continue
            }
            guard stripe.row.state == .dead else {
                throw FileSystemError(
                    .invalid,
                    "stripe \(shard.stripe) is in use; its shards must stay"
                )
            }
            _ = try shards(of: stripe)
            found.append((shard, stripe))
        }
        for (shard, stripe) in found {
            stripe.shards?.removeAll { $0.index == shard.record.index }
            changes.forgottenShards.insert(shard)
            if stripe.shards?.isEmpty == true {
                changes.removedStripes.insert(shard.stripe)
                stripes.remove(shard.stripe)
            }
        }
        changes.operations += 1
    }

    // MARK: Second halves: cannot fail

    func setState(of stripe: Stripe, to state: StripeState) {
        let before: UInt64 = stripe.row.state == .placed ? 1 : 0
        let after: UInt64 = state == .placed ? 1 : 0
        let shards = UInt64(stripe.row.code.n)
        MetadataTotals.adjust(&totals.stripes, from: before, to: after)
        MetadataTotals.adjust(&totals.shards, from: before * shards, to: after * shards)
        stripe.row.state = state
    }

    /// The block is what a file holds now.
    func addLive(_ location: BlockLocation) {
        guard let stripe = stripes.value(location.stripe) else { return }
        stripe.row.liveBlocks += 1
        stripe.row.liveBytes += Int64(location.sealedBytes)
        // Only a kept head had it, and a clone of that brings it back.
        stripe.row.died = nil
        markDirty(stripe)
    }

    /// Nobody needs the block since the head of that number, the next one if it is not given.
    ///
    /// A stripe without live blocks is dead, unless a head refers to it.
    func dropLive(_ location: BlockLocation, since version: UInt64? = nil) {
        guard let stripe = stripes.value(location.stripe) else { return }
        stripe.row.liveBlocks -= 1
        stripe.row.liveBytes = max(0, stripe.row.liveBytes - Int64(location.sealedBytes))
        if stripe.row.liveBlocks <= 0, stripe.row.state == .placed {
            let died = version ?? openVersion
            if stripe.row.born < died {
                stripe.row.died = died
            } else {
                setState(of: stripe, to: .dead)
            }
        }
        markDirty(stripe)
        if stripe.row.liveBlocks <= 0, stripe.row.state == .lost {
            // Made by the check for its blocks, and of no use without them.
            changes.removedStripes.insert(stripe.row.id)
            stripes.remove(stripe.row.id)
        }
    }
}
