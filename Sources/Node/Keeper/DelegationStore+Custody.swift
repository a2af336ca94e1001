import Network
import Primitives
import SQLite
import Wire

/// What the custodian of a delegated volume asks for and changes.
extension DelegationStore {
    /// The newest repairs of a volume that are kept for its owner: every shard of 20,000 stripes.
    private static let repairsMax: Int64 = 1 << 17

    func stripes(
        of key: DelegationKey,
        after: StripeID?,
        limit: Int
    ) throws -> [StripeManifest] {
        try database.withLock { database in
            let rows = StripeRows(key: key, database: database)
            return try rows.manifests(after: after, limit: limit)
        }
    }

    func stripe(_ id: StripeID, of key: DelegationKey) throws -> StripeManifest? {
        try database.withLock { database in
            try StripeRows(key: key, database: database).manifest(id)
        }
    }

    /// Moves a shard and writes down that it was moved, unless the volume is held or the holder is
    /// another.
    func moveShard(
        _ id: StripeID,
        of key: DelegationKey,
        index: Int,
        from: NodeID,
        to: NodeID,
        now: Timestamp
    ) throws -> Bool {
        try database.transaction { database in
            var rows = StripeRows(key: key, database: database)
            guard mayMove(key), let index = UInt8(exactly: index),
                let stripe = try rows.manifest(id),
                let holding = stripe.shards.first(where: { $0.index == index }),
                holding.provider == from
            else { return false }
            try rows.put(stripe.moving(index: index, to: to))
            _ = try rows.finish()
            let number = try lastRepair(key, in: database) + 1
            let repair = RepairRecord(
                number: number,
                stripe: id,
                index: index,
                shard: holding.shard,
                from: from,
                to: to,
                at: now
            )
            try write(repair, key, in: database)
            return true
        }
    }

    private func write(
        _ repair: RepairRecord,
        _ key: DelegationKey,
        in database: Database
    ) throws {
        let number = Int64(clamping: repair.number)
        let ids: (Value, Value) = (.blob(key.owner.bytes), .blob(key.volume.bytes))
        try database.execute(
            "INSERT INTO repairs VALUES (?, ?, ?, ?)",
            ids.0,
            ids.1,
            .integer(number),
            .blob(repair.encoded)
        )
        try database.execute(
            "UPDATE delegations SET repairs = ? WHERE owner = ? AND volume = ?",
            .integer(number),
            ids.0,
            ids.1
        )
        try database.execute(
            "DELETE FROM repairs WHERE owner = ? AND volume = ? AND number <= ?",
            ids.0,
            ids.1,
            .integer(number - Self.repairsMax)
        )
    }
}
