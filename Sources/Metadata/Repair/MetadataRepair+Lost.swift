package import Primitives
import SQLite
import Wire

// Blocks whose bytes are lost, and those that the cache still has.
extension MetadataRepair {
    private typealias Bound = CheckScan.Bound

    /// Notes that what the network holds of a block cannot be read any more.
    ///
    /// If the cache has all of it, it counts as changed and will be placed anew. Otherwise reading
    /// what is not cached fails, until the block is overwritten or cut off.
    ///
    /// `isChanged`: what is lost is a change, which only the cache had.
    package func lose(
        block key: BlockKey,
        isChanged: Bool = false,
        because reason: String
    ) throws(FileSystemError) {
        try converting { () throws(SQLiteError) in
            if isChanged {
                try run(
                    "DELETE FROM residency WHERE ino = ? AND idx = ?",
                    Self.ino(key),
                    Self.index(key)
                )
            }
            try lose(key, because: reason)
        }
    }

    /// `assumed`: the segments that count as cached if no row tells, should the cache have them.
    func lose(
        _ key: BlockKey,
        assumed: UInt16 = 0,
        because reason: String
    ) throws(SQLiteError) {
        let size = try database.integer("SELECT size FROM inode WHERE ino = ?", Self.ino(key))
        let extent = MetadataState.extent(UInt64(clamping: size), key.index)
        let old = try oldLocation(of: key)
        let resident = try residency(of: key)
        guard extent > 0 || resident?.isDirty == true else {
            // Past the end there is nothing to be lost.
            try removeBlock(key)
            return
        }
        if resident?.isDirty == true {
            // Newer bytes are in the cache; the version before them is no loss.
            try removeBlock(key)
            return
        }
        let counted = old?.validBytes ?? 0
        let valid = min(counted > 0 ? counted : extent, extent)
        let needed = Self.segments(of: valid)
        let cached = trusted(resident?.mask ?? assumed, of: key, old)
        if cached & needed == needed, needed != 0 {
            try removeBlock(key)
            try putDirty(key, extent: extent)
            report.add(
                RepairAction(key.subject, "\(reason); the cache has it, it will be placed anew")
            )
            return
        }
        try putLost(key, old, extent: extent, valid: valid, cached: cached)
        report.add(RepairAction(key.subject, "\(reason): its bytes are lost", isLoss: true))
        report.noteLost(key.ino)
    }

    // MARK: Rows

    private static func ino(_ key: BlockKey) -> Value {
        .integer(Int64(clamping: key.ino.rawValue))
    }

    private static func index(_ key: BlockKey) -> Value {
        .integer(Int64(clamping: key.index.rawValue))
    }

    /// The segments that hold the first `bytes` of a block.
    static func segments(of bytes: UInt32) -> UInt16 {
        let count = (Int(bytes) + Geometry.segmentBytes - 1) / Geometry.segmentBytes
        return count >= 16 ? .max : UInt16(1 << count) - 1
    }

    private func oldLocation(of key: BlockKey) throws(SQLiteError) -> BlockLocation? {
        try rows(
            "SELECT stripe, offset, plain, valid, segments FROM block WHERE ino = ? AND idx = ?",
            Self.ino(key),
            Self.index(key)
        ) { row in
            try? BlockLocation.decode(
                stripe: StripeID.lost.bytes,
                offset: 0,
                plainBytes: row.integer(2),
                validBytes: row.integer(3),
                segments: row.blob(4),
                checksum: nil
            )
        }.first
    }

    private func residency(of key: BlockKey) throws(SQLiteError) -> (mask: UInt16, isDirty: Bool)? {
        try rows(
            "SELECT mask, dirty_since FROM residency WHERE ino = ? AND idx = ?",
            Self.ino(key),
            Self.index(key)
        ) { row in
            (mask: UInt16(exactly: row.integer(0)) ?? 0, isDirty: !row.isNull(1))
        }.first
    }

    /// Which of the segments noted as cached can be believed: those that have data, or that are
    /// known to be all zero.
    private func trusted(_ mask: UInt16, of key: BlockKey, _ old: BlockLocation?) -> UInt16 {
        guard context.isCacheRight, mask != 0 else { return 0 }
        var zero: UInt16 = 0
        if let old, old.sealedBytes > 0 {
            for (segment, length) in old.segmentBytes.enumerated() where length == 0 {
                zero |= 1 << UInt16(segment)
            }
        }
        return mask & (context.cachedSegments(key) | zero)
    }

    private func removeBlock(_ key: BlockKey) throws(SQLiteError) {
        try run("DELETE FROM block WHERE ino = ? AND idx = ?", Self.ino(key), Self.index(key))
    }

    /// Notes a block as changed, wholly in the cache.
    func putDirty(_ key: BlockKey, extent: UInt32) throws(SQLiteError) {
        try run(
            "REPLACE INTO residency(ino, idx, mask, held, dirty_since) VALUES(?, ?, ?, ?, ?)",
            Self.ino(key),
            Self.index(key),
            .integer(Int64(UInt16.max)),
            .integer(Int64(extent)),
            .integer(try newToken())
        )
    }

    /// A mark later than all that are right.
    func newToken() throws(SQLiteError) -> Int64 {
        var newest = lastToken ?? 0
        if lastToken == nil {
            newest = try database.integer(
                "SELECT MAX(dirty_since) FROM residency WHERE typeof(dirty_since) = 'integer' "
                    + "AND dirty_since BETWEEN 1 AND \(Int64.max / 2)"
            )
        }
        let token = max(newest + 1, min(nowToken, Int64.max / 2))
        lastToken = token
        return token
    }

    private func putLost(
        _ key: BlockKey,
        _ old: BlockLocation?,
        extent: UInt32,
        valid: UInt32,
        cached: UInt16
    ) throws(SQLiteError) {
        let plain = max(old?.plainBytes ?? extent, valid)
        let count = (Int(plain) + Geometry.segmentBytes - 1) / Geometry.segmentBytes
        var lengths = [UInt32](repeating: 1, count: count)
        if let old, old.sealedBytes > 0, old.segmentBytes.count == count {
            lengths = old.segmentBytes.map { min($0, 1) }
        }
        let location = BlockLocation.lost(
            plainBytes: plain,
            validBytes: valid,
            segmentBytes: lengths
        )
        try run(
            "REPLACE INTO block(ino, idx, stripe, offset, plain, valid, segments, checksum) "
                + "VALUES(?, ?, ?, 0, ?, ?, ?, NULL)",
            Self.ino(key),
            Self.index(key),
            .blob(StripeID.lost.bytes),
            .integer(Int64(plain)),
            .integer(Int64(valid)),
            .blob(location.encodedSegments)
        )
        try putLostStripe()
        if cached == 0 {
            try run(
                "DELETE FROM residency WHERE ino = ? AND idx = ?",
                Self.ino(key),
                Self.index(key)
            )
        } else {
            let held = min(Int(extent), cached.nonzeroBitCount * Geometry.segmentBytes)
            try run(
                "REPLACE INTO residency(ino, idx, mask, held, dirty_since) "
                    + "VALUES(?, ?, ?, ?, NULL)",
                Self.ino(key),
                Self.index(key),
                .integer(Int64(cached)),
                .integer(Int64(held))
            )
        }
    }

    /// Its counts are made right with those of all stripes, at the end.
    private func putLostStripe() throws(SQLiteError) {
        try run(
            """
            INSERT OR IGNORE INTO stripe(
                id, k, m, payload_bytes, shard_bytes, state, live_blocks, live_bytes
            ) VALUES(?, 1, 1, 1, \(Geometry.leafBytes), \(StripeState.lost.rawValue), 0, 0)
            """,
            .blob(StripeID.lost.bytes)
        )
    }

    // MARK: What is cached

    /// Notes a placed block as changed that the cache has all of, if no row says what it has.
    package func adopt(_ key: BlockKey) throws(FileSystemError) {
        try converting { () throws(SQLiteError) in
            let size = try database.integer(
                "SELECT size FROM inode WHERE ino = ? AND kind = 1",
                Self.ino(key)
            )
            let extent = MetadataState.extent(UInt64(clamping: size), key.index)
            let needed = Self.segments(of: extent)
            guard extent > 0, try residency(of: key) == nil, try oldLocation(of: key) != nil,
                context.cachedSegments(key) & needed == needed
            else { return }
            try putDirty(key, extent: extent)
            report.add(RepairAction(key.subject, "the cache has it, it will be placed anew"))
        }
    }

    /// Forgets that segments of a clean block are cached, which are not as they should be.
    ///
    /// The bytes held are to be counted after (`RepairStep.heldBytes`).
    package func forgetCached(_ mask: UInt16, of key: BlockKey) throws(FileSystemError) {
        try converting { () throws(SQLiteError) in
            try run(
                "UPDATE residency SET mask = mask & ~? WHERE ino = ? AND idx = ? "
                    + "AND dirty_since IS NULL",
                .integer(Int64(mask)),
                Self.ino(key),
                Self.index(key)
            )
            try run(
                "DELETE FROM residency WHERE mask = 0 AND dirty_since IS NULL AND ino = ?",
                Self.ino(key)
            )
        }
    }

    /// Forgets that anything of a file is cached, unless the cache has changes of it.
    ///
    /// - Returns: Whether it has none.
    package func forgetCached(of ino: InodeNumber) throws(FileSystemError) -> Bool {
        try converting { () throws(SQLiteError) in
            let number = Value.integer(Int64(clamping: ino.rawValue))
            let changed = try database.integer(
                "SELECT COUNT(dirty_since) FROM residency WHERE ino = ?",
                number
            )
            guard changed == 0 else { return false }
            try run("DELETE FROM residency WHERE ino = ?", number)
            return true
        }
    }

    /// Asks the next mount to look at a shard, and to rebuild it.
    package func noteDoubt(_ index: Int, of stripe: StripeID) throws(FileSystemError) {
        try converting { () throws(SQLiteError) in
            try run(
                "REPLACE INTO meta(key, value) VALUES(?, 1)",
                .text("\(MetaKey.doubtPrefix)\(stripe.hex)_\(index)")
            )
        }
        report.add(RepairAction("shard \(index) of stripe \(stripe)", "the next mount rebuilds it"))
    }

    /// Notes the blocks of a stripe as lost of which too few shards are left.
    package func lose(stripe: StripeID) throws(FileSystemError) {
        try converting { () throws(SQLiteError) in
            try loseStripe(stripe, because: "too few shards of its stripe are left")
        }
    }

    func loseStripe(_ stripe: StripeID, because reason: String) throws(SQLiteError) {
        let keys = try rows(
            "SELECT ino, idx FROM block WHERE stripe = ?",
            .blob(stripe.bytes)
        ) { Self.key($0) }
        for key in keys { try lose(key, because: reason) }
    }
}
