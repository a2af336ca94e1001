import Primitives
import Proofs
import SQLite
import Sealing
import Wire

/// Grants, and what auditors say.
extension OrderDatabase {
    // MARK: Grants

    func grants() throws(SQLiteError) -> [Grant] {
        try database.query("SELECT signed FROM grants") { (row) throws(SQLiteError) in
            try decode(Grant.self, row.blob(0))
        }
    }

    func save(_ grant: Grant) throws(SQLiteError) {
        try database.execute(
            "INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?)",
            .blob(grant.volume.bytes),
            .blob(grant.ownerKey.bytes),
            .blob(grant.grantee.bytes),
            .blob(grant.encoded)
        )
    }

    func remove(_ grant: Grant) throws(SQLiteError) {
        try database.execute(
            "DELETE FROM grants WHERE volume = ? AND owner = ? AND grantee = ?",
            .blob(grant.volume.bytes),
            .blob(grant.ownerKey.bytes),
            .blob(grant.grantee.bytes)
        )
    }

    // MARK: Receipts

    /// Receipts kept of an order: ten days of one auditor's hours.
    static let receiptsMax = 256

    /// Keeps the newest `receiptsMax` of an order.
    func save(_ receipt: Receipt, of number: Int64) throws {
        try database.transaction {
            try database.execute(
                """
                INSERT OR IGNORE INTO receipts (number, auditor, link, receipt)
                VALUES (?, ?, ?, ?)
                """,
                .integer(number),
                .blob(receipt.auditorKey.bytes),
                .integer(Int64(clamping: receipt.number)),
                .blob(receipt.encoded)
            )
            try database.execute(
                """
                DELETE FROM receipts WHERE number = ?1 AND row <= (
                    SELECT row FROM receipts WHERE number = ?1
                    ORDER BY row DESC LIMIT 1 OFFSET ?2)
                """,
                .integer(number),
                .integer(Int64(Self.receiptsMax))
            )
        }
    }

    /// The newest receipts of an order, or of all, newest first.
    func receipts(of number: Int64?, limit: Int) throws(SQLiteError) -> [Receipt] {
        try database.query(
            """
            SELECT receipt FROM receipts WHERE ?1 IS NULL OR number = ?1
            ORDER BY row DESC LIMIT ?2
            """,
            number.map { .integer($0) } ?? .null,
            .integer(Int64(limit))
        ) { (row) throws(SQLiteError) in
            try decode(Receipt.self, row.blob(0))
        }
    }
}
