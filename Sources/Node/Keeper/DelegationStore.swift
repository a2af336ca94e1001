import Disk
import Network
import Primitives
import Proofs
import SQLite
import Sealing
import Synchronization
import Transport
import Wire

/// Delegated volumes in `delegations.db`: grants, repair keys, stripes, and what was repaired.
///
/// The repair keys make it a file for its owner alone. They unmask shards, but open nothing.
final class DelegationStore: Sendable {
    /// The most volumes in a keeper's care: each that is not held costs an order book and a scan of
    /// its stripes from time to time.
    static let volumesMax = 256
    /// The most stripes of one volume: 16 TiB of 4+2 in full stripes, half a GiB of rows.
    private static let stripesMax: Int64 = 1 << 20
    /// A grant that ended so many seconds ago is forgotten with all that belongs to it: 30 days.
    private static let forgetAfter: Double = 30 * 86_400

    private struct State {
        var delegations: [DelegationKey: Delegation] = [:]
        /// Until when the owner looks after a volume itself, as `Clock.monotonic`.
        var heldUntil: [DelegationKey: Duration] = [:]
    }

    let database: KeeperDatabase
    private let holdLasts: Duration
    /// Never locked around the database; changed with the database's lock held, so that a hold and
    /// a repair are one after the other.
    private let state: Mutex<State>

    /// Opens the database in `directory`; for a hold's length all its volumes are taken to be held.
    init(directory: String, holdLasts: Duration) throws(NodeError) {
        database = try KeeperDatabase(
            path: directory + "/delegations.db",
            format: .delegations,
            isSecret: true
        )
        self.holdLasts = holdLasts
        do {
            var state = State()
            for delegation in try database.withLock({ try Self.rows(in: $0) }) {
                state.delegations[delegation.key] = delegation
                state.heldUntil[delegation.key] = Clock.monotonic() + holdLasts
            }
            self.state = Mutex(state)
        } catch let error as SQLiteError {
            throw NodeError(error)
        } catch {
            throw NodeError(.corrupt, "\(directory)/delegations.db is damaged: \(error)")
        }
    }

    private static func rows(in database: Database) throws -> [Delegation] {
        let sql = "SELECT owner, volume, \"grant\", repair_key, k, m FROM delegations"
        let rows = try database.query(sql) { row in
            (
                (row.blob(0), row.blob(1)), (row.blob(2), row.blob(3)),
                (row.integer(4), row.integer(5))
            )
        }
        return try rows.map { ids, secrets, code in
            guard let owner = NodeID(bytes: ids.0), let volume = VolumeID(bytes: ids.1),
                let repairKey = RepairKey(bytes: secrets.1),
                let code = ErasureCode(k: Int(code.0), m: Int(code.1))
            else { throw DecodeError.corrupt("a delegation") }
            return Delegation(
                key: DelegationKey(owner: owner, volume: volume),
                grant: try Grant(decoding: secrets.0),
                repairKey: repairKey,
                code: code
            )
        }
    }

    // MARK: Delegations

    /// All delegations, and whether nobody holds them.
    func delegations() -> [(delegation: Delegation, isHeld: Bool)] {
        let now = Clock.monotonic()
        return state.withLock { state in
            state.delegations.values.map { ($0, Self.isHeld($0.key, state, now)) }
        }
    }

    func isDelegated(_ key: DelegationKey) -> Bool {
        state.withLock { $0.delegations[key] != nil }
    }

    /// Takes a delegation that was checked, or renews it; counts as a hold.
    func delegate(_ delegation: Delegation, now: Timestamp) throws -> DelegationState {
        let key = delegation.key
        return try database.withLock { database in
            let isNew = state.withLock { $0.delegations[key] == nil }
            if isNew, try database.integer("SELECT count(*) FROM delegations") >= Self.volumesMax {
                throw NetworkError(
                    .full,
                    "the keeper looks after \(Self.volumesMax) volumes, the most it can"
                )
            }
            try database.execute(
                """
                INSERT INTO delegations VALUES (?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT DO UPDATE SET
                    "grant" = excluded."grant", repair_key = excluded.repair_key,
                    k = excluded.k, m = excluded.m
                """,
                .blob(key.owner.bytes),
                .blob(key.volume.bytes),
                .blob(delegation.grant.encoded),
                .blob(delegation.repairKey.bytes),
                .integer(Int64(delegation.code.k)),
                .integer(Int64(delegation.code.m)),
                // So that the numbers of a later delegation are higher than all before.
                .integer(min(max(now.seconds, 0), 1 << 42) << 20)
            )
            state.withLock { $0.delegations[key] = delegation }
            return try held(key, in: database)
        }
    }

    /// Forgets a volume and all that belongs to it.
    func undelegate(_ key: DelegationKey) throws {
        try database.withLock { database in
            try require(key)
            try database.transaction {
                for table in ["delegations", "stripes", "digests", "repairs"] {
                    try database.execute(
                        "DELETE FROM \(table) WHERE owner = ? AND volume = ?",
                        .blob(key.owner.bytes),
                        .blob(key.volume.bytes)
                    )
                }
            }
            state.withLock { state in
                state.delegations[key] = nil
                state.heldUntil[key] = nil
            }
        }
        database.emptyLog()
    }

    /// Forgets volumes whose grant ended long ago.
    func forgetExpired(now: Timestamp) throws {
        let expired = state.withLock { state in
            state.delegations.values.filter {
                now.seconds(since: $0.grant.expires) > Self.forgetAfter
            }.map(\.key)
        }
        for key in expired { try undelegate(key) }
    }

    /// The owner looks after its volume itself: from now on nothing is moved.
    func hold(_ key: DelegationKey) throws -> DelegationState {
        try database.withLock { database in
            try require(key)
            return try held(key, in: database)
        }
    }

    private func held(_ key: DelegationKey, in database: Database) throws -> DelegationState {
        state.withLock { $0.heldUntil[key] = Clock.monotonic() + holdLasts }
        var digests = BucketDigests()
        let rows = try database.query(
            "SELECT bucket, digest FROM digests WHERE owner = ? AND volume = ?",
            .blob(key.owner.bytes),
            .blob(key.volume.bytes)
        ) { ($0.integer(0), $0.integer(1)) }
        for (bucket, digest) in rows {
            guard let bucket = UInt8(exactly: bucket) else { continue }
            digests[bucket] = UInt64(bitPattern: digest)
        }
        return DelegationState(repairs: try lastRepair(key, in: database), digests: digests)
    }

    private static func isHeld(
        _ key: DelegationKey,
        _ state: State,
        _ now: Duration
    ) -> Bool {
        state.heldUntil[key].map { now < $0 } ?? false
    }

    /// Whether the keeper may change a volume: its owner has delegated it, and is not there.
    ///
    /// It stays so as long as the database's lock is held.
    func mayMove(_ key: DelegationKey) -> Bool {
        let now = Clock.monotonic()
        return state.withLock { state in
            state.delegations[key] != nil && !Self.isHeld(key, state, now)
        }
    }

    private func require(_ key: DelegationKey) throws(NetworkError) {
        guard isDelegated(key) else {
            throw NetworkError(
                .notFound,
                "you have not delegated volume \(key.volume.short) to this keeper"
            )
        }
    }

    func lastRepair(_ key: DelegationKey, in database: Database) throws -> UInt64 {
        UInt64(
            bitPattern: try database.integer(
                "SELECT repairs FROM delegations WHERE owner = ? AND volume = ?",
                .blob(key.owner.bytes),
                .blob(key.volume.bytes)
            )
        )
    }

    // MARK: What the owner says of its stripes

    func put(_ query: PutStripes, of owner: NodeID) throws {
        let key = DelegationKey(owner: owner, volume: query.volume)
        try change(key) { stripes in
            for id in query.removed { try stripes.remove(id) }
            for stripe in query.upserts { try stripes.put(stripe) }
        }
    }

    func replace(_ query: ReplaceBucket, of owner: NodeID) throws {
        let key = DelegationKey(owner: owner, volume: query.volume)
        let first = query.after?.bytes ?? [query.bucket]
        let last =
            query.isLast
            ? [query.bucket] + Array(repeating: .max, count: StripeID.byteCount - 1)
            : query.stripes.last?.id.bytes ?? first
        let kept = Set(query.stripes.map(\.id))
        try change(key) { stripes in
            for id in try stripes.ids(after: first, through: last) where !kept.contains(id) {
                try stripes.remove(id)
            }
            for stripe in query.stripes { try stripes.put(stripe) }
        }
    }

    private func change(
        _ key: DelegationKey,
        _ body: (inout StripeRows) throws -> Void
    ) throws {
        try database.transaction { database in
            try require(key)
            state.withLock { $0.heldUntil[key] = Clock.monotonic() + holdLasts }
            var rows = StripeRows(key: key, database: database)
            try body(&rows)
            guard try rows.finish() <= Self.stripesMax else {
                throw NetworkError(
                    .full,
                    "\(key) has more than \(Self.stripesMax) stripes, the most allowed"
                )
            }
        }
    }

    /// Repairs after a number, oldest first.
    func repairs(_ query: FetchRepairs, of owner: NodeID) throws -> RepairList {
        let key = DelegationKey(owner: owner, volume: query.volume)
        return try database.withLock { database in
            try require(key)
            let rows = try database.query(
                """
                SELECT record FROM repairs WHERE owner = ? AND volume = ? AND number > ?
                ORDER BY number LIMIT ?
                """,
                .blob(owner.bytes),
                .blob(query.volume.bytes),
                .integer(Int64(clamping: query.after)),
                .integer(Int64(RepairList.repairsMax))
            ) { $0.blob(0) }
            return RepairList(repairs: try rows.map { try RepairRecord(decoding: $0) })
        }
    }
}
