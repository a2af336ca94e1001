import Primitives
import SQLite

/// The one connection that changes the database.
///
/// Belongs to the store's commit lock.
final class MetadataWriter {
    private let database: Database
    /// Commits made that changed something.
    private(set) var sequence: UInt64 = 0
    /// The last row of the journal.
    private(set) var journalSequence: Int64 = 0
    /// The last row of the journal that tells of what a user would miss.
    private(set) var substantialSequence: Int64 = 0
    /// The last row of the journal that tells of a kept head that is none any more: until a head is
    /// registered that has it, who recovers from an older one finds that head kept.
    private(set) var forgettingSequence: Int64 = 0
    /// Whether changes are written to the journal: from the first head on.
    var keepsJournal = false
    /// Pages in the log from which on a commit moves it.
    var logFramesAllowed = Int.max

    private let begin, commit: Statement
    private let putEntry, removeEntry: Statement
    private let putInode, removeInode: Statement
    private let putTarget, removeTarget, putFileKey, removeFileKey: Statement
    private let putXattr, removeXattr, removeXattrs: Statement
    private let putBlock, removeBlock, removeBlocks: Statement
    private let putResidency, removeResidency, removeResidencies: Statement
    private let putStripe, removeStripe, putShard, removeShard, removeShards: Statement
    private let putPassthrough, removePassthrough: Statement
    private let putOrphan, removeOrphan, putMeta: Statement
    private let putSnapshot, removeSnapshot, putPart, removePiece: Statement
    private let putJournal: Statement

    init(_ database: Database) throws(SQLiteError) {
        self.database = database
        begin = try database.prepare("BEGIN IMMEDIATE")
        commit = try database.prepare("COMMIT")
        putEntry = try database.prepare(
            "REPLACE INTO dentry(parent, name, ino, cookie) VALUES(?,?,?,?)"
        )
        removeEntry = try database.prepare("DELETE FROM dentry WHERE parent=? AND name=?")
        putInode = try database.prepare(InodeRow.insertion)
        removeInode = try database.prepare("DELETE FROM inode WHERE ino=?")
        putTarget = try database.prepare("REPLACE INTO symlink(ino, target) VALUES(?,?)")
        removeTarget = try database.prepare("DELETE FROM symlink WHERE ino=?")
        putFileKey = try database.prepare("REPLACE INTO file_key(ino, wrapped) VALUES(?,?)")
        removeFileKey = try database.prepare("DELETE FROM file_key WHERE ino=?")
        putXattr = try database.prepare("REPLACE INTO xattr(ino, name, value) VALUES(?,?,?)")
        removeXattr = try database.prepare("DELETE FROM xattr WHERE ino=? AND name=?")
        removeXattrs = try database.prepare("DELETE FROM xattr WHERE ino=?")
        putBlock = try database.prepare(
            "REPLACE INTO block(ino, idx, stripe, offset, plain, valid, segments, checksum) "
                + "VALUES(?,?,?,?,?,?,?,?)"
        )
        removeBlock = try database.prepare("DELETE FROM block WHERE ino=? AND idx=?")
        removeBlocks = try database.prepare("DELETE FROM block WHERE ino=?")
        putResidency = try database.prepare(
            "REPLACE INTO residency(ino, idx, mask, held, dirty_since) VALUES(?,?,?,?,?)"
        )
        removeResidency = try database.prepare("DELETE FROM residency WHERE ino=? AND idx=?")
        removeResidencies = try database.prepare("DELETE FROM residency WHERE ino=?")
        putStripe = try database.prepare(JournalTable.stripe.insertion)
        removeStripe = try database.prepare("DELETE FROM stripe WHERE id=?")
        putShard = try database.prepare(
            "REPLACE INTO shard(stripe, idx, shard, provider, root) VALUES(?,?,?,?,?)"
        )
        removeShard = try database.prepare("DELETE FROM shard WHERE stripe=? AND idx=?")
        removeShards = try database.prepare("DELETE FROM shard WHERE stripe=?")
        putPassthrough = try database.prepare(
            "REPLACE INTO passthrough(ino, synced, modified) VALUES(?,?,?)"
        )
        removePassthrough = try database.prepare("DELETE FROM passthrough WHERE ino=?")
        putOrphan = try database.prepare("REPLACE INTO orphan(ino) VALUES(?)")
        removeOrphan = try database.prepare("DELETE FROM orphan WHERE ino=?")
        putMeta = try database.prepare("REPLACE INTO meta(key, value) VALUES(?,?)")
        putSnapshot = try database.prepare(JournalTable.snapshot.insertion)
        removeSnapshot = try database.prepare(JournalTable.snapshot.removal)
        putPart = try database.prepare(CheckpointPart.insertion)
        removePiece = try database.prepare("DELETE FROM checkpoint WHERE piece=?")
        putJournal = try database.prepare("INSERT INTO journal(seq, records) VALUES(?,?)")
        journalSequence = try database.integer("SELECT COALESCE(MAX(seq), 0) FROM journal")
        let cut = try database.integer(
            "SELECT value FROM meta WHERE key=?",
            .text(MetaKey.cutSequence)
        )
        // What the rows since then tell of is not looked at.
        if journalSequence > cut { forgettingSequence = journalSequence }
        // After a base the journal is empty, and goes on behind it.
        journalSequence = max(journalSequence, cut)
    }

    /// Pages in the write-ahead log.
    var logFrames: Int { database.logFrames }

    /// Saves the set in one transaction: all of it, or, if it throws, nothing.
    func save(_ set: ChangeSet) throws(SQLiteError) {
        try transaction { () throws(SQLiteError) in
            try saveNamespace(set)
            try saveContent(set)
            try saveRemovals(set)
            if let nextInode = set.nextInode {
                try putMeta.run(.text(MetaKey.nextInode), .integer(Int64(nextInode)))
            }
            for (key, number) in set.numbers { try putMeta.run(.text(key), .integer(number)) }
            for (key, text) in set.texts { try putMeta.run(.text(key), .text(text)) }
            try saveCheckpoint(set)
            try journal(set)
        }
        sequence += 1
    }

    /// Adds the set to the journal, in the transaction that saves it.
    private func journal(_ set: ChangeSet) throws(SQLiteError) {
        guard keepsJournal else { return }
        let records = set.journal
        guard !records.isEmpty else { return }
        let next = journalSequence + 1
        try putJournal.run(.integer(next), .blob(records))
        journalSequence = next
        if set.isSubstantial { substantialSequence = next }
        if !set.snapshots.isEmpty { forgettingSequence = next }
    }

    private func saveCheckpoint(_ set: ChangeSet) throws(SQLiteError) {
        for (version, edit) in set.snapshots {
            switch edit {
            case .put(let row):
                try putSnapshot.bind(all: row.values)
                try putSnapshot.run()
            case .remove: try removeSnapshot.run(.integer(Int64(clamping: version)))
            }
        }
        for piece in set.removedPieces { try removePiece.run(.integer(piece)) }
        for part in set.checkpointParts {
            try putPart.bind(all: part.values)
            try putPart.run()
        }
        if let head = set.head { try putMeta.run(.text(MetaKey.head), .blob(head)) }
    }

    /// Deletes some of the journal's rows up to one.
    ///
    /// - Returns: Whether none are left.
    func forgetJournal(through last: Int64, limit: Int64) throws(SQLiteError) -> Bool {
        var count = 0
        try transaction { () throws(SQLiteError) in
            try database.execute(
                "DELETE FROM journal WHERE seq IN (SELECT seq FROM journal WHERE seq<=? LIMIT ?)",
                .integer(last),
                .integer(limit)
            )
            count = database.changes
        }
        sequence += 1
        return count < limit
    }

    /// Sets rows of the table `meta` in a transaction of their own.
    func setMeta(_ rows: [(key: String, value: Value)]) throws(SQLiteError) {
        try transaction { () throws(SQLiteError) in
            for row in rows { try putMeta.run(.text(row.key), row.value) }
        }
        sequence += 1
    }

    /// Moves the whole log into the database and cuts it to 0 bytes; for the end.
    func truncateLog() throws(SQLiteError) {
        try database.checkpoint(.truncate)
    }

    private func transaction(_ body: () throws(SQLiteError) -> Void) throws(SQLiteError) {
        try begin.run()
        do {
            try body()
            try commit.run()
        } catch {
            database.rollback()
            throw error
        }
    }

    private func saveNamespace(_ set: ChangeSet) throws(SQLiteError) {
        for (key, edit) in set.entries {
            switch edit {
            case .put(let child):
                try putEntry.bind(1, Int64(key.parent.rawValue))
                try putEntry.bind(2, key.name.bytes)
                try putEntry.bind(3, Int64(child.ino.rawValue))
                try putEntry.bind(4, Int64(child.cookie))
                try putEntry.run()
            case .remove:
                try removeEntry.bind(1, Int64(key.parent.rawValue))
                try removeEntry.bind(2, key.name.bytes)
                try removeEntry.run()
            }
        }
        for row in set.inodes {
            try row.bind(to: putInode)
            try putInode.run()
        }
        for (ino, target) in set.targets {
            try putTarget.run(.integer(Int64(ino.rawValue)), .blob(target))
        }
        for (key, edit) in set.xattrs {
            let ino = Value.integer(Int64(key.ino.rawValue))
            switch edit {
            case .put(let value): try putXattr.run(ino, .blob(key.name), .blob(value))
            case .remove: try removeXattr.run(ino, .blob(key.name))
            }
        }
        for (ino, isOrphan) in set.orphans {
            try (isOrphan ? putOrphan : removeOrphan).run(.integer(Int64(ino.rawValue)))
        }
    }

    private func saveContent(_ set: ChangeSet) throws(SQLiteError) {
        for (ino, wrapped) in set.fileKeys {
            try putFileKey.run(.integer(Int64(ino.rawValue)), .blob(wrapped))
        }
        for (key, edit) in set.blocks {
            let statement = if case .put = edit { putBlock } else { removeBlock }
            try statement.bind(key)
            if case .put(let location) = edit {
                try statement.bind(3, location.stripe.bytes)
                try statement.bind(4, Int64(location.offset))
                try statement.bind(5, Int64(location.plainBytes))
                try statement.bind(6, Int64(location.validBytes))
                try statement.bind(7, location.encodedSegments)
                let checksum = location.checksum.map { Value.integer(Int64(bitPattern: $0)) }
                try statement.bind(8, checksum ?? .null)
            }
            try statement.run()
        }
        for (key, edit) in set.residency {
            let statement = if case .put = edit { putResidency } else { removeResidency }
            try statement.bind(key)
            if case .put(let residency) = edit {
                try statement.bind(3, Int64(residency.mask))
                try statement.bind(4, Int64(residency.heldBytes))
                let since = residency.dirtySince?.nanosecondsSince1970
                try statement.bind(5, since.map { .integer($0) } ?? .null)
            }
            try statement.run()
        }
        for (ino, edit) in set.passthroughs {
            let number = Value.integer(Int64(ino.rawValue))
            switch edit {
            case .put(let row):
                let modified = Value.integer(row.modified.nanosecondsSince1970)
                try putPassthrough.run(number, .integer(row.isSynced ? 1 : 0), modified)
            case .remove: try removePassthrough.run(number)
            }
        }
        for stripe in set.stripes { try save(stripe) }
        for (id, shards) in set.shards {
            for shard in shards {
                try putShard.run(
                    .blob(id.bytes),
                    .integer(Int64(shard.index)),
                    .blob(shard.shard.bytes),
                    .blob(shard.provider.bytes),
                    .blob(shard.root.bytes)
                )
            }
        }
    }

    private func save(_ stripe: StripeRow) throws(SQLiteError) {
        try putStripe.bind(all: stripe.values)
        try putStripe.run()
    }

    /// Last, so that it also removes what the same set put.
    private func saveRemovals(_ set: ChangeSet) throws(SQLiteError) {
        for shard in set.forgottenShards {
            try removeShard.run(.blob(shard.stripe.bytes), .integer(Int64(shard.record.index)))
        }
        for id in set.removedStripes {
            try removeShards.run(.blob(id.bytes))
            try removeStripe.run(.blob(id.bytes))
        }
        for (ino, kind) in set.reaped {
            var tables = [removeInode, removeOrphan, removeXattrs]
            switch kind {
            case .regular: tables += [removeFileKey, removeBlocks, removeResidencies]
            case .symbolicLink: tables.append(removeTarget)
            default: break
            }
            for table in tables { try table.run(.integer(Int64(ino.rawValue))) }
        }
    }
}

extension Statement {
    /// Binds inode and index as parameters 1 and 2.
    func bind(_ key: BlockKey) throws(SQLiteError) {
        try bind(1, Int64(key.ino.rawValue))
        try bind(2, Int64(key.index.rawValue))
    }
}

extension Timestamp {
    /// As the database keeps the time of a dirty mark; the years 1678 to 2262, others clamped.
    var nanosecondsSince1970: Int64 {
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, isPast) = product.addingReportingOverflow(Int64(nanoseconds))
        return isPast ? .max : sum
    }

    init(nanosecondsSince1970 value: Int64) {
        let (seconds, rest) = value.quotientAndRemainder(dividingBy: 1_000_000_000)
        self.init(
            seconds: rest < 0 ? seconds - 1 : seconds,
            nanoseconds: UInt32(rest < 0 ? rest + 1_000_000_000 : rest)
        )
    }
}
