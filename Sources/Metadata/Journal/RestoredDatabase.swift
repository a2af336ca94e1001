import Disk
package import Primitives
import SQLite
import Wire

/// Makes a metadata database of the pieces of a checkpoint, as it was when its head was made.
///
/// Written under another name and renamed, so that a crash leaves nothing at `path`, or all. What
/// tells of a host only is empty in it: nothing is cached. Belongs to one thread.
package final class RestoredDatabase {
    /// Memory for pages, in KiB.
    private static let cacheKiB = 64 << 10
    /// The longest record, for what a part of a piece may end with.
    private static let recordBytesMax = 4 << 20

    let path: String
    let temporary: String
    let database: Database
    private var statements: [StatementKey: Statement] = [:]
    private(set) var indices: [String] = []
    /// Inodes of which rows were changed, if that is asked for; `nil` again past `touchedMax`.
    var touched: Set<InodeNumber>?
    /// The beginning of a record whose end is in the next part.
    var rest: [UInt8] = []
    /// Records of the piece under way, which go to the journal unless it is the base.
    private var piece: [UInt8] = []
    private(set) package var recordCount: UInt64 = 0

    private struct StatementKey: Hashable {
        let table: JournalTable
        let action: JournalRecord.Action
    }

    /// Begins a database that will be at `path`.
    ///
    /// - Throws: `exists` if something is there.
    package init(at path: String) throws(FileSystemError) {
        guard !WholeFile.exists(path) else {
            throw FileSystemError(.exists, "there is a metadata database at \(path) already")
        }
        let temporary = path + ".restoring"
        self.path = path
        self.temporary = temporary
        try onDisk { () throws(DiskError) in
            for suffix in ["", "-wal", "-shm", "-journal"] {
                try WholeFile.remove(temporary + suffix)
            }
            _ = try Descriptor(
                opening: temporary,
                .readWrite,
                [.create, .exclusive],
                permissions: 0o600
            )
        }
        database = try converting { () throws(SQLiteError) in
            let database = try Database(path: temporary)
            // Nobody needs a half of it.
            try database.executeScript(
                """
                PRAGMA journal_mode=OFF;
                PRAGMA synchronous=OFF;
                PRAGMA cache_size=-\(Self.cacheKiB);
                """
            )
            try database.execute("BEGIN")
            try database.executeScript(Schema.text)
            return database
        }
        // Sorted at the end, they cost a tenth.
        indices = try converting { () throws(SQLiteError) in
            let made = try database.query(
                "SELECT name, sql FROM sqlite_schema WHERE type='index' AND sql IS NOT NULL"
            ) { ($0.text(0), $0.text(1)) }
            for (name, _) in made { try database.execute("DROP INDEX \(name)") }
            return made.map(\.1)
        }
    }

    /// Goes on with the database at `path`, of an earlier head, in place.
    ///
    /// `undoing` is what `finishFollowing` said of it; what is changed is noted in `touched`.
    init(continuing path: String, undoing settled: FollowedRows) throws(FileSystemError) {
        self.path = path
        temporary = path
        database = try converting { () throws(SQLiteError) in
            let database = try Database(path: path, access: .readWrite)
            try database.executeScript(
                """
                PRAGMA journal_mode=OFF;
                PRAGMA synchronous=OFF;
                PRAGMA cache_size=-\(Self.cacheKiB);
                """
            )
            try database.execute("BEGIN")
            let put = try database.prepare(JournalTable.inode.insertion)
            for values in settled.inodes {
                try put.bind(all: values)
                try put.run()
            }
            return database
        }
        touched = Set(settled.inodes.compactMap { JournalTable.inode.inode(of: $0) })
    }

    /// Applies the next part of a piece; a base is not kept for the journal.
    ///
    /// - Throws: `corrupt` if it holds what no program of this format writes.
    package func apply(_ part: [UInt8], ofBase isBase: Bool) throws(FileSystemError) {
        let bytes = rest + part
        if !isBase { piece += part }
        var reader = ByteReader(bytes)
        var applied = 0
        while reader.remaining > 0 {
            let record: JournalRecord
            do throws(DecodeError) {
                record = try JournalRecord(from: &reader)
            } catch {
                // It may go on in the next part.
                guard case .truncated = error, bytes.count - applied < Self.recordBytesMax else {
                    throw Self.corrupt("\(error)")
                }
                break
            }
            try apply(record)
            applied = bytes.count - reader.remaining
        }
        rest = Array(bytes[applied...])
    }

    /// Ends a piece: rows `first` to `last` of the journal.
    package func endPiece(first: Int64, last: Int64) throws(FileSystemError) {
        guard rest.isEmpty else { throw Self.corrupt("a piece ends in the middle of a record") }
        if !piece.isEmpty {
            let records = piece
            try converting { () throws(SQLiteError) in
                try database.execute(
                    "INSERT INTO journal(seq, records) VALUES(?,?)",
                    .integer(last),
                    .blob(records)
                )
            }
        }
        piece = []
    }

    private func apply(_ record: JournalRecord) throws(FileSystemError) {
        recordCount += 1
        note(record)
        try converting { () throws(SQLiteError) in
            let statement = try statement(record)
            try statement.bind(all: record.values)
            try statement.run()
        }
    }

    private func statement(_ record: JournalRecord) throws(SQLiteError) -> Statement {
        let key = StatementKey(table: record.table, action: record.action)
        if let statement = statements[key] { return statement }
        let sql =
            switch record.action {
            case .put: record.table.insertion
            case .remove: record.table.removal
            case .removeAll: record.table.removalOfAll
            }
        let statement = try database.prepare(sql)
        statements[key] = statement
        return statement
    }

    // MARK: The end

    /// Ends what was begun: makes of the rows a volume that can be opened, durable at `path`.
    ///
    /// `stripes` are those of the checkpoint itself, of which its own rows cannot tell; nor can
    /// they that the head is kept, as `snapshot` says.
    ///
    /// - Returns: Paths of files that are not as they were when the head was made, because their
    ///   newest bytes were not placed yet; at most 1,000 of them.
    package func finish(
        _ head: RestoredHead,
        stripes: [StripeRecord],
        parts: [CheckpointPart],
        behind: [BlockKey],
        snapshot: SnapshotRow?
    ) throws(FileSystemError) -> [String] {
        let paths = try converting { () throws(SQLiteError) -> [String] in
            for sql in indices { try database.execute(sql) }
            for part in parts {
                let statement = try database.prepare(CheckpointPart.insertion)
                try statement.bind(all: part.values)
                try statement.run()
            }
            try settleStripes(head.version, stripes, parts)
            let paths = try settleBehind(behind)
            if let snapshot {
                let statement = try database.prepare(JournalTable.snapshot.insertion)
                try statement.bind(all: snapshot.values)
                try statement.run()
            }
            try journal(stripes, behind, snapshot, after: parts.map(\.last).max() ?? 0)
            try setMeta(head, through: parts.map(\.last).max() ?? 0)
            try database.execute("PRAGMA application_id=\(Schema.applicationID)")
            try database.execute("PRAGMA user_version=\(Schema.version)")
            try database.execute("COMMIT")
            return paths
        }
        guard try hasRoot() else { throw Self.corrupt("it has no root directory") }
        let (path, temporary) = (path, temporary)
        try onDisk { () throws(DiskError) in
            try Descriptor(opening: temporary, .readWrite).sync()
            try Directory.replace(path, with: temporary)
            try Directory.sync(Directory.parent(of: path))
        }
        return paths
    }

    func hasRoot() throws(FileSystemError) -> Bool {
        try converting { () throws(SQLiteError) in
            try database.integer("SELECT COUNT(*) FROM inode WHERE ino=1 AND kind=2") == 1
        }
    }

    /// What the checkpoint's own stripes are to the volume, which came after what it tells.
    private func settleStripes(
        _ version: UInt64,
        _ stripes: [StripeRecord],
        _ parts: [CheckpointPart]
    ) throws(SQLiteError) {
        let putStripe = try database.prepare(JournalTable.stripe.insertion)
        let putShard = try database.prepare(JournalTable.shard.insertion)
        for stripe in stripes {
            let own = parts.filter { $0.location.stripe == stripe.id }
            let born = try database.value(
                "SELECT born FROM stripe WHERE id=?",
                .blob(stripe.id.bytes)
            )
            var row = StripeRow(
                id: stripe.id,
                code: stripe.code,
                payloadBytes: stripe.payloadBytes,
                shardBytes: stripe.shardBytes,
                state: .placed,
                liveBlocks: Int64(own.count),
                liveBytes: own.reduce(0) { $0 + Int64($1.location.sealedBytes) }
            )
            if case .integer(let number)? = born, number > 0 {
                row.born = UInt64(number)
            } else {
                row.born = version
            }
            try putStripe.bind(all: row.values)
            try putStripe.run()
            for shard in stripe.shards {
                try putShard.bind(all: shard.values(of: stripe.id))
                try putShard.run()
            }
        }
        // Pieces that this checkpoint has replaced.
        try database.execute(
            """
            UPDATE stripe SET live_blocks=0, live_bytes=0, died=? WHERE state=2 AND died IS NULL \
            AND id NOT IN (SELECT stripe FROM block) AND id NOT IN (SELECT stripe FROM checkpoint)
            """,
            .integer(Int64(clamping: version))
        )
    }

    /// Has the next head tell what no piece does: where this one's own stripes are, that it is
    /// kept, and what became of files that were behind.
    private func journal(
        _ stripes: [StripeRecord],
        _ behind: [BlockKey],
        _ snapshot: SnapshotRow?,
        after last: Int64
    ) throws(SQLiteError) {
        var records = ByteWriter()
        if let snapshot { JournalRecord(.snapshot, .put, snapshot.values).write(to: &records) }
        let inode = try database.prepare("SELECT \(InodeRow.columns) FROM inode WHERE ino=?")
        let columns = Int32(JournalTable.inode.columns.count)
        for ino in Set(behind.map(\.ino)) {
            try inode.bind(1, Int64(ino.rawValue))
            defer { inode.reset() }
            guard try inode.step() else { continue }
            let values = (0..<columns).map { inode.value($0) }
            JournalRecord(.inode, .put, values).write(to: &records)
        }
        let row = try database.prepare("SELECT \(StripeRow.columns) FROM stripe WHERE id=?")
        let fields = Int32(JournalTable.stripe.columns.count)
        for stripe in stripes {
            try row.bind(1, stripe.id.bytes)
            defer { row.reset() }
            guard try row.step() else { continue }
            let values = (0..<fields).map { row.value($0) }
            JournalRecord(.stripe, .put, values).write(to: &records)
            for shard in stripe.shards {
                JournalRecord(.shard, .put, shard.values(of: stripe.id)).write(to: &records)
            }
        }
        guard !records.bytes.isEmpty else { return }
        try database.execute(
            "INSERT INTO journal(seq, records) VALUES(?,?)",
            .integer(last + 1),
            .blob(records.bytes)
        )
    }

    /// Files whose newest bytes were nowhere but on the lost host end where what is placed ends.
    func settleBehind(_ behind: [BlockKey]) throws(SQLiteError) -> [String] {
        guard !behind.isEmpty else { return [] }
        try database.executeScript(
            """
            CREATE TEMP TABLE behind(
                ino INTEGER NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY(ino, idx)) WITHOUT ROWID;
            """
        )
        let put = try database.prepare("INSERT OR IGNORE INTO behind(ino, idx) VALUES(?,?)")
        for key in behind {
            try put.bind(key)
            try put.run()
        }
        try database.executeScript(
            """
            UPDATE inode SET blocks=(SELECT COUNT(*) FROM block WHERE block.ino=inode.ino)
            WHERE kind=1 AND ino IN (SELECT ino FROM behind);
            """
        )
        try cutTails(Set(behind.map(\.ino)))
        return try paths()
    }

    private func cutTails(_ inodes: Set<InodeNumber>) throws(SQLiteError) {
        let isBehind = try database.prepare("SELECT 1 FROM behind WHERE ino=? AND idx=?")
        let validOf = try database.prepare("SELECT valid FROM block WHERE ino=? AND idx=?")
        for ino in inodes {
            let number = Value.integer(Int64(ino.rawValue))
            var size = try database.integer("SELECT size FROM inode WHERE ino=? AND kind=1", number)
            let before = size
            while size > 0 {
                let index = (size - 1) / Int64(Geometry.blockBytes)
                let start = index * Int64(Geometry.blockBytes)
                defer { isBehind.reset(); validOf.reset() }
                try isBehind.bind(all: [number, .integer(index)])
                guard try isBehind.step() else { break }
                try validOf.bind(all: [number, .integer(index)])
                guard try validOf.step() else {
                    size = start
                    continue
                }
                size = min(size, start + validOf.integer(0))
                break
            }
            guard size < before else { continue }
            try database.execute("UPDATE inode SET size=? WHERE ino=?", .integer(size), number)
        }
    }

    /// Paths listed; the rest is counted only.
    private static let pathsMax = 1000
    /// Directories above a file; more are damage.
    private static let depthMax = 4096

    private func paths() throws(SQLiteError) -> [String] {
        let entries = try database.query(
            """
            SELECT parent, name FROM dentry WHERE ino IN (SELECT ino FROM behind) \
            ORDER BY parent, name LIMIT ?
            """,
            .integer(Int64(Self.pathsMax))
        ) { ($0.integer(0), $0.blob(1)) }
        var paths: [String] = []
        for (parent, name) in entries {
            var path = "/" + String(decoding: name, as: UTF8.self)
            var directory = parent
            for _ in 0..<Self.depthMax where directory != Int64(InodeNumber.root.rawValue) {
                let above = try database.query(
                    "SELECT parent, name FROM dentry WHERE ino=? AND parent="
                        + "(SELECT parent FROM inode WHERE ino=?)",
                    .integer(directory),
                    .integer(directory)
                ) { ($0.integer(0), $0.blob(1)) }
                guard let (parent, name) = above.first else { break }
                path = "/" + String(decoding: name, as: UTF8.self) + path
                directory = parent
            }
            paths.append(path)
        }
        return paths
    }

    private func setMeta(_ head: RestoredHead, through last: Int64) throws(SQLiteError) {
        let rows: [(String, Value)] = [
            (MetaKey.clean, 1),
            (MetaKey.bootID, ""),
            (MetaKey.openVersion, .integer(Int64(clamping: head.version + 1))),
            (MetaKey.registeredVersion, .integer(Int64(clamping: head.version))),
            (MetaKey.adoptedVersion, .integer(Int64(clamping: head.version))),
            (MetaKey.cutSequence, .integer(last)),
            (MetaKey.head, .blob(head.encoded)),
            (MetaKey.headBehind, 0),
        ]
        for (key, value) in rows {
            try database.execute("REPLACE INTO meta(key, value) VALUES(?,?)", .text(key), value)
        }
    }

    static func corrupt(_ what: String) -> FileSystemError {
        FileSystemError(
            .corrupt,
            "the checkpoint holds what no version of this program writes: \(what)"
        )
    }
}

/// The head that a database was made of.
package struct RestoredHead: Sendable {
    package let version: UInt64
    /// As keepers have it; empty of a kept head, whose database is only looked at.
    package let encoded: [UInt8]

    package init(version: UInt64, encoded: [UInt8]) {
        self.version = version
        self.encoded = encoded
    }
}

extension ShardRecord {
    /// As the columns hold it.
    func values(of stripe: StripeID) -> [Value] {
        [
            .blob(stripe.bytes), .integer(Int64(index)), .blob(shard.bytes),
            .blob(provider.bytes), .blob(root.bytes),
        ]
    }
}
