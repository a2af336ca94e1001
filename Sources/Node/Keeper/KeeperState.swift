import Disk
import Network
import Primitives
import SQLite
import Sealing
import Synchronization
import Transport
import Wire

/// What a keeper knows: providers, with when they were last heard of, and volumes.
///
/// Providers are answered from memory; the database under it changes when a provider does, and
/// from time to time, but not with each heartbeat. Volumes are in the database only.
final class KeeperState: Sendable {
    /// "MEFK", as SQLite has it in the header.
    private static let applicationID: Int64 = 0x4d45_464b
    private static let version: Int64 = 1
    /// How often what heartbeats tell is written down at least.
    private static let writeInterval: Double = 60
    /// After a start, providers known from before count as up for the time in which they would
    /// send a heartbeat, so that a keeper's restart empties nobody's directory.
    private static let grace: Double = 6
    /// A provider unheard of for so long gives way when the directory is full: 30 days.
    private static let forgetAfter: Double = 30 * 86_400

    private static let schema = """
        BEGIN;
        CREATE TABLE providers (
            node BLOB PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE volumes (
            id BLOB PRIMARY KEY, owner BLOB NOT NULL, registration BLOB NOT NULL) WITHOUT ROWID;
        CREATE INDEX volumes_by_owner ON volumes (owner);
        PRAGMA application_id = \(applicationID);
        PRAGMA user_version = \(version);
        COMMIT;
        """

    private struct Provider {
        var record: ProviderRecord
        var writtenAt: Timestamp
        /// Heard of since this start.
        var isHeard: Bool
    }

    private let path: String
    private let startedAt = Clock.now()
    private let providers: Mutex<[NodeID: Provider]>
    /// Held over its I/O: that is what it is for.
    private let database: Mutex<Database>

    init(directory: String) throws(NodeError) {
        path = directory + "/keeper.db"
        do throws(SQLiteError) {
            let database = try Database(path: path)
            // Also after a crash before the schema was made.
            if try database.integer("SELECT count(*) FROM sqlite_schema") == 0 {
                try database.executeScript(Self.schema)
            }
            guard try database.integer("PRAGMA application_id") == Self.applicationID,
                try database.integer("PRAGMA user_version") == Self.version
            else {
                throw SQLiteError(
                    extendedCode: 26,
                    message: "\(path) is not a keeper's database of version 1"
                )
            }
            try database.useWriteAheadLog(synchronous: .full)
            let records = try database.query("SELECT record FROM providers") { $0.blob(0) }
                .compactMap { try? ProviderRecord(decoding: $0) }
            providers = Mutex(
                Dictionary(
                    records.map {
                        ($0.id, Provider(record: $0, writtenAt: $0.lastSeen, isHeard: false))
                    },
                    uniquingKeysWith: { first, _ in first }
                )
            )
            self.database = Mutex(database)
        } catch {
            let remedy =
                error.isFull
                ? "make room on its disk"
                : "put a copy back, or move it away to begin with an empty directory"
            throw NodeError(
                NodeError.Code(error),
                "the keeper's database cannot be used: \(error); \(remedy)"
            )
        }
    }

    // MARK: Providers

    /// Takes a heartbeat; tells whether the provider is new or has moved.
    func note(_ heartbeat: Heartbeat, from id: NodeID, now: Timestamp) throws -> Bool {
        let record = ProviderRecord(
            id: id,
            address: heartbeat.address,
            domain: heartbeat.domain,
            capacityBytes: heartbeat.capacityBytes,
            usedBytes: heartbeat.usedBytes,
            isUp: true,
            lastSeen: now
        )
        let (isNews, isDue, dropped) = try providers.withLock {
            providers throws -> (Bool, Bool, NodeID?) in
            let old = providers[id]
            var dropped: NodeID?
            if old == nil, providers.count >= ProviderList.providersMax {
                dropped = Self.longestAway(providers, now: now)
                guard let dropped else {
                    throw NetworkError(
                        .full,
                        "the keeper knows \(ProviderList.providersMax) providers, the most it can"
                    )
                }
                providers[dropped] = nil
            }
            let isNews =
                old?.record.address != record.address || old?.record.domain != record.domain
            let isDue = old.map { now.seconds(since: $0.writtenAt) >= Self.writeInterval } ?? true
            let writtenAt = isNews || isDue ? now : old?.writtenAt ?? now
            providers[id] = Provider(record: record, writtenAt: writtenAt, isHeard: true)
            return (isNews, isDue, dropped)
        }
        if let dropped { try remove(dropped) }
        if isNews || isDue { try write([record]) }
        return isNews
    }

    /// All providers, by id.
    func providers(now: Timestamp) -> [ProviderRecord] {
        let upFor = Double(Heartbeat.upFor.components.seconds)
        let isYoung = now.seconds(since: startedAt) < Self.grace
        return providers.withLock { providers in
            providers.values.map { provider in
                var record = provider.record
                record.isUp =
                    provider.isHeard
                    ? now.seconds(since: record.lastSeen) < upFor : isYoung && record.isUp
                return record
            }
        }.sorted { $0.id < $1.id }
    }

    /// Writes all providers down, as they are now.
    func flush(now: Timestamp) {
        // What is lost is only when providers were last seen.
        try? write(providers(now: now))
    }

    private static func longestAway(
        _ providers: [NodeID: Provider],
        now: Timestamp
    ) -> NodeID? {
        let oldest = providers.values.min { $0.record.lastSeen < $1.record.lastSeen }?.record
        guard let oldest, now.seconds(since: oldest.lastSeen) >= forgetAfter else { return nil }
        return oldest.id
    }

    private func write(_ records: [ProviderRecord]) throws {
        try database.withLock { database in
            try database.transaction {
                for record in records {
                    try database.execute(
                        "INSERT OR REPLACE INTO providers VALUES (?, ?)",
                        .blob(record.id.bytes),
                        .blob(record.encoded)
                    )
                }
            }
        }
    }

    private func remove(_ id: NodeID) throws {
        try database.withLock { database in
            try database.execute("DELETE FROM providers WHERE node = ?", .blob(id.bytes))
        }
    }

    // MARK: Volumes

    /// Keeps a registration that was checked; its owner may replace it, nobody else.
    func register(_ volume: VolumeRegistration) throws {
        try database.withLock { database in
            try database.transaction {
                let owner = try database.query(
                    "SELECT owner FROM volumes WHERE id = ?",
                    .blob(volume.id.bytes)
                ) { $0.blob(0) }.first
                if let owner, owner != volume.owner.bytes {
                    throw NetworkError(
                        .exists,
                        "volume \(volume.id.short) is registered by another owner"
                    )
                }
                let count = try database.integer(
                    "SELECT count(*) FROM volumes WHERE owner = ?",
                    .blob(volume.owner.bytes)
                )
                guard owner != nil || count < VolumeList.volumesMax else {
                    throw NetworkError(
                        .full,
                        "you have \(VolumeList.volumesMax) volumes here, the most allowed"
                    )
                }
                try database.execute(
                    "INSERT OR REPLACE INTO volumes VALUES (?, ?, ?)",
                    .blob(volume.id.bytes),
                    .blob(volume.owner.bytes),
                    .blob(volume.encoded)
                )
            }
        }
    }

    func volumes(of owner: NodeID) throws -> [VolumeRegistration] {
        try database.withLock { database in
            try database.query(
                "SELECT registration FROM volumes WHERE owner = ? ORDER BY id LIMIT ?",
                .blob(owner.bytes),
                .integer(Int64(VolumeList.volumesMax))
            ) { $0.blob(0) }.map { try VolumeRegistration(decoding: $0) }
        }
    }
}
