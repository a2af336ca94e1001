import Logging
import Network
import Primitives
import SQLite
import Transport
import Wire

/// Heads that a keeper keeps until a time, in `retained.db`: no newer head takes their place, and
/// nobody can have one removed or its time shortened.
///
/// Each is kept with the volume's registration of that moment, so that the recovery phrase opens it
/// whatever is registered later.
struct RetainedHeadStore: Sendable {
    /// Bytes of all retained heads of one volume: 512 heads of the usual codes have 2 MiB.
    private static let bytesMax: Int64 = 8 << 20

    let database: KeeperDatabase
    /// Has the registrations.
    let volumes: KeeperDatabase
    let logger: Logger

    init(
        directory: String,
        volumes: KeeperDatabase,
        logger: Logger
    ) throws(NodeError) {
        database = try KeeperDatabase(path: directory + "/retained.db", format: .retained)
        self.volumes = volumes
        self.logger = logger
    }

    /// Keeps a head until a time at least; durable when this returns.
    ///
    /// - Throws: `NetworkError` if it is not the owner's, of no registered volume, for too long, or
    ///   one too many; whatever the database throws.
    func retain(
        _ query: RetainHead,
        from peer: NodeID,
        now: Timestamp
    ) throws -> RetainedUntil {
        let head = query.head
        guard head.owner == peer, head.isSignatureValid else {
            throw NetworkError(
                .unauthorized,
                "the head of volume \(head.volume.short) is not signed by you"
            )
        }
        let latest = now.seconds + RetainShards.secondsMax
        guard (1...latest).contains(query.until) else {
            throw NetworkError(
                .malformed,
                "heads are retained until \(Self.text(latest)) at most, not until"
                    + " \(Self.text(query.until))"
            )
        }
        let registration = try registration(of: head.volume, by: peer)
        return try database.transaction { database in
            try forget(head.volume, before: now, in: database)
            if let until = try until(head.digest, of: head.volume, in: database) {
                guard until < query.until else { return RetainedUntil(until: until) }
                try database.execute(
                    "UPDATE heads SET until = ? WHERE volume = ? AND digest = ?",
                    .integer(query.until),
                    .blob(head.volume.bytes),
                    .blob(head.digest.bytes)
                )
                return RetainedUntil(until: query.until)
            }
            try checkRoom(for: head, registration, in: database)
            try database.execute(
                "INSERT INTO heads VALUES (?, ?, ?, ?, ?, ?, ?)",
                .blob(head.volume.bytes),
                .blob(head.digest.bytes),
                .integer(Int64(clamping: head.version)),
                .integer(now.seconds),
                .integer(query.until),
                .blob(head.encoded),
                .blob(registration)
            )
            logger.info(
                "head \(head.version) of \(head.volume.short) kept until \(Self.text(query.until))"
            )
            return RetainedUntil(until: query.until)
        }
    }

    /// The retained heads of a volume; none of one that is not the peer's.
    func list(_ query: ListRetained, for peer: NodeID, now: Timestamp) throws -> RetainedHeads {
        guard try isOwner(peer, of: query.volume) else { return RetainedHeads(heads: []) }
        let rows = try database.withLock { database in
            try database.query(
                """
                SELECT head, received, until FROM heads WHERE volume = ? AND until > ?
                ORDER BY version, digest LIMIT ?
                """,
                .blob(query.volume.bytes),
                .integer(now.seconds),
                .integer(Int64(RetainedHeads.headsMax))
            ) { ($0.blob(0), $0.integer(1), $0.integer(2)) }
        }
        return RetainedHeads(
            heads: try rows.map { bytes, received, until in
                let head = try VolumeHead(decoding: bytes)
                return RetainedHead(
                    digest: head.digest,
                    version: head.version,
                    time: head.time,
                    received: Timestamp(seconds: received, nanoseconds: 0),
                    until: until
                )
            }
        )
    }

    /// A retained head of the peer's.
    func fetch(_ query: FetchRetained, for peer: NodeID) throws -> RetainedHeadContent {
        let isOwner = try isOwner(peer, of: query.volume)
        let row = try database.withLock { database in
            try database.query(
                "SELECT head, registration FROM heads WHERE volume = ? AND digest = ?",
                .blob(query.volume.bytes),
                .blob(query.digest.bytes)
            ) { ($0.blob(0), $0.blob(1)) }.first
        }
        guard isOwner, let row else {
            throw NetworkError(
                .notFound,
                "no head \(query.digest.short) of volume \(query.volume.short) is retained here"
            )
        }
        return RetainedHeadContent(
            head: try VolumeHead(decoding: row.0),
            registration: try VolumeRegistration(decoding: row.1)
        )
    }

    /// Refuses to have a volume shredded while heads of it are retained: the key would go that
    /// opens them.
    func checkShredding(_ volume: VolumeID, now: Timestamp) throws {
        let until = try database.withLock { database in
            try database.integer(
                "SELECT coalesce(max(until), 0) FROM heads WHERE volume = ?",
                .blob(volume.bytes)
            )
        }
        guard until > now.seconds else { return }
        throw NetworkError(
            .retained,
            "volume \(volume.short) has a snapshot that is locked until \(Self.text(until)); it"
                + " can be shredded after that"
        )
    }

    // MARK: Rows

    private func registration(of volume: VolumeID, by peer: NodeID) throws -> [UInt8] {
        try volumes.withLock { database in
            try KeeperState.checkRegistered(volume, of: peer, in: database)
            return try database.query(
                "SELECT registration FROM volumes WHERE id = ?",
                .blob(volume.bytes)
            ) { $0.blob(0) }.first ?? []
        }
    }

    private func isOwner(_ peer: NodeID, of volume: VolumeID) throws -> Bool {
        try volumes.withLock { database in
            try KeeperState.owner(of: volume, in: database) == peer
        }
    }

    private func until(
        _ digest: Digest,
        of volume: VolumeID,
        in database: Database
    ) throws -> Int64? {
        try database.query(
            "SELECT until FROM heads WHERE volume = ? AND digest = ?",
            .blob(volume.bytes),
            .blob(digest.bytes)
        ) { $0.integer(0) }.first
    }

    private func forget(
        _ volume: VolumeID,
        before now: Timestamp,
        in database: Database
    ) throws {
        try database.execute(
            "DELETE FROM heads WHERE volume = ? AND until <= ?",
            .blob(volume.bytes),
            .integer(now.seconds)
        )
    }

    /// What is kept gives way to nothing, so that whoever fills the room only keeps new ones out.
    private func checkRoom(
        for head: VolumeHead,
        _ registration: [UInt8],
        in database: Database
    ) throws {
        let used =
            try database.query(
                """
                SELECT count(*), coalesce(sum(length(head) + length(registration)), 0)
                FROM heads WHERE volume = ?
                """,
                .blob(head.volume.bytes)
            ) { (count: $0.integer(0), bytes: $0.integer(1)) }.first ?? (0, 0)
        let bytes = used.bytes + Int64(head.encoded.count + registration.count)
        guard used.count < RetainedHeads.headsMax, bytes <= Self.bytesMax else {
            throw NetworkError(
                .full,
                "\(used.count) heads of volume \(head.volume.short) are retained here, and no more"
                    + " can be until the time of one is over"
            )
        }
    }

    private static func text(_ seconds: Int64) -> String {
        Timestamp(seconds: seconds, nanoseconds: 0).text
    }
}

extension KeeperDatabase.Format {
    /// `retained.db`: heads that are kept until a time.
    static let retained = KeeperDatabase.Format(
        name: "the database of retained heads",
        // "MEFR".
        applicationID: 0x4d45_4652,
        scripts: [
            """
            CREATE TABLE heads (
                volume BLOB NOT NULL, digest BLOB NOT NULL, version INTEGER NOT NULL,
                received INTEGER NOT NULL, until INTEGER NOT NULL,
                head BLOB NOT NULL, registration BLOB NOT NULL,
                PRIMARY KEY (volume, digest));
            """
        ]
    )
}
