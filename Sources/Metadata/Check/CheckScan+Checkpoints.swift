import Primitives

extension CheckScan {
    /// The parts of the checkpoint, and the kept heads.
    static let checkpoints: [CheckScan] = [parts, snapshots]

    /// Parts that are in no placed stripe, or whose rows tell nothing, with what is wrong.
    static let badParts = """
        SELECT 'part ' || quote(c.part) || ' of piece ' || quote(c.piece) AS subject, CASE
            WHEN typeof(c.piece) <> 'integer' OR c.piece < -1 OR typeof(c.part) <> 'integer'
                OR c.part < 0 OR typeof(c.last) <> 'integer' OR c.last < 0
                OR typeof(c.plain) <> 'integer' OR c.plain NOT BETWEEN 1 AND \(Bound.block)
                OR typeof(c.valid) <> 'integer' OR c.valid <> c.plain
                OR typeof(c.offset) <> 'integer' OR c.offset < 0
                OR typeof(c.segments) <> 'blob' OR length(c.segments) <> 4 * (
                    (c.plain + \(Bound.segment) - 1) / \(Bound.segment)
                ) THEN 'badCheckpoint:its row tells nothing'
            WHEN s.id IS NULL OR s.state <> 2
                THEN 'badCheckpoint:its stripe is unknown or not placed'
            END AS wrong
        FROM checkpoint c LEFT JOIN stripe s ON s.id = c.stripe WHERE wrong IS NOT NULL
        """

    private static let parts = CheckScan(badParts)

    /// What makes the row of a kept head one that no program of this format writes.
    static let badSnapshot = """
        version < 1 OR typeof(seconds) <> 'integer' OR abs(seconds) >= 1 << 43
        OR typeof(name) <> 'text' OR length(CAST(name AS BLOB)) > \(SnapshotRow.nameBytesMax)
        OR (locked_until IS NOT NULL AND typeof(locked_until) <> 'integer')
        OR typeof(contents) <> 'blob' OR length(contents) < 9
        """

    private static let snapshots = CheckScan(
        """
        SELECT 'snapshot ' || quote(version), 'badSnapshot:its row tells nothing'
        FROM snapshot WHERE \(badSnapshot)
        """
    )
}
