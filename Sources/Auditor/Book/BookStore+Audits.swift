import Primitives
import Proofs
import Reliability
import Sealing
import SQLite
import Wire

/// What audits showed: receipts, beacons, histories.
extension BookStore {
    /// Receipts kept of an order: more than a year of hours.
    static let receiptsMax: Int64 = 10_000
    /// Blocks kept of a keeper's beacon: as long as receipts.
    private static let beaconsMax: Int64 = 20_000
    /// Receipts between two prunings.
    private static let pruneEvery: UInt64 = 256

    func receipts(of row: Int64, limit: Int) throws(SQLiteError) -> [Receipt] {
        try database.query(
            "SELECT receipt FROM receipts WHERE holder = ? ORDER BY number DESC LIMIT ?",
            .integer(row),
            .integer(Int64(limit))
        ) { (row) throws(SQLiteError) in try self.decode(Receipt.self, row.blob(0)) }
    }

    func lastProved(of row: Int64) throws(SQLiteError) -> Receipt? {
        try database.query(
            """
            SELECT receipt FROM receipts WHERE holder = ? AND proves = 1
            ORDER BY number DESC LIMIT 1
            """,
            .integer(row)
        ) { (row) throws(SQLiteError) in try self.decode(Receipt.self, row.blob(0)) }.first
    }

    /// Stores an audit's receipt with all that goes with it.
    func store(
        _ receipt: Receipt,
        proof: Proof?,
        of order: HeldOrder,
        state: OrderState,
        history: ProviderHistory?
    ) throws(SQLiteError) {
        try transaction { () throws(SQLiteError) in
            try database.execute(
                "INSERT INTO receipts (holder, number, proves, receipt) VALUES (?, ?, ?, ?)",
                .integer(order.row),
                .integer(Int64(bitPattern: receipt.number)),
                .integer(receipt.verdict.isProof ? 1 : 0),
                .blob(receipt.encoded)
            )
            try database.execute(
                "INSERT OR IGNORE INTO states (holder, sequence, state) VALUES (?, ?, ?)",
                .integer(order.row),
                .integer(Int64(bitPattern: state.sequence)),
                .blob(state.encoded)
            )
            try database.execute(
                "UPDATE orders SET proved_epochs = ?, doubtful = ?, proof = ? WHERE row = ?",
                .integer(Int64(order.provedEpochs)),
                .integer(order.isDoubtful ? 1 : 0),
                proof.map { .blob($0.encoded) } ?? .null,
                .integer(order.row)
            )
            if let history { try put(history, of: order.provider) }
            guard receipt.number.isMultiple(of: Self.pruneEvery) else { return }
            try prune(order.row, newest: Int64(bitPattern: receipt.number))
        }
    }

    private func prune(_ row: Int64, newest: Int64) throws(SQLiteError) {
        try database.execute(
            "DELETE FROM receipts WHERE holder = ? AND number <= ?",
            .integer(row),
            .integer(newest - Self.receiptsMax)
        )
        guard
            let oldest = try database.query(
                "SELECT receipt FROM receipts WHERE holder = ? ORDER BY number LIMIT 1",
                .integer(row),
                row: { (row) throws(SQLiteError) in try self.decode(Receipt.self, row.blob(0)) }
            ).first
        else { return }
        try database.execute(
            "DELETE FROM states WHERE holder = ? AND sequence < ?",
            .integer(row),
            .integer(Int64(bitPattern: oldest.sequence))
        )
    }

    /// Who was told of a receipt.
    enum Recipient: String {
        case provider = "delivered"
        case keeper = "reported"
    }

    /// Receipts that were not told yet, of the newest `limit`, oldest first.
    func untold(
        _ recipient: Recipient,
        of row: Int64,
        limit: Int
    ) throws(SQLiteError) -> [Receipt] {
        try database.query(
            """
            SELECT receipt FROM receipts WHERE holder = ? AND \(recipient.rawValue) = 0
            ORDER BY number DESC LIMIT ?
            """,
            .integer(row),
            .integer(Int64(limit))
        ) { (row) throws(SQLiteError) in try self.decode(Receipt.self, row.blob(0)) }.reversed()
    }

    /// All receipts up to `number` were told, or are too old to be.
    func markTold(
        _ recipient: Recipient,
        of row: Int64,
        upTo number: UInt64
    ) throws(SQLiteError) {
        try database.execute(
            """
            UPDATE receipts SET \(recipient.rawValue) = 1
            WHERE holder = ? AND number <= ? AND \(recipient.rawValue) = 0
            """,
            .integer(row),
            .integer(Int64(bitPattern: number))
        )
    }

    func states(of row: Int64) throws(SQLiteError) -> [OrderState] {
        try database.query(
            "SELECT state FROM states WHERE holder = ? ORDER BY sequence",
            .integer(row)
        ) { (row) throws(SQLiteError) in try self.decode(OrderState.self, row.blob(0)) }
    }

    func proof(of row: Int64) throws(SQLiteError) -> Proof? {
        guard
            case .blob(let bytes) = try database.value(
                "SELECT proof FROM orders WHERE row = ?",
                .integer(row)
            )
        else { return nil }
        return try decode(Proof.self, bytes)
    }

    // MARK: Grants

    func grants() throws(SQLiteError) -> [Grant] {
        try database.query("SELECT bytes FROM grants") { (row) throws(SQLiteError) in
            try self.decode(Grant.self, row.blob(0))
        }
    }

    func add(_ grant: Grant) throws(SQLiteError) {
        try database.execute("INSERT OR IGNORE INTO grants VALUES (?)", .blob(grant.encoded))
    }

    // MARK: Beacons

    /// The newest block of each keeper.
    func newestBeacons() throws(SQLiteError) -> [BeaconBlock] {
        try database.query(
            """
            SELECT block FROM beacons AS b WHERE epoch =
            (SELECT max(epoch) FROM beacons WHERE keeper = b.keeper)
            """
        ) { (row) throws(SQLiteError) in try self.decode(BeaconBlock.self, row.blob(0)) }
    }

    func add(_ blocks: [BeaconBlock]) throws(SQLiteError) {
        try transaction { () throws(SQLiteError) in
            for block in blocks {
                try database.execute(
                    "INSERT OR REPLACE INTO beacons (keeper, epoch, block) VALUES (?, ?, ?)",
                    .blob(block.keeperKey.bytes),
                    .integer(Int64(bitPattern: block.epoch.rawValue)),
                    .blob(block.encoded)
                )
            }
            guard let last = blocks.last else { return }
            try database.execute(
                """
                DELETE FROM beacons WHERE keeper = ?1 AND epoch <= (SELECT epoch FROM beacons
                WHERE keeper = ?1 ORDER BY epoch DESC LIMIT 1 OFFSET \(Self.beaconsMax))
                """,
                .blob(last.keeperKey.bytes)
            )
        }
    }

    /// Blocks of a keeper from one epoch to another, ascending.
    func beacons(
        of keeper: [UInt8],
        _ epochs: ClosedRange<UInt64>
    ) throws(SQLiteError) -> [BeaconBlock] {
        try database.query(
            """
            SELECT block FROM beacons WHERE keeper = ? AND epoch BETWEEN ? AND ? ORDER BY epoch
            """,
            .blob(keeper),
            .integer(Int64(clamping: epochs.lowerBound)),
            .integer(Int64(clamping: epochs.upperBound))
        ) { (row) throws(SQLiteError) in try self.decode(BeaconBlock.self, row.blob(0)) }
    }

    // MARK: Histories

    func histories() throws(SQLiteError) -> [NodeID: ProviderHistory] {
        let rows = try database.query(
            "SELECT provider, history FROM histories"
        ) { (row) throws(SQLiteError) in
            (NodeID(bytes: row.blob(0)), try self.decode(ProviderHistory.self, row.blob(1)))
        }
        var histories: [NodeID: ProviderHistory] = [:]
        for case (let provider?, let history) in rows { histories[provider] = history }
        return histories
    }

    func put(_ history: ProviderHistory, of provider: NodeID) throws(SQLiteError) {
        try database.execute(
            "INSERT OR REPLACE INTO histories VALUES (?, ?)",
            .blob(provider.bytes),
            .blob(history.encoded)
        )
    }
}
