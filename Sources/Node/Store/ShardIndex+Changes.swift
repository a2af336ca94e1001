import Primitives
import SQLite

extension ShardIndex {
    /// What one transaction changes.
    struct Changes {
        var added: [ShardID: Location] = [:]
        var removed: [ShardID: Location] = [:]
        /// Shards of `added` and `removed` that were damaged, and are no longer.
        var mended: Set<ShardID> = []
        /// Space that was written to and is not wanted, without ever being a shard's.
        var wasted: [Place] = []
        /// New ends of segments.
        var ends: [UInt64: UInt64] = [:]
        /// Freed space that has been punched out.
        var punched: [Place] = []
        /// Segments whose files are gone.
        var gone: [UInt64] = []

        var isEmpty: Bool {
            added.isEmpty && removed.isEmpty && mended.isEmpty && wasted.isEmpty && ends.isEmpty
                && punched.isEmpty && gone.isEmpty
        }
    }
}

extension ShardIndex.Changes {
    /// Inside a transaction.
    func apply(to database: Database) throws(SQLiteError) {
        var live: [UInt64: Int] = [:]
        // Removals first: a shard may be replaced within one batch.
        for (shard, location) in removed {
            try database.execute("DELETE FROM shards WHERE shard = ?", .blob(shard.bytes))
            try free(location.place, in: database)
            live[location.segment, default: 0] -= location.place.footprint
        }
        for place in wasted { try free(place, in: database) }
        for (shard, location) in added {
            try add(shard, location, to: database)
            live[location.segment, default: 0] += location.place.footprint
        }
        for shard in mended {
            try database.execute("DELETE FROM damage WHERE shard = ?", .blob(shard.bytes))
        }
        try note(live, in: database)
        for place in punched {
            try database.execute(
                "DELETE FROM freed WHERE segment = ? AND offset = ?",
                integer(place.segment),
                integer(place.offset)
            )
        }
        for number in gone {
            try database.execute("DELETE FROM segments WHERE number = ?", integer(number))
            try database.execute("DELETE FROM freed WHERE segment = ?", integer(number))
        }
        try database.execute(
            "UPDATE totals SET used = used + ?, shards = shards + ?",
            integer(live.values.reduce(0, +)),
            integer(added.count - removed.count)
        )
    }

    /// New ends of segments, and what is wanted of them.
    private func note(_ live: [UInt64: Int], in database: Database) throws(SQLiteError) {
        for (number, end) in ends {
            try database.execute(
                """
                INSERT INTO segments VALUES (?, ?, 0)
                ON CONFLICT DO UPDATE SET end = excluded.end
                """,
                integer(number),
                integer(end)
            )
        }
        for (number, bytes) in live where bytes != 0 {
            try database.execute(
                "UPDATE segments SET live = live + ? WHERE number = ?",
                integer(bytes),
                integer(number)
            )
        }
    }

    private func free(_ place: ShardIndex.Place, in database: Database) throws(SQLiteError) {
        try database.execute(
            "INSERT OR REPLACE INTO freed (segment, offset, length, format) VALUES (?, ?, ?, ?)",
            integer(place.segment),
            integer(place.offset),
            integer(place.length),
            integer(place.version.rawValue)
        )
    }

    private func add(
        _ shard: ShardID,
        _ location: ShardIndex.Location,
        to database: Database
    ) throws(SQLiteError) {
        try database.execute(
            "INSERT OR IGNORE INTO owners (node) VALUES (?)",
            .blob(location.owner.bytes)
        )
        try database.execute(
            """
            INSERT INTO shards (shard, owner, segment, offset, length, format, root)
            VALUES (?, (SELECT id FROM owners WHERE node = ?), ?, ?, ?, ?, ?)
            """,
            .blob(shard.bytes),
            .blob(location.owner.bytes),
            integer(location.segment),
            integer(location.offset),
            integer(location.length),
            integer(location.place.version.rawValue),
            location.root.map { .blob($0.bytes) } ?? .null
        )
    }

    /// Our numbers are bounded by the sizes of files, far below 2^63.
    private func integer(_ value: some BinaryInteger) -> Value {
        .integer(Int64(clamping: value))
    }
}
