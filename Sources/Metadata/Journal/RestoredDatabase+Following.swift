import Disk
package import Primitives
import SQLite

/// Rows of a followed head's database that were set right for its readers, as the head has them:
/// to be put back before what came after that head is applied.
package struct FollowedRows: Sendable {
    /// Rows of files whose newest bytes were not placed.
    let inodes: [[Value]]

    /// Of a database that there is not.
    package static let none = FollowedRows(inodes: [])
}

// A database that follows a volume's heads, for reading alone: made of a head's pieces once, and
// brought to later heads by the pieces that came since.
//
// Records are the last word on their rows, so that a piece may be applied to what has a part of it
// already.

extension RestoredDatabase {
    /// Inodes noted as changed at most; past it everything counts as changed.
    static let touchedMax = 1 << 18

    /// A copy of the followed database at `source`, to be brought to a later head, at `path`.
    ///
    /// `settled` is what `finishFollowing` said of it. Nobody may write to `source`.
    package convenience init(
        copying source: String,
        undoing settled: FollowedRows,
        to path: String
    ) throws(FileSystemError) {
        try onDisk { () throws(DiskError) in
            let copy = try Descriptor(
                opening: path,
                .readWrite,
                [.create, .exclusive],
                permissions: 0o600
            )
            try Descriptor(opening: source, .readOnly).copyAll(to: copy)
        }
        try self.init(continuing: path, undoing: settled)
    }

    /// Ends what was begun: a database for `MetadataSnapshot`, which a crash may damage.
    ///
    /// `stripes` are those of the checkpoint itself, of which its own rows cannot tell; nor can
    /// they that the head is kept, as `snapshot` says.
    ///
    /// - Returns: What the next head must undo, and the inodes that were changed, `nil` for any.
    package func finishFollowing(
        stripes: [StripeRecord],
        behind: [BlockKey],
        snapshot: SnapshotRow?
    ) throws(FileSystemError) -> (settled: FollowedRows, changed: Set<InodeNumber>?) {
        let settled = try converting { () throws(SQLiteError) -> FollowedRows in
            for sql in indices { try database.execute(sql) }
            try put(stripes)
            if let snapshot {
                let statement = try database.prepare(JournalTable.snapshot.insertion)
                try statement.bind(all: snapshot.values)
                try statement.run()
            }
            let settled = try rows(of: Set(behind.map(\.ino)))
            _ = try settleBehind(behind)
            try database.execute("PRAGMA application_id=\(Schema.applicationID)")
            try database.execute("PRAGMA user_version=\(Schema.version)")
            try database.execute("COMMIT")
            return settled
        }
        guard try hasRoot() else { throw Self.corrupt("it has no root directory") }
        if temporary != path {
            try onDisk { () throws(DiskError) in try Directory.replace(path, with: temporary) }
        }
        touched?.formUnion(behind.map(\.ino))
        return (settled, touched)
    }

    private func put(_ stripes: [StripeRecord]) throws(SQLiteError) {
        let putStripe = try database.prepare(JournalTable.stripe.insertion)
        let putShard = try database.prepare(JournalTable.shard.insertion)
        for stripe in stripes {
            let row = StripeRow(
                id: stripe.id,
                code: stripe.code,
                payloadBytes: stripe.payloadBytes,
                shardBytes: stripe.shardBytes,
                state: .placed,
                liveBlocks: 0,
                liveBytes: 0
            )
            try putStripe.bind(all: row.values)
            try putStripe.run()
            for shard in stripe.shards {
                try putShard.bind(all: shard.values(of: stripe.id))
                try putShard.run()
            }
        }
    }

    private func rows(of inodes: Set<InodeNumber>) throws(SQLiteError) -> FollowedRows {
        let statement = try database.prepare("SELECT \(InodeRow.columns) FROM inode WHERE ino=?")
        let columns = Int32(JournalTable.inode.columns.count)
        var rows: [[Value]] = []
        for ino in inodes {
            try statement.bind(1, Int64(ino.rawValue))
            defer { statement.reset() }
            guard try statement.step() else { continue }
            rows.append((0..<columns).map { statement.value($0) })
        }
        return FollowedRows(inodes: rows)
    }

    /// Notes whose row a record changes.
    func note(_ record: JournalRecord) {
        guard let known = touched, let ino = record.table.inode(of: record.values) else { return }
        if known.count < Self.touchedMax { touched?.insert(ino) } else { touched = nil }
    }
}

extension JournalTable {
    /// The inode that a row is of, of a name the directory; `nil` if it is of none.
    func inode(of values: [Value]) -> InodeNumber? {
        switch self {
        case .inode, .dentry, .symlink, .fileKey, .xattr, .block:
            guard case .integer(let number)? = values.first else { return nil }
            return UInt64(exactly: number).map { InodeNumber($0) }
        case .meta, .orphan, .stripe, .shard, .snapshot: return nil
        }
    }
}
