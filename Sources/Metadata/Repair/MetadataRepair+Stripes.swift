import Primitives
import SQLite

// Stripes and shards by themselves, and how much of each stripe is alive.
extension MetadataRepair {
    private typealias Bound = CheckScan.Bound

    /// A stripe's row with values that may be impossible.
    private struct Row {
        let id: [UInt8]
        var k, m, payloadBytes, shardBytes, state: Int64
        /// Shards that are listed, and the end of the last block in it.
        var shards: Int64 = 0
        var blocks: Int64 = 0
        var end: Int64 = 0

        /// Whether there is such a code.
        var isCode: Bool { (1...254).contains(k) && (1...254).contains(m) && k + m <= 255 }

        /// The bytes of each shard that the payload asks for.
        var neededShardBytes: Int64 {
            guard (1...254).contains(k), (0...Int64(UInt32.max)).contains(payloadBytes) else {
                return 0
            }
            let column = (payloadBytes + k - 1) / k
            return (column + Int64(Geometry.leafBytes) - 1) / Int64(Geometry.leafBytes)
                * Int64(Geometry.leafBytes)
        }

        var isPlausible: Bool {
            isCode
                && payloadBytes >= max(1, end) && payloadBytes <= Int64(UInt32.max)
                && shardBytes >= Int64(Geometry.leafBytes)
                && shardBytes <= Int64(Geometry.shardBytesMax) && shardBytes == neededShardBytes
        }
    }

    // MARK: Rows

    /// Brings the values of stripes into agreement with their shards and blocks; a stripe for which
    /// there is no such value goes, and its blocks are lost.
    func repairStripes() throws(SQLiteError) {
        let unusable = "FROM stripe WHERE typeof(id) <> 'blob' OR length(id) <> \(Bound.id)"
        try list(
            "SELECT 'stripe ' || lower(hex(id)), 'no stripe has such an id: removed' \(unusable)",
            isLoss: true
        )
        try run("DELETE \(unusable)")
        try run(
            """
            UPDATE stripe SET k = 1, m = 1, payload_bytes = 1, shard_bytes = \(Geometry.leafBytes),
            state = 4 WHERE id = \(Bound.lost) AND (k, m, payload_bytes, shard_bytes, state)
                IS NOT (1, 1, 1, \(Geometry.leafBytes), 4)
            """
        )
        try run("DELETE FROM shard WHERE stripe = \(Bound.lost)")
        for row in try suspects() {
            if let repaired = repaired(row) {
                try put(repaired)
                continue
            }
            if let id = StripeID(bytes: row.id) {
                try loseStripe(id, because: "its stripe cannot be made out")
            }
            try run("DELETE FROM shard WHERE stripe = ?", .blob(row.id))
            try run("DELETE FROM stripe WHERE id = ?", .blob(row.id))
            report.add(
                RepairAction(
                    "stripe \(Hex.encode(row.id))",
                    "cannot be made out: removed",
                    isLoss: true
                )
            )
        }
    }

    /// Stripes whose values are impossible by themselves or with what is in them.
    private func suspects() throws(SQLiteError) -> [Row] {
        var found = try rows(
            """
            SELECT id, k, m, payload_bytes, shard_bytes, state,
                (SELECT COUNT(*) FROM shard h WHERE h.stripe = s.id),
                (SELECT COUNT(*) FROM block b WHERE b.stripe = s.id)
            FROM stripe s WHERE id <> \(Bound.lost) AND (
                typeof(k) <> 'integer' OR typeof(m) <> 'integer' OR k NOT BETWEEN 1 AND 254
                OR m NOT BETWEEN 1 AND 254 OR k + m > 255
                OR typeof(state) <> 'integer' OR state NOT BETWEEN 1 AND 3
                OR typeof(shard_bytes) <> 'integer'
                OR shard_bytes % \(Geometry.leafBytes) <> 0
                OR shard_bytes NOT BETWEEN \(Geometry.leafBytes) AND \(Geometry.shardBytesMax)
                OR typeof(payload_bytes) <> 'integer' OR payload_bytes < (state <> 3)
                OR (payload_bytes > 0 AND shard_bytes <> \(Geometry.leafBytes) * (
                    ((payload_bytes + k - 1) / k + \(Geometry.leafBytes) - 1)
                    / \(Geometry.leafBytes)
                ))
                OR state <> 2 AND EXISTS(SELECT 1 FROM block b WHERE b.stripe = s.id)
            )
            """
        ) { row in
            var stripe = Row(
                id: row.blob(0),
                k: row.integer(1),
                m: row.integer(2),
                payloadBytes: row.integer(3),
                shardBytes: row.integer(4),
                state: row.integer(5)
            )
            stripe.shards = row.integer(6)
            stripe.blocks = row.integer(7)
            return stripe
        }
        for position in found.indices {
            let ends = try rows(
                "SELECT offset, segments FROM block WHERE stripe = ?",
                .blob(found[position].id)
            ) { row -> Int64? in
                guard let offset = UInt32(exactly: row.integer(0)) else { return nil }
                return Self.sealedBytes(row.blob(1)).map { Int64(offset) + Int64(clamping: $0) }
            }
            found[position].end = ends.max() ?? 0
        }
        return found
    }

    /// The row with values that agree; `nil` if there are none.
    private func repaired(_ row: Row) -> Row? {
        var row = row
        if !row.isCode {
            guard row.shards == Int64(context.code.n) else { return nil }
            (row.k, row.m) = (Int64(context.code.k), Int64(context.code.m))
        }
        if !(1...3).contains(row.state) || (row.blocks > 0 && row.state != 2) {
            // What files are in is needed; its shards may be gone, which reading will tell.
            row.state = row.blocks > 0 ? 2 : 3
        }
        if row.state == StripeState.dead.rawValue {
            // Only where its shards are matters any more.
            row.payloadBytes = 0
            let isRight =
                row.shardBytes % Int64(Geometry.leafBytes) == 0
                && row.shardBytes >= Int64(Geometry.leafBytes)
                && row.shardBytes <= Int64(Geometry.shardBytesMax)
            if !isRight { row.shardBytes = Int64(Geometry.leafBytes) }
            return row.shards > 0 ? row : nil
        }
        guard !row.isPlausible else { return row }
        let byPayload = row.neededShardBytes
        let isPayloadRight =
            row.payloadBytes >= max(1, row.end)
            && row.shardBytes != byPayload
            && (row.shardBytes % Int64(Geometry.leafBytes) != 0 || row.shardBytes < byPayload)
        if isPayloadRight {
            row.shardBytes = byPayload
        } else {
            // As much as the shards can hold: what lies in them is found by offset.
            row.payloadBytes = row.shardBytes.multipliedReportingOverflow(by: row.k).partialValue
        }
        return row.isPlausible ? row : nil
    }

    private func put(_ row: Row) throws(SQLiteError) {
        try run(
            """
            UPDATE stripe SET k = ?, m = ?, payload_bytes = ?, shard_bytes = ?, state = ?
            WHERE id = ?
            """,
            .integer(row.k),
            .integer(row.m),
            .integer(row.payloadBytes),
            .integer(row.shardBytes),
            .integer(row.state),
            .blob(row.id)
        )
        report.add(
            RepairAction(
                "stripe \(Hex.encode(row.id))",
                "\(row.k)+\(row.m), \(row.payloadBytes) bytes in shards of \(row.shardBytes), state"
                    + " \(row.state) now"
            )
        )
    }

    // MARK: Shards

    /// Removes rows that name no shard; a stripe that has too few left is lost, and one that bears
    /// fewer losses than it should is placed anew by the next mount.
    func repairShards() throws(SQLiteError) {
        let bad = """
            FROM shard WHERE NOT EXISTS(SELECT 1 FROM stripe s WHERE s.id = shard.stripe)
            OR typeof(idx) <> 'integer'
            OR idx NOT BETWEEN 0 AND (SELECT s.k + s.m - 1 FROM stripe s WHERE s.id = shard.stripe)
            OR typeof(shard) <> 'blob' OR length(shard) <> \(ShardID.byteCount)
            OR typeof(provider) <> 'blob' OR length(provider) <> \(NodeID.byteCount)
            OR typeof(root) <> 'blob' OR length(root) <> \(Digest.byteCount)
            """
        try list(
            """
            SELECT 'shard ' || quote(idx) || ' of stripe ' || lower(hex(stripe)),
            'its row names no shard: removed' \(bad)
            """
        )
        try run("DELETE \(bad)")
        try keepNeededShards()
        try run(
            """
            DELETE FROM meta WHERE key >= ?1 AND key < ?1 || '~' AND substr(key, length(?1) + 1)
            NOT IN (SELECT lower(hex(id)) FROM stripe WHERE state IN (1, 2))
            """,
            .text(MetaKey.rewritePrefix)
        )
        try run(
            "DELETE FROM meta WHERE key >= ?1 AND key < ?1 || '~' AND value = 0",
            .text(MetaKey.doubtPrefix)
        )
        let few = """
            SELECT s.id FROM stripe s WHERE s.state IN (1, 2)
            AND (SELECT COUNT(*) FROM shard h WHERE h.stripe = s.id) < s.k
            """
        for id in try rows(few, decode: { StripeID(bytes: $0.blob(0)) }) {
            try loseStripe(id, because: "too few shards of its stripe are known")
            try run("UPDATE stripe SET state = 3 WHERE id = ?", .blob(id.bytes))
        }
        let weak = """
            FROM stripe s WHERE s.state IN (1, 2) AND (
                SELECT COUNT(DISTINCT h.provider) FROM shard h WHERE h.stripe = s.id
            ) < s.k + s.m
            AND '\(MetaKey.rewritePrefix)' || lower(hex(s.id)) NOT IN (SELECT key FROM meta)
            """
        try list(
            """
            SELECT 'stripe ' || lower(hex(s.id)),
            'bears fewer losses than it should: the next mount places its blocks anew' \(weak)
            """
        )
        try run(
            """
            INSERT INTO meta(key, value)
            SELECT '\(MetaKey.rewritePrefix)' || lower(hex(s.id)), 1 \(weak)
            """
        )
        let empty = """
            FROM stripe WHERE state = 3 AND NOT EXISTS(
                SELECT 1 FROM shard h WHERE h.stripe = stripe.id
            )
            """
        try list(
            "SELECT 'stripe ' || lower(hex(id)), 'is dead and has no shards: removed' \(empty)"
        )
        try run("DELETE \(empty)")
    }

    /// Takes shards off the list of what is to be deleted that a living stripe has there.
    private func keepNeededShards() throws(SQLiteError) {
        let needed = """
            FROM shard WHERE stripe IN (SELECT id FROM stripe WHERE state = 3)
            AND (shard, provider) IN (
                SELECT h.shard, h.provider FROM shard h JOIN stripe s ON s.id = h.stripe
                WHERE s.state <> 3
            )
            """
        try list(
            """
            SELECT 'shard ' || idx || ' of stripe ' || lower(hex(stripe)),
            'is needed, and will not be deleted' \(needed)
            """
        )
        try run("DELETE \(needed)")
    }

    // MARK: Counts

    /// Adds up what of each stripe is alive; one of which nothing is, is dead.
    func countStripes() throws(SQLiteError) {
        var alive: [StripeID: (blocks: Int64, bytes: Int64)] = [:]
        let blocks = try database.prepare(
            "SELECT stripe, segments FROM block UNION ALL SELECT stripe, segments FROM checkpoint"
        )
        while try blocks.step() {
            guard let id = StripeID(bytes: blocks.blob(0)) else { continue }
            var sum = alive[id] ?? (0, 0)
            sum.blocks += 1
            sum.bytes += Int64(clamping: Self.sealedBytes(blocks.blob(1)) ?? 0)
            alive[id] = sum
        }
        // What nothing holds any more, heads may: it is given up when they are gone.
        let version = try database.integer(
            "SELECT value FROM meta WHERE key = ? AND typeof(value) = 'integer'",
            .text(MetaKey.openVersion)
        )
        let stripes = try rows("SELECT id, live_blocks, live_bytes, state, died FROM stripe") {
            row in
            StripeID(bytes: row.blob(0)).map {
                (
                    id: $0, blocks: row.integer(1), bytes: row.integer(2), state: row.integer(3),
                    isReleased: !row.isNull(4)
                )
            }
        }
        for stripe in stripes {
            let sum = alive[stripe.id] ?? (0, 0)
            if sum.blocks != stripe.blocks || sum.bytes != stripe.bytes {
                try run(
                    "UPDATE stripe SET live_blocks = ?, live_bytes = ? WHERE id = ?",
                    .integer(sum.blocks),
                    .integer(sum.bytes),
                    .blob(stripe.id.bytes)
                )
                if stripe.id != .lost {
                    report.add(
                        RepairAction(
                            "stripe \(stripe.id)",
                            "it counted \(stripe.blocks) blocks of \(stripe.bytes) bytes, now"
                                + " \(sum.blocks) of \(sum.bytes)"
                        )
                    )
                }
            }
            guard sum.blocks == 0 else { continue }
            if stripe.state == StripeState.placed.rawValue, version > 0 {
                guard !stripe.isReleased else { continue }
                try run(
                    "UPDATE stripe SET died = ? WHERE id = ?",
                    .integer(version),
                    .blob(stripe.id.bytes)
                )
                report.add(
                    RepairAction("stripe \(stripe.id)", "holds nothing: only older heads need it")
                )
            } else if stripe.state == StripeState.placed.rawValue {
                try run("UPDATE stripe SET state = 3 WHERE id = ?", .blob(stripe.id.bytes))
                report.add(RepairAction("stripe \(stripe.id)", "holds nothing: it is dead"))
            } else if stripe.state == StripeState.lost.rawValue {
                try run("DELETE FROM stripe WHERE id = ?", .blob(stripe.id.bytes))
            }
        }
    }
}
