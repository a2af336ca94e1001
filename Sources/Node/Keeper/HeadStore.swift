import Logging
import Network
import Primitives
import SQLite
import Transport
import Wire

/// The newest head of each registered volume, in `keeper.db`.
struct HeadStore: Sendable {
    let database: KeeperDatabase
    let leases: LeaseStore
    let logger: Logger

    /// Takes a head from its owner; durable when it returns.
    ///
    /// - Throws: `NetworkError` if it is not the owner's, or not to be taken
    ///   (`VolumeHead.refusal`); whatever the database throws.
    func put(_ head: VolumeHead, from peer: NodeID) throws {
        guard head.owner == peer, head.isSignatureValid else {
            throw NetworkError(
                .unauthorized,
                "the head of volume \(head.volume.short) is not signed by you"
            )
        }
        let refusal = try database.transaction { database -> NetworkError? in
            try KeeperState.checkRegistered(head.volume, of: peer, in: database)
            let stored = try Self.head(of: head.volume, in: database)
            if let stored, stored == head { return nil }
            // Promises change with the database locked, as it is here.
            let term = leases.term(of: head.volume)
            if let refusal = head.refusal(after: stored, newestTerm: term) {
                if let stored, stored.isForked(from: head) {
                    logger.warning("fork of volume \(head.volume.short): \(refusal.message)")
                }
                return refusal
            }
            try database.execute(
                "INSERT OR REPLACE INTO heads VALUES (?, ?)",
                .blob(head.volume.bytes),
                .blob(head.encoded)
            )
            return nil
        }
        if let refusal { throw refusal }
    }

    /// The newest head of a volume of `peer`'s; none of a volume that is not.
    func newest(of volume: VolumeID, for peer: NodeID) throws -> HeadList {
        try database.withLock { database in
            guard try KeeperState.owner(of: volume, in: database) == peer else {
                return HeadList(head: nil, term: 0)
            }
            let head = try Self.head(of: volume, in: database)
            return HeadList(head: head, term: max(leases.term(of: volume), head?.term ?? 0))
        }
    }

    static func head(of volume: VolumeID, in database: Database) throws -> VolumeHead? {
        try database.query("SELECT head FROM heads WHERE volume = ?", .blob(volume.bytes)) {
            $0.blob(0)
        }.first.map { try VolumeHead(decoding: $0) }
    }
}
