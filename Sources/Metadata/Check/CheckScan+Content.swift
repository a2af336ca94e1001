import Primitives

extension CheckScan {
    /// Blocks, residency and keys of files.
    static let content: [CheckScan] = [fileRows, keys, blocks, residency, dirtyMarks]

    private static let fileRows = CheckScan(
        """
        SELECT 'inode ' || i.ino, CASE
            WHEN i.blocks <> (SELECT COUNT(*) FROM block b WHERE b.ino = i.ino) + (
                SELECT COUNT(*) FROM residency r WHERE r.ino = i.ino
                AND NOT EXISTS(SELECT 1 FROM block b WHERE b.ino = r.ino AND b.idx = r.idx)
            ) THEN 'wrongBlockCount:it counts ' || i.blocks || ' blocks, and rows tell of '
                || (SELECT COUNT(*) FROM (SELECT idx FROM block b WHERE b.ino = i.ino
                    UNION SELECT idx FROM residency r WHERE r.ino = i.ino))
            WHEN EXISTS(SELECT 1 FROM block b WHERE b.ino = i.ino AND b.stripe <> \(Bound.lost))
                AND NOT EXISTS(SELECT 1 FROM file_key k WHERE k.ino = i.ino)
                THEN 'missingKey:it has placed blocks, and the key to them is missing'
            END AS wrong
        FROM inode i WHERE i.kind = 1 AND wrong IS NOT NULL
        """
    )

    private static let keys = CheckScan(
        """
        SELECT 'inode ' || k.ino, CASE
            WHEN i.ino IS NULL THEN 'keyOfNobody:a key is kept of an inode that does not exist'
            WHEN i.kind <> 1 THEN 'keyOfNobody:a key is kept of what is no regular file'
            WHEN typeof(k.wrapped) <> 'blob' OR length(k.wrapped) NOT BETWEEN 1 AND 255
                THEN 'wrongKey:' || length(k.wrapped) || ' bytes are no wrapped key'
            END AS wrong
        FROM file_key k LEFT JOIN inode i ON i.ino = k.ino WHERE wrong IS NOT NULL
        """
    )

    private static let blocks = CheckScan(
        """
        SELECT 'block ' || b.idx || ' of inode ' || b.ino, CASE
            WHEN i.ino IS NULL THEN 'blockOfNobody:the inode does not exist'
            WHEN i.kind <> 1 THEN 'blockOfNobody:the inode is no regular file'
            WHEN typeof(b.idx) <> 'integer' OR b.idx NOT BETWEEN 0 AND \(Bound.blockIndexEnd) - 1
                THEN 'badBlock:no file has such a block'
            WHEN typeof(b.stripe) <> 'blob' OR length(b.stripe) <> \(Bound.id)
                THEN 'badBlock:stripe ' || quote(substr(b.stripe, 1, 32))
            WHEN typeof(b.offset) <> 'integer' OR b.offset NOT BETWEEN 0 AND 4294967295
                THEN 'badBlock:offset ' || quote(b.offset)
            WHEN typeof(b.plain) <> 'integer' OR b.plain NOT BETWEEN 1 AND \(Bound.block)
                THEN 'badBlock:plain ' || quote(b.plain)
            WHEN typeof(b.valid) <> 'integer' OR b.valid NOT BETWEEN 1 AND b.plain
                THEN 'badBlock:valid ' || quote(b.valid) || ' of ' || b.plain
            WHEN typeof(b.segments) <> 'blob'
                OR length(b.segments) <> 4 * ((b.plain + \(Bound.segment) - 1) / \(Bound.segment))
                THEN 'badBlock:' || length(b.segments) || ' bytes of segment lengths for '
                    || b.plain || ' bytes'
            WHEN b.idx * \(Bound.block) + b.valid > i.size
                THEN 'blockPastEnd:' || b.valid || ' bytes count, of a file of ' || i.size
            WHEN NOT EXISTS(SELECT 1 FROM stripe s WHERE s.id = b.stripe)
                THEN 'blockWithoutStripe:stripe ' || lower(hex(b.stripe)) || ' does not exist'
            WHEN NOT EXISTS(
                SELECT 1 FROM stripe s WHERE s.id = b.stripe
                AND s.state = CASE s.id WHEN \(Bound.lost) THEN 4 ELSE 2 END
            )
                THEN 'blockWithoutStripe:stripe ' || lower(hex(b.stripe)) || ' is not placed'
            END AS wrong
        FROM block b LEFT JOIN inode i ON i.ino = b.ino WHERE wrong IS NOT NULL
        """
    )

    private static let residency = CheckScan(
        """
        SELECT 'block ' || r.idx || ' of inode ' || r.ino, CASE
            WHEN i.ino IS NULL THEN 'residencyOfNobody:the inode does not exist'
            WHEN i.kind <> 1 THEN 'residencyOfNobody:the inode is no regular file'
            WHEN typeof(r.idx) <> 'integer' OR r.idx NOT BETWEEN 0 AND \(Bound.blockIndexEnd) - 1
                THEN 'badResidency:no file has such a block'
            WHEN typeof(r.mask) <> 'integer' OR r.mask NOT BETWEEN 0 AND 65535
                THEN 'badResidency:mask ' || quote(r.mask)
            WHEN r.mask = 0 AND r.dirty_since IS NULL
                THEN 'badResidency:the row tells of nothing'
            WHEN r.dirty_since IS NULL AND r.idx * \(Bound.block) >= i.size
                THEN 'residencyPastEnd:clean, and past the end of a file of ' || i.size
            WHEN r.dirty_since IS NULL AND NOT EXISTS(
                SELECT 1 FROM block b WHERE b.ino = r.ino AND b.idx = r.idx
            ) THEN 'badResidency:it is cached and clean, and placed nowhere'
            WHEN typeof(r.held) <> 'integer' OR r.held <> MIN(
                MAX(0, MIN(\(Bound.block), i.size - r.idx * \(Bound.block))),
                \(Bound.segment) * (
                    (r.mask & 1) + (r.mask >> 1 & 1) + (r.mask >> 2 & 1) + (r.mask >> 3 & 1)
                    + (r.mask >> 4 & 1) + (r.mask >> 5 & 1) + (r.mask >> 6 & 1)
                    + (r.mask >> 7 & 1) + (r.mask >> 8 & 1) + (r.mask >> 9 & 1)
                    + (r.mask >> 10 & 1) + (r.mask >> 11 & 1) + (r.mask >> 12 & 1)
                    + (r.mask >> 13 & 1) + (r.mask >> 14 & 1) + (r.mask >> 15 & 1)
                )
            ) THEN 'wrongHeldBytes:held ' || quote(r.held) || ' with mask ' || r.mask
            WHEN r.dirty_since IS NOT NULL AND (
                typeof(r.dirty_since) <> 'integer'
                OR r.dirty_since NOT BETWEEN 1 AND \(Int64.max - 1)
            ) THEN 'badDirtyMark:' || quote(r.dirty_since) || ' is no time'
            END AS wrong
        FROM residency r LEFT JOIN inode i ON i.ino = r.ino WHERE wrong IS NOT NULL
        """
    )

    /// A mark tells one change of a block from the next, so no two are equal.
    private static let dirtyMarks = CheckScan(
        """
        SELECT 'block ' || MIN(idx) || ' of inode ' || ino,
            'badDirtyMark:' || COUNT(*) || ' blocks have the mark ' || quote(dirty_since)
        FROM residency WHERE dirty_since IS NOT NULL GROUP BY dirty_since HAVING COUNT(*) > 1
        """
    )
}
