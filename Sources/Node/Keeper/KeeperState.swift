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
    /// How often what heartbeats tell is written down at least.
    private static let writeInterval: Double = 60
    /// After a start, providers known from before count as up for the time in which they would
    /// send a heartbeat, so that a keeper's restart empties nobody's directory.
    private static let grace: Double = 30
    /// A provider unheard of for so long gives way when the directory is full: 30 days.
    private static let forgetAfter: Double = 30 * 86_400

    private struct Provider {
        var record: ProviderRecord
        var writtenAt: Timestamp
        /// Heard of since this start.
        var isHeard: Bool
    }

    private let startedAt: Timestamp
    private let providers: Mutex<[NodeID: Provider]>
    private let database: KeeperDatabase
    private let histories: ProviderHistories

    init(
        database: KeeperDatabase,
        histories: ProviderHistories,
        now: Timestamp
    ) throws(NodeError) {
        startedAt = now
        self.database = database
        self.histories = histories
        do {
            let records = try database.withLock { database in
                try database.query("SELECT record FROM providers") { $0.blob(0) }
            }.compactMap { try? ProviderRecord(decoding: $0) }
            providers = Mutex(
                Dictionary(
                    records.map {
                        ($0.id, Provider(record: $0, writtenAt: $0.lastSeen, isHeard: false))
                    },
                    uniquingKeysWith: { first, _ in first }
                )
            )
        } catch let error as SQLiteError {
            throw NodeError(error)
        } catch {
            throw NodeError("\(error)")
        }
    }

    // MARK: Providers

    /// Takes a heartbeat; tells whether the provider is new, has moved, or is leaving.
    func note(_ heartbeat: Heartbeat, from id: NodeID, now: Timestamp) throws -> Bool {
        let (record, isNews, isDue, dropped) = try providers.withLock {
            providers throws -> (ProviderRecord, Bool, Bool, NodeID?) in
            let old = providers[id]
            let record = ProviderRecord(
                id: id,
                address: heartbeat.address,
                domain: heartbeat.domain,
                capacityBytes: heartbeat.capacityBytes,
                usedBytes: heartbeat.usedBytes,
                isUp: true,
                lastSeen: now,
                firstSeen: old?.record.firstSeen ?? now,
                isLeaving: heartbeat.isLeaving
            )
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
                || old?.record.isLeaving != record.isLeaving
            let isDue = old.map { now.seconds(since: $0.writtenAt) >= Self.writeInterval } ?? true
            let writtenAt = isNews || isDue ? now : old?.writtenAt ?? now
            providers[id] = Provider(record: record, writtenAt: writtenAt, isHeard: true)
            return (record, isNews, isDue, dropped)
        }
        histories.noteBeat(of: id, damagedShards: heartbeat.damagedShards, now: now)
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

    /// Where a provider was last heard of; `nil` if it is not known.
    func address(of id: NodeID) -> NodeAddress? {
        providers.withLock { $0[id]?.record.address }
    }

    /// Notes in the histories which providers are silent.
    func noteSilence(now: Timestamp) {
        for provider in providers(now: now) where !provider.isUp {
            histories.noteSilence(of: provider.id, now: now)
        }
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
        let changes = histories.takeChanges()
        try database.transaction { database in
            for record in records {
                try database.execute(
                    "INSERT OR REPLACE INTO providers VALUES (?, ?)",
                    .blob(record.id.bytes),
                    .blob(record.encoded)
                )
            }
            for (id, history) in changes {
                try database.execute(
                    "INSERT OR REPLACE INTO histories VALUES (?, ?)",
                    .blob(id.bytes),
                    .blob(history)
                )
            }
        }
    }

    private func remove(_ id: NodeID) throws {
        histories.forget(id)
        try database.transaction { database in
            try database.execute("DELETE FROM providers WHERE node = ?", .blob(id.bytes))
            try database.execute("DELETE FROM histories WHERE provider = ?", .blob(id.bytes))
        }
    }

    // MARK: Volumes

    /// Keeps a registration that was checked; its owner may replace it, nobody else, and never by
    /// one with an earlier key.
    func register(_ volume: VolumeRegistration) throws {
        defer { if volume.isShredded { database.emptyLog() } }
        try database.transaction { database in
            let kept = try database.query(
                "SELECT registration FROM volumes WHERE id = ?",
                .blob(volume.id.bytes)
            ) { $0.blob(0) }.first.map { try VolumeRegistration(decoding: $0) }
            if let kept { try check(volume, replacing: kept) }
            let count = try database.integer(
                "SELECT count(*) FROM volumes WHERE owner = ?",
                .blob(volume.owner.bytes)
            )
            guard kept != nil || count < VolumeList.volumesMax else {
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

    /// The owner of a registered volume; `nil` if it is not registered.
    static func owner(of volume: VolumeID, in database: Database) throws -> NodeID? {
        try database.query("SELECT owner FROM volumes WHERE id = ?", .blob(volume.bytes)) {
            $0.blob(0)
        }.first.flatMap { NodeID(bytes: $0) }
    }

    /// Refuses volumes that `peer` has not registered, so that what is kept of volumes is bounded
    /// by their registrations.
    static func checkRegistered(
        _ volume: VolumeID,
        of peer: NodeID,
        in database: Database
    ) throws {
        guard try owner(of: volume, in: database) == peer else {
            throw NetworkError(
                .notFound,
                "you have not registered volume \(volume.short) with this keeper"
            )
        }
    }

    /// A machine that was away, or was restored from a backup, must not bring back what its owner
    /// has replaced elsewhere.
    private func check(
        _ volume: VolumeRegistration,
        replacing kept: VolumeRegistration
    ) throws {
        let reason: String
        if kept.owner != volume.owner {
            reason = "is registered by another owner"
        } else if kept.isShredded, !volume.isShredded {
            reason = "was shredded by its owner"
        } else if kept.keyGeneration > volume.keyGeneration {
            reason = "is registered with a later key"
        } else {
            return
        }
        throw NetworkError(.exists, "volume \(volume.id.short) \(reason)")
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
