import Disk
import Primitives
import SQLite
import Synchronization

/// The shards that a store knows to be rotten or gone, kept in its index.
///
/// Found by reads, proofs, the scrub and recovery; forgotten when the shard is put again, deleted,
/// or found whole after all.
final class DamageLedger: Sendable {
    /// What is wrong with a shard.
    enum Kind: Int64, Sendable {
        /// Its bytes, or what belongs to them, are not what was written.
        case corrupt = 1
        /// Its segment, or the part of it, is gone.
        case missing = 2
    }

    private let index: ShardIndex
    /// Held over the index's transaction, so that memory and disk agree; taken before the index's
    /// own lock, always.
    private let shards: Mutex<[ShardID: Kind]>
    /// Beside the lock, for whoever must not wait.
    private let shardCount: Atomic<Int>

    init(index: ShardIndex) throws(SQLiteError) {
        self.index = index
        let damage = try index.damage()
        shards = Mutex(damage)
        shardCount = Atomic(damage.count)
    }

    /// Never waits.
    var count: Int { shardCount.load(ordering: .relaxed) }

    func contains(_ shard: ShardID) -> Bool {
        count > 0 && shards.withLock { $0[shard] != nil }
    }

    func kind(of shard: ShardID) -> Kind? { shards.withLock { $0[shard] } }

    /// All of them, in no order.
    var all: [ShardID] { shards.withLock { Array($0.keys) } }

    /// Notes that the shard at `location` is damaged, unless it is no longer there; `nil` stands
    /// for a shard that should be here and is not in the index.
    ///
    /// - Returns: whether that was new.
    @discardableResult
    func note(
        _ shard: ShardID,
        _ kind: Kind,
        at location: ShardIndex.Location?
    ) throws(SQLiteError) -> Bool {
        try shards.withLock { (shards) throws(SQLiteError) in
            guard shards[shard] == nil else { return false }
            guard try index.noteDamage(shard, kind, at: location?.place) else { return false }
            shards[shard] = kind
            shardCount.store(shards.count, ordering: .relaxed)
            return true
        }
    }

    /// The shard was found whole, or nobody wants it any more.
    func forget(_ shard: ShardID) throws(SQLiteError) {
        try shards.withLock { (shards) throws(SQLiteError) in
            guard shards[shard] != nil else { return }
            var changes = ShardIndex.Changes()
            changes.mended = [shard]
            try index.commit(changes)
            shards[shard] = nil
            shardCount.store(shards.count, ordering: .relaxed)
        }
    }

    /// Commits changes that put damaged shards again or remove them.
    func commit(_ changes: ShardIndex.Changes) throws(SQLiteError) {
        guard !changes.mended.isEmpty else { return try index.commit(changes) }
        try shards.withLock { (shards) throws(SQLiteError) in
            try index.commit(changes)
            for shard in changes.mended { shards[shard] = nil }
            shardCount.store(shards.count, ordering: .relaxed)
        }
    }
}

extension ShardIndex {
    fileprivate func damage() throws(SQLiteError) -> [ShardID: DamageLedger.Kind] {
        try writer.withLock { (database) throws(SQLiteError) in
            let rows = try database.query("SELECT shard, kind FROM damage") {
                (ShardID(bytes: $0.blob(0)), DamageLedger.Kind(rawValue: $0.integer(1)))
            }
            return rows.reduce(into: [:]) { damage, row in
                if let shard = row.0 { damage[shard] = row.1 ?? .corrupt }
            }
        }
    }

    /// - Returns: whether the shard still is at `place`, or still nowhere if that is `nil`.
    fileprivate func noteDamage(
        _ shard: ShardID,
        _ kind: DamageLedger.Kind,
        at place: Place?
    ) throws(SQLiteError) -> Bool {
        var isNoted = false
        try writing { (database) throws(SQLiteError) in
            try database.execute(
                """
                INSERT OR REPLACE INTO damage SELECT ?1, ?2, ?3 WHERE ?4 = (
                    SELECT count(*) FROM shards
                    WHERE shard = ?1 AND (?4 = 0 OR (segment = ?5 AND offset = ?6)))
                """,
                .blob(shard.bytes),
                .integer(kind.rawValue),
                .integer(Clock.now().seconds),
                .integer(place == nil ? 0 : 1),
                .integer(Int64(clamping: place?.segment ?? 0)),
                .integer(Int64(clamping: place?.offset ?? 0))
            )
            isNoted = database.changes > 0
        }
        return isNoted
    }

    /// Notes every shard of a segment that does not end within the first `bytes` of it.
    func noteLost(
        segment: UInt64,
        behind bytes: UInt64,
        _ kind: DamageLedger.Kind
    ) throws(SQLiteError) {
        // As `SegmentRecord.footprint` without the padding.
        try writing { (database) throws(SQLiteError) in
            try database.execute(
                """
                INSERT OR IGNORE INTO damage SELECT shard, ?1, ?2 FROM (
                    SELECT shard, offset, length, format, (length + ?4 - 1) / ?4 AS chunks
                    FROM shards WHERE segment = ?3)
                WHERE offset + ?5 + 8 * chunks + length
                    + CASE format WHEN 1 THEN 0 ELSE ?6 * chunks + 8 END > ?7
                """,
                .integer(kind.rawValue),
                .integer(Clock.now().seconds),
                .integer(Int64(clamping: segment)),
                .integer(Int64(SegmentRecord.chunkBytes)),
                .integer(Int64(SegmentRecord.fixedBytes)),
                .integer(Int64(Digest.byteCount)),
                .integer(Int64(clamping: bytes))
            )
        }
    }
}
