import Primitives
import SQLite
import Wire

// Rows of blocks and of what is cached of them, and what is counted of them.
extension MetadataRepair {
    private typealias Bound = CheckScan.Bound

    /// Holes of one file that are taken for lost blocks at most: a sparse file has billions.
    private static let suspectHolesMax = 4096

    // MARK: Blocks

    func repairBlocks() throws(SQLiteError) {
        let nowhere = """
            FROM block WHERE typeof(idx) <> 'integer' OR idx NOT BETWEEN 0 AND \
            \(Bound.blockIndexEnd) - 1
            """
        try list(
            """
            SELECT 'block ' || quote(idx) || ' of inode ' || ino,
            'no file has such a block: removed'
            \(nowhere)
            """,
            isLoss: true
        )
        try run("DELETE \(nowhere)")
        for key in try keys(
            """
            SELECT b.ino, b.idx FROM block b JOIN inode i ON i.ino = b.ino WHERE i.kind = 1 AND (
                typeof(b.stripe) <> 'blob' OR length(b.stripe) <> \(Bound.id)
                OR typeof(b.offset) <> 'integer' OR b.offset NOT BETWEEN 0 AND 4294967295
                OR typeof(b.plain) <> 'integer' OR b.plain NOT BETWEEN 1 AND \(Bound.block)
                OR typeof(b.valid) <> 'integer' OR b.valid NOT BETWEEN 1 AND b.plain
                OR typeof(b.segments) <> 'blob' OR length(b.segments)
                    <> 4 * ((b.plain + \(Bound.segment) - 1) / \(Bound.segment))
            )
            """
        ) { try lose(key, because: "its row has impossible values") }
        try cutBlocks()
        for key in try keys(
            """
            SELECT b.ino, b.idx FROM block b WHERE b.stripe <> \(Bound.lost) AND NOT EXISTS(
                SELECT 1 FROM stripe s WHERE s.id = b.stripe AND s.state = 2
            )
            """
        ) { try lose(key, because: "its stripe is unknown") }
        for key in try misplaced() {
            try lose(key, because: "its place in its stripe is impossible")
        }
        try restoreLostStripe()
    }

    /// Removes what lies past the end of files, and cuts the block that holds it.
    private func cutBlocks() throws(SQLiteError) {
        let end = "(SELECT i.size FROM inode i WHERE i.ino = block.ino AND i.kind = 1)"
        let past = "FROM block WHERE idx * \(Bound.block) >= \(end)"
        let subject = "'block ' || idx || ' of inode ' || ino"
        try list("SELECT \(subject), 'past the end of its file: removed' \(past)")
        try run("DELETE \(past)")
        let over = "idx * \(Bound.block) + valid > \(end)"
        try list("SELECT \(subject), 'is cut at the end of its file' FROM block WHERE \(over)")
        try run(
            "UPDATE block SET valid = \(end) - idx * \(Bound.block), checksum = NULL WHERE \(over)"
        )
    }

    /// A row that names the stripe of lost blocks is right only with that stripe there.
    private func restoreLostStripe() throws(SQLiteError) {
        try run(
            """
            INSERT OR IGNORE INTO stripe(
                id, k, m, payload_bytes, shard_bytes, state, live_blocks, live_bytes
            ) SELECT \(Bound.lost), 1, 1, 1, \(Geometry.leafBytes),
                \(StripeState.lost.rawValue), 0, 0
            WHERE EXISTS(SELECT 1 FROM block WHERE stripe = \(Bound.lost))
            """
        )
    }

    /// Blocks whose sealed bytes cannot be where their rows say.
    private func misplaced() throws(SQLiteError) -> [BlockKey] {
        try rows(
            """
            SELECT b.ino, b.idx, b.offset, b.segments, s.payload_bytes
            FROM block b JOIN stripe s ON s.id = b.stripe WHERE s.state = 2
            """
        ) { row in
            let sealed = Self.sealedBytes(row.blob(3))
            let end = UInt64(clamping: row.integer(2)) + (sealed ?? 0)
            guard sealed == nil || sealed == 0 || end > UInt64(clamping: row.integer(4)) else {
                return nil
            }
            return Self.key(row)
        }
    }

    /// The sum of a row's segment lengths; `nil` if one is longer than any can be.
    static func sealedBytes(_ segments: [UInt8]) -> UInt64? {
        var reader = ByteReader(segments)
        var sum: UInt64 = 0
        while let length: UInt32 = try? reader.integer() {
            guard length <= StripeLayoutCheck.sealedSegmentMax else { return nil }
            sum += UInt64(length)
        }
        return sum
    }

    static func key(_ row: Statement) -> BlockKey? {
        guard let ino = UInt64(exactly: row.integer(0)), ino <= InodeRow.numberMax,
            let index = UInt64(exactly: row.integer(1)), index < MetadataReader.blockIndexEnd
        else { return nil }
        return BlockKey(InodeNumber(ino), BlockIndex(index))
    }

    func keys(_ sql: String) throws(SQLiteError) -> [BlockKey] {
        try rows(sql) { Self.key($0) }
    }

    // MARK: What is cached

    func repairResidency() throws(SQLiteError) {
        let subject = "'block ' || quote(idx) || ' of inode ' || ino"
        let nowhere = """
            FROM residency WHERE typeof(idx) <> 'integer' OR idx NOT BETWEEN 0 AND \
            \(Bound.blockIndexEnd) - 1
            """
        try list(
            "SELECT \(subject), 'no file has such a block: forgotten' \(nowhere)",
            isLoss: true
        )
        try run("DELETE \(nowhere)")
        // After an end in order all changes are durable in the cache; else nobody knows.
        let isSettled = try database.integer("SELECT value FROM meta WHERE key = 'clean'") == 1
        let bad = "(typeof(mask) <> 'integer' OR mask NOT BETWEEN 0 AND 65535)"
        try run(
            "UPDATE residency SET mask = ? WHERE dirty_since IS NOT NULL AND \(bad)",
            .integer(isSettled ? 65535 : 0)
        )
        for forgotten in [
            "dirty_since IS NULL AND \(bad)", "dirty_since IS NULL AND mask = 0",
            """
            dirty_since IS NULL AND idx * \(Bound.block) >= (
                SELECT i.size FROM inode i WHERE i.ino = residency.ino AND i.kind = 1
            )
            """,
        ] {
            try list(
                "SELECT \(subject), 'is not cached any more' FROM residency WHERE \(forgotten)"
            )
            try run("DELETE FROM residency WHERE \(forgotten)")
        }
        try repairMarks()
        for key in try keys(
            """
            SELECT r.ino, r.idx FROM residency r WHERE r.dirty_since IS NULL AND NOT EXISTS(
                SELECT 1 FROM block b WHERE b.ino = r.ino AND b.idx = r.idx
            )
            """
        ) { try lose(key, because: "it is cached and clean, and placed nowhere") }
    }

    /// Gives new marks to changed blocks whose mark is no time, or another's too.
    private func repairMarks() throws(SQLiteError) {
        let found = try keys(
            """
            SELECT ino, idx FROM (
                SELECT ino, idx, dirty_since, row_number() OVER (
                    PARTITION BY dirty_since ORDER BY ino, idx
                ) AS place
                FROM residency WHERE dirty_since IS NOT NULL
            ) WHERE place > 1 OR typeof(dirty_since) <> 'integer'
            OR dirty_since NOT BETWEEN 1 AND \(Int64.max - 1)
            """
        )
        for key in found {
            try run(
                "UPDATE residency SET dirty_since = ? WHERE ino = ? AND idx = ?",
                .integer(try newToken()),
                .integer(Int64(key.ino.rawValue)),
                .integer(Int64(key.index.rawValue))
            )
            report.add(RepairAction(key.subject, "the mark of its change is dealt anew"))
        }
    }

    func countHeldBytes() throws(SQLiteError) {
        let held = """
            MIN(
                MAX(0, MIN(\(Bound.block), (
                    SELECT i.size FROM inode i WHERE i.ino = residency.ino
                ) - idx * \(Bound.block))),
                \(Bound.segment) * (
                    (mask & 1) + (mask >> 1 & 1) + (mask >> 2 & 1) + (mask >> 3 & 1)
                    + (mask >> 4 & 1) + (mask >> 5 & 1) + (mask >> 6 & 1) + (mask >> 7 & 1)
                    + (mask >> 8 & 1) + (mask >> 9 & 1) + (mask >> 10 & 1) + (mask >> 11 & 1)
                    + (mask >> 12 & 1) + (mask >> 13 & 1) + (mask >> 14 & 1) + (mask >> 15 & 1)
                )
            )
            """
        let wrong = "typeof(held) <> 'integer' OR held <> \(held)"
        try list(
            """
            SELECT 'block ' || idx || ' of inode ' || ino,
            'its cached bytes, ' || quote(held) || ', are ' || \(held) || ' now'
            FROM residency WHERE \(wrong)
            """
        )
        try run("UPDATE residency SET held = \(held) WHERE \(wrong)")
    }

    // MARK: Counts

    /// Counts the blocks of files anew.
    ///
    /// A file that counts more than there are has lost rows, and what they told of would be read
    /// as zeros: its holes are noted as lost, all of them, since nobody knows which are.
    func countBlocks() throws(SQLiteError) {
        let there = """
            (SELECT COUNT(*) FROM block b WHERE b.ino = i.ino) + (
                SELECT COUNT(*) FROM residency r WHERE r.ino = i.ino
                AND NOT EXISTS(SELECT 1 FROM block b WHERE b.ino = r.ino AND b.idx = r.idx)
            )
            """
        let wrong = try rows(
            "SELECT i.ino, i.blocks, \(there), i.size FROM inode i "
                + "WHERE i.kind = 1 AND i.blocks <> \(there)"
        ) { row in
            UInt64(exactly: row.integer(0)).map {
                (
                    ino: InodeNumber($0), counted: row.integer(1), there: row.integer(2),
                    size: UInt64(clamping: row.integer(3))
                )
            }
        }
        for file in wrong {
            var count = file.there
            if file.counted > file.there {
                guard let added = try loseHoles(of: file.ino, size: file.size) else { continue }
                count += added
            }
            try run(
                "UPDATE inode SET blocks = ? WHERE ino = ?",
                .integer(count),
                .integer(Int64(file.ino.rawValue))
            )
            guard count != file.counted else { continue }
            report.add(
                RepairAction(
                    "inode \(file.ino.rawValue)",
                    "its count of blocks \(file.counted) is \(count) now"
                )
            )
        }
    }

    /// Notes the holes of a file as lost.
    ///
    /// - Returns: How many; `nil` if there are too many to say.
    private func loseHoles(of ino: InodeNumber, size: UInt64) throws(SQLiteError) -> Int64? {
        let end = MetadataState.firstBlock(past: size)
        let number = Value.integer(Int64(ino.rawValue))
        let there = Set(
            try rows(
                "SELECT idx FROM block WHERE ino = ?1 "
                    + "UNION SELECT idx FROM residency WHERE ino = ?1",
                number
            ) { UInt64(exactly: $0.integer(0)) }
        )
        guard end <= UInt64(there.count + Self.suspectHolesMax) else { return nil }
        // What a clean cache holds of a hole is the block whose row is missing.
        let isSettled = try database.integer("SELECT value FROM meta WHERE key = 'clean'") == 1
        var count: Int64 = 0
        for index in 0..<end where !there.contains(index) {
            try lose(
                BlockKey(ino, BlockIndex(index)),
                assumed: isSettled ? .max : 0,
                because: "the row of a block is missing"
            )
            count += 1
        }
        return count
    }
}
