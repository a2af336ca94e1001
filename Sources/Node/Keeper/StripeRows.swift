import Network
import Primitives
import SQLite
import Wire

/// The stripes of one delegated volume within a transaction: rows, their number, and the digests
/// of their buckets.
struct StripeRows {
    let key: DelegationKey
    let database: Database
    private var countChange: Int64 = 0
    private var digestChanges: [UInt8: UInt64] = [:]

    init(key: DelegationKey, database: Database) {
        self.key = key
        self.database = database
    }

    private var owner: Value { .blob(key.owner.bytes) }
    private var volume: Value { .blob(key.volume.bytes) }

    func manifest(_ id: StripeID) throws -> StripeManifest? {
        try database.query(
            "SELECT manifest FROM stripes WHERE owner = ? AND volume = ? AND id = ?",
            owner,
            volume,
            .blob(id.bytes)
        ) { $0.blob(0) }.first.map { try StripeManifest(decoding: $0) }
    }

    func manifests(after: StripeID?, limit: Int) throws -> [StripeManifest] {
        try database.query(
            """
            SELECT manifest FROM stripes WHERE owner = ? AND volume = ? AND id > ?
            ORDER BY id LIMIT ?
            """,
            owner,
            volume,
            .blob(after?.bytes ?? []),
            .integer(Int64(max(0, limit)))
        ) { $0.blob(0) }.map { try StripeManifest(decoding: $0) }
    }

    /// Ids in a range of bytes, `first` left out and `last` included.
    func ids(after first: [UInt8], through last: [UInt8]) throws -> [StripeID] {
        try database.query(
            "SELECT id FROM stripes WHERE owner = ? AND volume = ? AND id > ? AND id <= ?",
            owner,
            volume,
            .blob(first),
            .blob(last)
        ) { $0.blob(0) }.map { bytes in
            guard let id = StripeID(bytes: bytes) else { throw DecodeError.corrupt("a stripe") }
            return id
        }
    }

    mutating func put(_ stripe: StripeManifest) throws {
        let old = try manifest(stripe.id)
        guard old != stripe else { return }
        if let old { digestChanges[old.bucket, default: 0] &-= old.digest }
        digestChanges[stripe.bucket, default: 0] &+= stripe.digest
        if old == nil { countChange += 1 }
        try database.execute(
            "INSERT OR REPLACE INTO stripes VALUES (?, ?, ?, ?)",
            owner,
            volume,
            .blob(stripe.id.bytes),
            .blob(stripe.encoded)
        )
    }

    mutating func remove(_ id: StripeID) throws {
        guard let old = try manifest(id) else { return }
        digestChanges[old.bucket, default: 0] &-= old.digest
        countChange -= 1
        try database.execute(
            "DELETE FROM stripes WHERE owner = ? AND volume = ? AND id = ?",
            owner,
            volume,
            .blob(id.bytes)
        )
    }

    /// Writes digests and number of stripes; gives the number.
    func finish() throws -> Int64 {
        for (bucket, change) in digestChanges where change != 0 {
            let digest = try database.integer(
                "SELECT digest FROM digests WHERE owner = ? AND volume = ? AND bucket = ?",
                owner,
                volume,
                .integer(Int64(bucket))
            )
            try database.execute(
                "INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?)",
                owner,
                volume,
                .integer(Int64(bucket)),
                .integer(Int64(bitPattern: UInt64(bitPattern: digest) &+ change))
            )
        }
        if countChange != 0 {
            try database.execute(
                "UPDATE delegations SET stripes = stripes + ? WHERE owner = ? AND volume = ?",
                .integer(countChange),
                owner,
                volume
            )
        }
        return try database.integer(
            "SELECT stripes FROM delegations WHERE owner = ? AND volume = ?",
            owner,
            volume
        )
    }
}
