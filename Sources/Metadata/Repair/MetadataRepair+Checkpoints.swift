import Primitives
import SQLite

// The checkpoint and the kept heads. What of them is wrong here is right at the network: the next
// mount places a new base, and a head that names it.
extension MetadataRepair {
    /// Removes parts of the checkpoint that cannot be read, all of them if there is one.
    func repairCheckpoint() throws(SQLiteError) {
        guard try database.integer("SELECT COUNT(*) FROM (\(CheckScan.badParts))") > 0 else {
            return
        }
        try run("DELETE FROM checkpoint")
        try run("DELETE FROM journal")
        report.add(RepairAction("checkpoint", "the next mount makes a new one"))
    }

    /// Removes kept heads whose rows tell nothing; what only they needed is given up later.
    func repairSnapshots() throws(SQLiteError) {
        let bad = "FROM snapshot WHERE \(CheckScan.badSnapshot)"
        try list(
            "SELECT 'snapshot ' || quote(version), 'its row tells nothing: removed' \(bad)",
            isLoss: true
        )
        try run("DELETE \(bad)")
    }

    /// What was repaired is not in the journal, so that the next head needs a new base.
    func askForBase() throws(SQLiteError) {
        try run(
            "INSERT OR REPLACE INTO meta(key, value) SELECT ?, 1 "
                + "WHERE EXISTS(SELECT 1 FROM meta WHERE key = ?)",
            .text(MetaKey.needsBase),
            .text(MetaKey.openVersion)
        )
    }
}
