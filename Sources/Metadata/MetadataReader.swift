import Primitives
import SQLite
import Wire

/// A connection that reads.
///
/// Sees what is committed.
///
/// One belongs to the namespace lock and answers what memory does not know; its reads run under
/// the lock, since no change may overtake an answer. Another one is for scans.
final class MetadataReader {
    private let database: Database
    private let inodeByNumber, entryByName, entriesByCookie: Statement
    private let targetOf, fileKeyOf, xattrsOf: Statement
    private let locationsIn, residencyIn, nextLocation, nextResidency: Statement
    private let stripeByID, shardsOf: Statement
    /// Where `nextDeadShards` goes on.
    private var lastDeadShard: DeadShard?

    /// One past the last block of the largest file: offsets below it never overflow.
    static let blockIndexEnd = Geometry.fileBytesMax / UInt64(Geometry.blockBytes)
    /// Blocks and bytes of a stripe; counting on from them never overflows.
    private static let counts: ClosedRange<Int64> = 0...1 << 53

    init(_ database: Database) throws(SQLiteError) {
        self.database = database
        inodeByNumber = try database.prepare(
            "SELECT \(InodeRow.columns) FROM inode WHERE ino=?"
        )
        entryByName = try database.prepare(
            "SELECT ino, cookie FROM dentry WHERE parent=? AND name=?"
        )
        entriesByCookie = try database.prepare(
            "SELECT name, cookie, ino FROM dentry INDEXED BY dentry_cookie "
                + "WHERE parent=? AND cookie>? ORDER BY cookie LIMIT ?"
        )
        targetOf = try database.prepare("SELECT target FROM symlink WHERE ino=?")
        fileKeyOf = try database.prepare("SELECT wrapped FROM file_key WHERE ino=?")
        xattrsOf = try database.prepare("SELECT name, value FROM xattr WHERE ino=?")
        locationsIn = try database.prepare(
            "SELECT idx, stripe, offset, plain, valid, segments, checksum FROM block "
                + "WHERE ino=? AND idx>=? AND idx<? ORDER BY idx"
        )
        residencyIn = try database.prepare(
            "SELECT idx, mask, dirty_since FROM residency "
                + "WHERE ino=? AND idx>=? AND idx<? ORDER BY idx"
        )
        nextLocation = try database.prepare("SELECT MIN(idx) FROM block WHERE ino=? AND idx>=?")
        nextResidency = try database.prepare(
            "SELECT MIN(idx) FROM residency WHERE ino=? AND idx>=?"
        )
        stripeByID = try database.prepare(
            "SELECT k, m, payload_bytes, shard_bytes, state, live_blocks, live_bytes, born, died "
                + "FROM stripe WHERE id=?"
        )
        shardsOf = try database.prepare(
            "SELECT idx, shard, provider, root FROM shard WHERE stripe=? ORDER BY idx"
        )
    }

    // MARK: Namespace

    func inode(_ ino: InodeNumber) throws(FileSystemError) -> InodeRow? {
        try first(inodeByNumber, ino, or: "inode \(ino.rawValue)") { InodeRow($0) }
    }

    func entry(_ key: EntryKey) throws(FileSystemError) -> Child? {
        defer { entryByName.reset() }
        let isThere = try converting { () throws(SQLiteError) in
            try entryByName.bind(1, Int64(key.parent.rawValue))
            try entryByName.bind(2, key.name.bytes)
            return try entryByName.step()
        }
        guard isThere else { return nil }
        guard
            let ino = UInt64(exactly: entryByName.integer(0)), ino >= 1,
            let cookie = UInt64(exactly: entryByName.integer(1)), cookie <= InodeRow.numberMax
        else { throw Self.corrupt("entry \"\(key.name)\" of directory \(key.parent.rawValue)") }
        return Child(ino: InodeNumber(ino), cookie: cookie)
    }

    /// Entries in order of cookie, each more than `cookie`.
    func entries(
        of parent: InodeNumber,
        after cookie: UInt64,
        limit: Int
    ) throws(FileSystemError) -> [(name: EntryName, child: Child)] {
        var last = cookie
        return try rows(
            entriesByCookie,
            [
                .integer(Int64(parent.rawValue)), .integer(Int64(clamping: cookie)),
                .integer(Int64(limit)),
            ],
            or: "an entry of directory \(parent.rawValue)"
        ) { row in
            // A damaged index may be out of order; a listing that goes back would never end.
            guard
                let name = try? EntryName(row.blob(0)),
                let cookie = UInt64(exactly: row.integer(1)), cookie > last,
                cookie <= InodeRow.numberMax,
                let ino = UInt64(exactly: row.integer(2)), ino >= 1
            else { return nil }
            last = cookie
            return (name, Child(ino: InodeNumber(ino), cookie: cookie))
        }
    }

    func target(of ino: InodeNumber) throws(FileSystemError) -> [UInt8]? {
        try first(targetOf, ino, or: "target of symbolic link \(ino.rawValue)") { $0.blob(0) }
    }

    func fileKey(of ino: InodeNumber) throws(FileSystemError) -> [UInt8]? {
        try first(fileKeyOf, ino, or: "key of file \(ino.rawValue)") { $0.blob(0) }
    }

    func fileKeys(
        after ino: InodeNumber?,
        limit: Int
    ) throws(FileSystemError) -> [(ino: InodeNumber, wrapped: [UInt8])] {
        try rows(
            try prepare("SELECT ino, wrapped FROM file_key WHERE ino>? ORDER BY ino LIMIT ?"),
            [.integer(Int64(clamping: ino?.rawValue ?? 0)), .integer(Int64(limit))],
            or: "the key of a file"
        ) { row in
            UInt64(exactly: row.integer(0)).map { (InodeNumber($0), row.blob(1)) }
        }
    }

    func xattrs(of ino: InodeNumber) throws(FileSystemError) -> [[UInt8]: [UInt8]] {
        let pairs = try rows(
            xattrsOf,
            [.integer(Int64(ino.rawValue))],
            or: "an extended attribute of inode \(ino.rawValue)"
        ) { ($0.blob(0), $0.blob(1)) }
        return Dictionary(pairs) { first, _ in first }
    }

    /// Names of regular files, drawn at random from the whole tree; O(entries).
    func sampleFiles(
        _ count: Int
    ) throws(FileSystemError) -> [(ino: InodeNumber, parent: InodeNumber, name: EntryName)] {
        try rows(
            try prepare(
                "SELECT dentry.ino, dentry.parent, name FROM dentry JOIN inode USING(ino) "
                    + "WHERE kind=1 ORDER BY RANDOM() LIMIT ?"
            ),
            [.integer(Int64(count))],
            or: "an entry"
        ) { row in
            guard let ino = UInt64(exactly: row.integer(0)), ino >= 1,
                let parent = UInt64(exactly: row.integer(1)), parent >= 1,
                let name = try? EntryName(row.blob(2))
            else { return nil }
            return (InodeNumber(ino), InodeNumber(parent), name)
        }
    }

    /// The name of a directory in the one that holds it; O(entries of that one).
    func name(
        of directory: InodeNumber,
        in parent: InodeNumber
    ) throws(FileSystemError) -> EntryName? {
        try rows(
            try prepare("SELECT name FROM dentry WHERE parent=? AND ino=?"),
            [.integer(Int64(parent.rawValue)), .integer(Int64(directory.rawValue))],
            or: "an entry of directory \(parent.rawValue)"
        ) { try? EntryName($0.blob(0)) }.first
    }

    /// When any inode changed last (`st_ctime`).
    func newestChange() throws(FileSystemError) -> Timestamp? {
        try rows(
            try prepare(
                "SELECT ctime, ctime_ns FROM inode ORDER BY ctime DESC, ctime_ns DESC LIMIT 1"
            ),
            [],
            or: "a time"
        ) { row in
            UInt32(exactly: row.integer(1)).flatMap { nanoseconds in
                nanoseconds < 1_000_000_000
                    ? Timestamp(seconds: row.integer(0), nanoseconds: nanoseconds) : nil
            }
        }.first
    }

    // MARK: Content

    func locations(
        of ino: InodeNumber,
        in range: Range<UInt64>
    ) throws(FileSystemError) -> [(index: BlockIndex, location: BlockLocation)] {
        try rows(locationsIn, Self.parameters(ino, range), or: "a block of file \(ino.rawValue)") {
            row in
            guard
                let index = UInt64(exactly: row.integer(0)), range.contains(index),
                let location = try? BlockLocation.decode(
                    stripe: row.blob(1),
                    offset: row.integer(2),
                    plainBytes: row.integer(3),
                    validBytes: row.integer(4),
                    segments: row.blob(5),
                    checksum: row.isNull(6) ? nil : row.integer(6)
                )
            else { return nil }
            return (BlockIndex(index), location)
        }
    }

    func residency(
        of ino: InodeNumber,
        in range: Range<UInt64>
    ) throws(FileSystemError) -> [(index: BlockIndex, mask: UInt16, dirtySince: Timestamp?)] {
        try rows(
            residencyIn,
            Self.parameters(ino, range),
            or: "the residency of file \(ino.rawValue)"
        ) { row in
            guard
                let index = UInt64(exactly: row.integer(0)), range.contains(index),
                let mask = UInt16(exactly: row.integer(1))
            else { return nil }
            let since = row.isNull(2) ? nil : Timestamp(nanosecondsSince1970: row.integer(2))
            return (BlockIndex(index), mask, since)
        }
    }

    /// The first block at or after `index` that a row tells of.
    ///
    /// `placedOnly`: only where the network holds it, whatever the cache does.
    func nextBlock(
        of ino: InodeNumber,
        from index: UInt64,
        placedOnly: Bool = false
    ) throws(FileSystemError) -> UInt64? {
        var next: UInt64?
        for statement in placedOnly ? [nextLocation] : [nextLocation, nextResidency] {
            defer { statement.reset() }
            let found = try converting { () throws(SQLiteError) -> Int64? in
                try statement.bind(1, Int64(ino.rawValue))
                try statement.bind(2, Int64(clamping: index))
                return try statement.step() && !statement.isNull(0) ? statement.integer(0) : nil
            }
            guard let found else { continue }
            guard let block = UInt64(exactly: found), block >= index, block < Self.blockIndexEnd
            else { throw Self.corrupt("a block of file \(ino.rawValue)") }
            next = min(next ?? block, block)
        }
        return next
    }

    // MARK: Stripes

    func stripe(_ id: StripeID) throws(FileSystemError) -> StripeRow? {
        let found = try rows(stripeByID, [.blob(id.bytes)], or: "stripe \(id)") {
            row -> StripeRow? in
            guard let shape = Self.shape(row, from: 0),
                let state = StripeState(rawValue: row.integer(4)),
                Self.counts.contains(row.integer(5)), Self.counts.contains(row.integer(6)),
                Self.counts.contains(row.integer(7)), Self.counts.contains(row.integer(8))
            else { return nil }
            return StripeRow(
                id: id,
                code: shape.code,
                payloadBytes: shape.payloadBytes,
                shardBytes: shape.shardBytes,
                state: state,
                liveBlocks: row.integer(5),
                liveBytes: row.integer(6),
                born: UInt64(row.integer(7)),
                died: row.isNull(8) ? nil : UInt64(row.integer(8))
            )
        }
        return found.first
    }

    /// The ids of all shards, those that are to be deleted too.
    func shardIDs() throws(FileSystemError) -> Set<ShardID> {
        Set(
            try rows(try prepare("SELECT shard FROM shard"), [], or: "a shard") {
                ShardID(bytes: $0.blob(0))
            }
        )
    }

    func shards(of id: StripeID) throws(FileSystemError) -> [ShardRecord] {
        try rows(shardsOf, [.blob(id.bytes)], or: "a shard of stripe \(id)") { Self.shard($0) }
    }

    /// Shards of dead stripes, from after those given last on, and from the first again at the
    /// end: shards of providers that are away must not keep the others waiting.
    func nextDeadShards(limit: Int) throws(FileSystemError) -> [DeadShard] {
        var found = try deadShards(limit: limit, after: lastDeadShard)
        if found.isEmpty, lastDeadShard != nil {
            found = try deadShards(limit: limit, after: nil)
        }
        lastDeadShard = found.count < limit ? nil : found.last
        return found
    }

    private func deadShards(
        limit: Int,
        after last: DeadShard?
    ) throws(FileSystemError) -> [DeadShard] {
        let statement = try prepare(
            """
            SELECT shard.idx, shard, provider, root, id FROM stripe JOIN shard \
            ON shard.stripe = stripe.id WHERE state <> 2 AND state = 3 \
            AND id >= ? AND (id > ? OR shard.idx > ?) ORDER BY id, shard.idx LIMIT ?
            """
        )
        let id = last?.stripe.bytes ?? []
        let index = Int64(last?.record.index ?? -1)
        return try rows(
            statement,
            [.blob(id), .blob(id), .integer(index), .integer(Int64(limit))],
            or: "a dead shard"
        ) { row in
            guard let id = StripeID(bytes: row.blob(4)), let record = Self.shard(row) else {
                return nil
            }
            return DeadShard(stripe: id, record: record)
        }
    }

    /// Shards of dead stripes that are one of `shards`, at the same provider.
    func deadShards(equalTo shards: [ShardRecord]) throws(FileSystemError) -> [DeadShard] {
        let statement = try prepare(
            """
            SELECT shard.idx, shard, provider, root, id FROM stripe JOIN shard \
            ON shard.stripe = stripe.id WHERE state <> 2 AND state = 3 \
            AND shard = ? AND provider = ?
            """
        )
        var found: [DeadShard] = []
        for shard in shards {
            found += try rows(
                statement,
                [.blob(shard.shard.bytes), .blob(shard.provider.bytes)],
                or: "a dead shard"
            ) { row in
                guard let id = StripeID(bytes: row.blob(4)), let record = Self.shard(row) else {
                    return nil
                }
                return DeadShard(stripe: id, record: record)
            }
        }
        return found
    }

    /// Stripes that nothing needs any more: the volume not since a head that a keeper has, and no
    /// kept head either.
    func releasedStripes(
        registered: UInt64,
        limit: Int
    ) throws(FileSystemError) -> [StripeID] {
        let statement = try prepare(
            """
            SELECT id FROM stripe WHERE died IS NOT NULL AND died <= ? AND state = 2 \
            AND NOT EXISTS(SELECT 1 FROM snapshot WHERE version >= born AND version < died) LIMIT ?
            """
        )
        let parameters: [Value] = [
            .integer(Int64(clamping: registered)), .integer(Int64(limit)),
        ]
        return try rows(statement, parameters, or: "a stripe") { StripeID(bytes: $0.blob(0)) }
    }

    /// Placed stripes of which less than `fraction` is alive, the emptiest first; also those that a
    /// check asks to place anew.
    func sparseStripes(
        liveBelow fraction: Double,
        limit: Int
    ) throws(FileSystemError) -> [StripeID] {
        let statement = try prepare(
            """
            SELECT id FROM stripe WHERE state = 2 \
            AND died IS NULL AND EXISTS(SELECT 1 FROM block WHERE block.stripe = stripe.id) \
            AND ((live_bytes < payload_bytes * ? \
            AND NOT EXISTS(SELECT 1 FROM snapshot WHERE version >= stripe.born)) \
            OR '\(MetaKey.rewritePrefix)' || lower(hex(id)) IN ( \
            SELECT key FROM meta WHERE value = 1)) ORDER BY live_bytes * 1.0 / payload_bytes LIMIT ?
            """
        )
        return try rows(statement, [.real(fraction), .integer(Int64(limit))], or: "a stripe") {
            StripeID(bytes: $0.blob(0))
        }
    }

    /// Placed stripes with their shards, in order of id, from after `last` on.
    ///
    /// One statement, so that no stripe is seen with shards of two moments.
    ///
    /// `version`: only those that this head may need; `nil` for all.
    func placedStripes(
        after last: StripeID?,
        limit: Int,
        neededBy version: UInt64? = nil
    ) throws(FileSystemError) -> [StripeRecord] {
        let statement = try prepare(
            """
            SELECT shard.idx, shard, provider, root, id, k, m, payload_bytes, shard_bytes \
            FROM (SELECT * FROM stripe WHERE state = 2 AND id > ?1 AND (?3 IS NULL \
            OR (born <= ?3 AND (died IS NULL OR died > ?3))) ORDER BY id LIMIT ?2) \
            JOIN shard ON shard.stripe = id ORDER BY id, shard.idx
            """
        )
        var records: [StripeRecord] = []
        var shards: [ShardRecord] = []
        let found = try rows(
            statement,
            [
                .blob(last?.bytes ?? []), .integer(Int64(limit)),
                version.map { .integer(Int64(clamping: $0)) } ?? .null,
            ],
            or: "a placed stripe"
        ) { row -> (id: StripeID, shape: Shape, shard: ShardRecord)? in
            guard let id = StripeID(bytes: row.blob(4)), let shape = Self.shape(row, from: 5),
                let shard = Self.shard(row)
            else { return nil }
            return (id, shape, shard)
        }
        for (position, row) in found.enumerated() {
            shards.append(row.shard)
            guard position + 1 == found.count || found[position + 1].id != row.id else { continue }
            records.append(
                StripeRecord(
                    id: row.id,
                    code: row.shape.code,
                    payloadBytes: row.shape.payloadBytes,
                    shardBytes: row.shape.shardBytes,
                    shards: shards
                )
            )
            shards = []
        }
        return records
    }

    /// Stripes whose placing a crash has cut off.
    func placingStripes() throws(FileSystemError) -> [StripeID] {
        let statement = try prepare("SELECT id FROM stripe WHERE state <> 2 AND state = 1")
        return try rows(statement, [], or: "a stripe") { StripeID(bytes: $0.blob(0)) }
    }

    func blocks(in stripe: StripeID) throws(FileSystemError) -> [BlockKey] {
        let statement = try prepare("SELECT ino, idx FROM block WHERE stripe=? ORDER BY ino, idx")
        return try rows(statement, [.blob(stripe.bytes)], or: "a block") { Self.key($0) }
    }

    // MARK: Scans

    func orphans() throws(FileSystemError) -> [InodeNumber] {
        try rows(try prepare("SELECT ino FROM orphan ORDER BY ino"), [], or: "an orphan") { row in
            UInt64(exactly: row.integer(0)).map { InodeNumber($0) }
        }
    }

    func passthroughs() throws(FileSystemError) -> [Passthrough] {
        try rows(
            try prepare("SELECT ino, synced, modified FROM passthrough ORDER BY ino"),
            [],
            or: "a passthrough"
        ) { row in
            UInt64(exactly: row.integer(0)).map {
                Passthrough(
                    ino: InodeNumber($0),
                    isSynced: row.integer(1) != 0,
                    modified: Timestamp(nanosecondsSince1970: row.integer(2))
                )
            }
        }
    }

    // MARK: Checkpoints

    /// Parts of the newest checkpoint, in order of piece and part.
    func checkpointParts() throws(FileSystemError) -> [CheckpointPart] {
        let statement = try prepare(
            """
            SELECT piece, part, last, stripe, offset, plain, valid, segments, checksum \
            FROM checkpoint ORDER BY piece, part
            """
        )
        return try rows(statement, [], or: "a part of the checkpoint") { row in
            guard row.integer(0) >= CheckpointPart.index, row.integer(2) >= 0,
                let part = UInt32(exactly: row.integer(1)),
                let location = try? BlockLocation.decode(
                    stripe: row.blob(3),
                    offset: row.integer(4),
                    plainBytes: row.integer(5),
                    validBytes: row.integer(6),
                    segments: row.blob(7),
                    checksum: row.isNull(8) ? nil : row.integer(8)
                )
            else { return nil }
            return CheckpointPart(
                piece: row.integer(0),
                part: Int(part),
                last: row.integer(2),
                location: location
            )
        }
    }

    func snapshots() throws(FileSystemError) -> [SnapshotRow] {
        let statement = try prepare(JournalTable.snapshot.selection)
        return try rows(statement, [], or: "a snapshot") { SnapshotRow($0) }
    }

    /// Rows of the journal after one and up to another, in order.
    func forEachJournalRow(
        after first: Int64,
        through last: Int64,
        _ body: ([UInt8]) throws(FileSystemError) -> Void
    ) throws(FileSystemError) {
        let statement = try prepare(
            "SELECT records FROM journal WHERE seq>? AND seq<=? ORDER BY seq"
        )
        defer { statement.reset() }
        try converting { () throws(SQLiteError) in
            try statement.bind(all: [.integer(first), .integer(last)])
        }
        while try converting({ () throws(SQLiteError) in try statement.step() }) {
            try body(statement.blob(0))
        }
    }

    /// Bytes of the journal's rows.
    func journalBytes() throws(FileSystemError) -> UInt64 {
        try number("SELECT TOTAL(LENGTH(records)) FROM journal")
    }

    /// From now on sees what is committed by now, until `unpin`.
    func pin() throws(FileSystemError) {
        try converting { () throws(SQLiteError) in
            try database.execute("BEGIN")
            _ = try database.integer("SELECT COUNT(*) FROM meta")
        }
    }

    func unpin() { database.rollback() }

    /// Every row that goes with the volume, as records.
    func forEachRow(
        _ body: (JournalRecord) throws(FileSystemError) -> Void
    ) throws(FileSystemError) {
        for table in JournalTable.allCases {
            let statement = try prepare(table.selection)
            defer { statement.reset() }
            let columns = Int32(table.columns.count)
            while try converting({ () throws(SQLiteError) in try statement.step() }) {
                let values = (0..<columns).map { statement.value($0) }
                try body(JournalRecord(table, .put, values))
            }
        }
    }

    /// Clean blocks in the cache, in order of inode and index.
    func residentClean(
        after key: BlockKey?,
        limit: Int
    ) throws(FileSystemError) -> [(key: BlockKey, mask: UInt16)] {
        let statement = try prepare(
            """
            SELECT ino, idx, mask FROM residency WHERE (ino, idx) > (?, ?) \
            AND dirty_since IS NULL ORDER BY ino, idx LIMIT ?
            """
        )
        let start: [Value] =
            if let key {
                [.integer(Int64(key.ino.rawValue)), .integer(Int64(key.index.rawValue))]
            } else {
                [.integer(0), .integer(0)]
            }
        return try rows(statement, start + [.integer(Int64(limit))], or: "a residency") { row in
            guard let key = Self.key(row), let mask = UInt16(exactly: row.integer(2)) else {
                return nil
            }
            return (key, mask)
        }
    }

    /// All dirty blocks, oldest first, with the bytes of the file in each.
    func dirtyBlocks() throws(FileSystemError) -> [DirtyBlock] {
        let statement = try prepare(
            """
            SELECT r.ino, r.idx, r.dirty_since, MIN(1048576, MAX(0, size - r.idx * 1048576)) \
            FROM residency r JOIN inode USING(ino) WHERE dirty_since IS NOT NULL \
            ORDER BY dirty_since
            """
        )
        return try rows(statement, [], or: "a dirty block") { row in
            guard let key = Self.key(row), let bytes = UInt32(exactly: row.integer(3)) else {
                return nil
            }
            return DirtyBlock(
                key: key,
                since: Timestamp(nanosecondsSince1970: row.integer(2)),
                bytes: bytes
            )
        }
    }

    /// One number, such as a sum over a table.
    func number(_ sql: String) throws(FileSystemError) -> UInt64 {
        UInt64(clamping: try converting { () throws(SQLiteError) in try database.integer(sql) })
    }

    /// The number of a head that is kept under `key`; 0 if there is none.
    func version(_ key: String) throws(FileSystemError) -> UInt64 {
        guard case .integer(let number)? = try meta(key) else { return 0 }
        guard Self.counts.contains(number) else { throw Self.corrupt("the number \(key)") }
        return UInt64(number)
    }

    func meta(_ key: String) throws(FileSystemError) -> Value? {
        try converting { () throws(SQLiteError) in
            try database.value("SELECT value FROM meta WHERE key=?", .text(key))
        }
    }

    /// Shards that a check asks to look at.
    func doubts(limit: Int) throws(FileSystemError) -> [String] {
        let statement = try prepare(
            "SELECT key FROM meta WHERE key >= ?1 AND key < ?1 || '~' AND value = 1 LIMIT ?2"
        )
        return try rows(
            statement,
            [.text(MetaKey.doubtPrefix), .integer(Int64(limit))],
            or: "a doubt"
        ) { $0.text(0) }
    }

    // MARK: Rows

    /// Prepares what is asked too seldom to be kept.
    private func prepare(_ sql: String) throws(FileSystemError) -> Statement {
        try converting { () throws(SQLiteError) in try database.prepare(sql) }
    }

    /// The one row of `ino`, or `nil`.
    private func first<T>(
        _ statement: Statement,
        _ ino: InodeNumber,
        or what: @autoclosure () -> String,
        _ decode: (Statement) -> T?
    ) throws(FileSystemError) -> T? {
        defer { statement.reset() }
        let isThere = try converting { () throws(SQLiteError) in
            try statement.bind(1, Int64(clamping: ino.rawValue))
            return try statement.step()
        }
        guard isThere else { return nil }
        guard let value = decode(statement) else { throw Self.corrupt(what()) }
        return value
    }

    /// Every row; a row that `decode` has no value for is corrupt.
    private func rows<T>(
        _ statement: Statement,
        _ parameters: [Value],
        or what: @autoclosure () -> String,
        _ decode: (Statement) -> T?
    ) throws(FileSystemError) -> [T] {
        defer { statement.reset() }
        try converting { () throws(SQLiteError) in try statement.bind(all: parameters) }
        var rows: [T] = []
        while try converting({ () throws(SQLiteError) in try statement.step() }) {
            guard let row = decode(statement) else { throw Self.corrupt(what()) }
            rows.append(row)
        }
        return rows
    }

    private static func corrupt(_ what: String) -> FileSystemError {
        FileSystemError(
            .corrupt,
            "metadata database: \(what) holds values that no version of this program writes; "
                + "unmount, and 'mefs fsck' repairs it"
        )
    }

    private static func parameters(_ ino: InodeNumber, _ range: Range<UInt64>) -> [Value] {
        [
            .integer(Int64(ino.rawValue)), .integer(Int64(clamping: range.lowerBound)),
            .integer(Int64(clamping: range.upperBound)),
        ]
    }

    private static func key(_ row: Statement) -> BlockKey? {
        guard
            let ino = UInt64(exactly: row.integer(0)), ino <= InodeRow.numberMax,
            let index = UInt64(exactly: row.integer(1)), index < blockIndexEnd
        else { return nil }
        return BlockKey(InodeNumber(ino), BlockIndex(index))
    }

    /// What a stripe's row says of its form.
    private struct Shape {
        let code: ErasureCode
        let payloadBytes: Int
        let shardBytes: Int
    }

    /// Reads k, m, payload_bytes and shard_bytes, which stand from `column` on.
    private static func shape(_ row: Statement, from column: Int32) -> Shape? {
        guard
            let k = UInt8(exactly: row.integer(column)),
            let m = UInt8(exactly: row.integer(column + 1)),
            let code = ErasureCode(k: Int(k), m: Int(m)),
            let payload = UInt32(exactly: row.integer(column + 2)),
            let shardBytes = UInt32(exactly: row.integer(column + 3)),
            shardBytes <= Geometry.shardBytesMax
        else { return nil }
        return Shape(code: code, payloadBytes: Int(payload), shardBytes: Int(shardBytes))
    }

    private static func shard(_ row: Statement) -> ShardRecord? {
        guard
            let index = UInt8(exactly: row.integer(0)), let shard = ShardID(bytes: row.blob(1)),
            let provider = NodeID(bytes: row.blob(2)), let root = Digest(bytes: row.blob(3))
        else { return nil }
        return ShardRecord(index: Int(index), shard: shard, provider: provider, root: root)
    }
}
