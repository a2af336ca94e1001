package import Primitives
import SQLite

// What the checks of the cache and of the providers ask of the database. To be used once `run` has
// found its structure whole. Rows that were told of as damaged are left out or throw `corrupt`.
extension MetadataCheck {
    /// What a cache file belongs to.
    package struct File: Sendable {
        package let isRegular: Bool
        package let size: UInt64
    }

    /// An inode of which blocks are noted as cached.
    package struct CachedFile: Sendable {
        package let ino: InodeNumber
        package let blocks: UInt64
        package let dirtyBlocks: UInt64
    }

    /// Whether the volume was closed in order when it was last in use.
    package func wasClosed() throws(FileSystemError) -> Bool {
        try reader().meta(MetaKey.clean) == 1
    }

    /// What the database says of an inode; `nil` if it has none of that number.
    package func file(_ ino: InodeNumber) throws(FileSystemError) -> File? {
        guard let row = try reader().inode(ino) else { return nil }
        return File(isRegular: row.attributes.kind == .regular, size: row.attributes.size)
    }

    /// The blocks in `range` that are no holes, in order.
    package func blocks(
        of ino: InodeNumber,
        in range: Range<UInt64>
    ) throws(FileSystemError) -> [BlockState] {
        let reader = try reader()
        var states = try reader.locations(of: ino, in: range).map {
            BlockState(index: $0.index, location: $0.location)
        }
        var position = 0
        for (index, mask, since) in try reader.residency(of: ino, in: range) {
            while position < states.count, states[position].index < index { position += 1 }
            if position == states.count || states[position].index != index {
                states.insert(BlockState(index: index), at: position)
            }
            states[position].resident = mask
            states[position].dirtySince = since
        }
        return states
    }

    /// The first block at or after `index` that is no hole.
    package func nextBlock(
        of ino: InodeNumber,
        from index: UInt64
    ) throws(FileSystemError) -> UInt64? {
        try reader().nextBlock(of: ino, from: index)
    }

    /// Whether the kernel was writing to the inode's cache file by itself: it knows more than the
    /// rows, and the next mount learns from it.
    package func isPassthrough(_ ino: InodeNumber) throws(FileSystemError) -> Bool {
        try converting { () throws(SQLiteError) in
            try database.integer(
                "SELECT COUNT(*) FROM passthrough WHERE ino = ?",
                .integer(Int64(clamping: ino.rawValue))
            ) > 0
        }
    }

    /// Inodes with blocks in the cache, in order, at most `limit`, from after `ino` on.
    package func cachedFiles(
        after ino: InodeNumber?,
        limit: Int
    ) throws(FileSystemError) -> [CachedFile] {
        try rows(
            """
            SELECT ino, COUNT(*), COUNT(dirty_since) FROM residency WHERE ino > ? \
            GROUP BY ino LIMIT ?
            """,
            .integer(Int64(clamping: ino?.rawValue ?? 0)),
            .integer(Int64(limit))
        ) { row in
            guard let ino = UInt64(exactly: row.integer(0)) else { return nil }
            return CachedFile(
                ino: InodeNumber(ino),
                blocks: UInt64(clamping: row.integer(1)),
                dirtyBlocks: UInt64(clamping: row.integer(2))
            )
        }
    }

    /// Placed stripes with their shards in order of id, at most `limit`, from after `id` on.
    package func placedStripes(
        after id: StripeID?,
        limit: Int
    ) throws(FileSystemError) -> [StripeRecord] {
        try reader().placedStripes(after: id, limit: limit)
    }

    /// Placed stripes of the volume.
    package func placedStripeCount() throws(FileSystemError) -> UInt64 {
        try reader().number("SELECT COUNT(*) FROM stripe WHERE state = 2")
    }

    /// The blocks whose current version the stripe holds, with where they are.
    package func blocks(in stripe: StripeID) throws(FileSystemError) -> [BlockKey] {
        try reader().blocks(in: stripe)
    }

    /// A block as its rows have it.
    package func block(_ key: BlockKey) throws(FileSystemError) -> BlockState? {
        let index = key.index.rawValue
        return try blocks(of: key.ino, in: index..<index + 1).first
    }

    /// The wrapped key of a file; `nil` if it has none.
    package func fileKey(of ino: InodeNumber) throws(FileSystemError) -> [UInt8]? {
        try reader().fileKey(of: ino)
    }

    /// Wrapped keys of files in order of inode, at most `limit`, from after `ino` on.
    package func fileKeys(
        after ino: InodeNumber?,
        limit: Int
    ) throws(FileSystemError) -> [(ino: InodeNumber, wrapped: [UInt8])] {
        try rows(
            "SELECT ino, wrapped FROM file_key WHERE ino > ? ORDER BY ino LIMIT ?",
            .integer(Int64(clamping: ino?.rawValue ?? 0)),
            .integer(Int64(limit))
        ) { row in
            UInt64(exactly: row.integer(0)).map { (InodeNumber($0), row.blob(1)) }
        }
    }

    private func rows<T>(
        _ sql: String,
        _ values: Value...,
        decode: (Statement) -> T?
    ) throws(FileSystemError) -> [T] {
        try converting { () throws(SQLiteError) in
            let statement = try database.prepare(sql)
            try statement.bind(all: values)
            var found: [T] = []
            while try statement.step() {
                if let row = decode(statement) { found.append(row) }
            }
            return found
        }
    }
}
