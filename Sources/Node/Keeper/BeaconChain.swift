import Disk
import Logging
import Network
import Primitives
import Proofs
import SQLite
import Sealing
import Synchronization
import Wire

/// The keeper's chain of beacons: one block for each epoch in which it ran.
///
/// A block is durable in the database and in the file `beacon` before anybody sees it, so that a
/// crash at any instant cannot lead to a second block for its epoch. The file holds the newest
/// block once more: a database that was put back to an older copy is found out by it.
final class BeaconChain: Sendable {
    /// Bytes of the file that are looked at.
    private static let fileBytesMax = 4096
    /// An epoch in the database is an `Int64`.
    private static let epochMax = Epoch(UInt64(Int64.max))

    private struct State {
        var newest: BeaconBlock?
        /// A write failed, so that the database alone knows the newest block.
        var isDoubtful = false
        /// The epoch for which it was logged that the clock went back.
        var warnedOf: Epoch?
    }

    let epochSeconds: UInt32
    private let database: KeeperDatabase
    private let path: String
    private let identity: SigningKey
    private let logger: Logger
    /// Held over the making of a block.
    private let state: Mutex<State>

    /// Checks the chain in `database`, whole.
    ///
    /// `epochSeconds`: what is asked for; `nil` to take what there is.
    init(
        database: KeeperDatabase,
        directory: String,
        identity: SigningKey,
        epochSeconds: UInt32?,
        logger: Logger
    ) throws(NodeError) {
        self.database = database
        path = directory + "/beacon"
        self.identity = identity
        self.logger = logger
        do {
            self.epochSeconds = try Self.settle(epochSeconds, in: database)
            let newest = try Self.check(database, identity, self.epochSeconds)
            try Self.compare(newest, with: path)
            state = Mutex(State(newest: newest))
        } catch let error as NodeError {
            throw error
        } catch let error as SQLiteError {
            throw NodeError(error)
        } catch let error as DiskError {
            throw NodeError(error)
        } catch {
            throw NodeError(
                .corrupt,
                "the keeper's chain of beacons is damaged: \(error); put a copy back that is not"
                    + " older, or begin with a new keeper in another directory"
            )
        }
    }

    /// The newest block, which is of the current epoch; made now if there is none.
    ///
    /// If the clock is behind the newest block's epoch, that block is given.
    func current(now: Timestamp) throws -> BeaconBlock {
        let epoch = min(BeaconBlock.epoch(at: now, seconds: epochSeconds), Self.epochMax)
        return try state.withLock { state in
            if state.isDoubtful {
                state.newest = try Self.newest(in: database)
                state.isDoubtful = false
            }
            if let newest = state.newest, newest.epoch >= epoch {
                if newest.epoch > epoch, state.warnedOf != newest.epoch {
                    state.warnedOf = newest.epoch
                    logger.warning(
                        """
                        the clock is behind the newest beacon, of epoch \(newest.epoch.rawValue); \
                        there is none before that epoch is over
                        """
                    )
                }
                return newest
            }
            let block = try BeaconBlock.next(
                after: state.newest,
                epoch: epoch,
                epochSeconds: epochSeconds,
                signedBy: identity
            )
            state.isDoubtful = true
            try database.withLock { database in
                try database.execute(
                    "INSERT INTO beacons VALUES (?, ?)",
                    .integer(Int64(epoch.rawValue)),
                    .blob(block.encoded)
                )
            }
            try WholeFile.replace(path, with: block.encoded)
            state.newest = block
            state.isDoubtful = false
            return block
        }
    }

    /// Blocks from an epoch on, ascending; for `Epoch(.max)` the newest ones.
    func blocks(_ query: FetchBeacons, now: Timestamp) throws -> [BeaconBlock] {
        _ = try current(now: now)
        let limit = Value.integer(Int64(query.count))
        let rows = try database.withLock { database -> [[UInt8]] in
            if query.from == Epoch(.max) {
                return try database.query(
                    "SELECT block FROM beacons ORDER BY epoch DESC LIMIT ?",
                    limit
                ) { $0.blob(0) }.reversed()
            }
            return try database.query(
                "SELECT block FROM beacons WHERE epoch >= ? ORDER BY epoch LIMIT ?",
                .integer(Int64(min(query.from, Self.epochMax).rawValue)),
                limit
            ) { $0.blob(0) }
        }
        return try rows.map { try BeaconBlock(decoding: $0) }
    }

    private static func newest(in database: KeeperDatabase) throws -> BeaconBlock? {
        try database.withLock { database in
            try database.query("SELECT block FROM beacons ORDER BY epoch DESC LIMIT 1") {
                $0.blob(0)
            }
        }.first.map { try BeaconBlock(decoding: $0) }
    }

    // MARK: Checks at the start

    private static func settle(
        _ wanted: UInt32?,
        in database: KeeperDatabase
    ) throws -> UInt32 {
        let bounds = KeeperConfiguration.epochSecondsBounds
        if let wanted, !bounds.contains(wanted) {
            throw NodeError(
                "an epoch has \(bounds.lowerBound) to \(bounds.upperBound) seconds, not \(wanted)"
            )
        }
        return try database.transaction { database in
            let stored = try database.value(
                "SELECT value FROM settings WHERE name = 'epoch_seconds'"
            )
            guard case .integer(let number)? = stored else {
                let seconds = wanted ?? KeeperConfiguration.epochSecondsUsual
                try database.execute(
                    "INSERT INTO settings VALUES ('epoch_seconds', ?)",
                    .integer(Int64(seconds))
                )
                return seconds
            }
            guard let seconds = UInt32(exactly: number), bounds.contains(seconds) else {
                throw DecodeError.corrupt("length of an epoch")
            }
            if let wanted, wanted != seconds {
                throw NodeError(
                    "this keeper's epochs are \(seconds) s long, which cannot be changed to"
                        + " \(wanted) s; start it with \(seconds) s, or another keeper"
                )
            }
            return seconds
        }
    }

    /// Every block links to the one before by its hash, so one signature vouches for all.
    private static func check(
        _ database: KeeperDatabase,
        _ identity: SigningKey,
        _ epochSeconds: UInt32
    ) throws -> BeaconBlock? {
        var newest: BeaconBlock?
        var fault: DecodeError?
        let query = "SELECT epoch, block FROM beacons ORDER BY epoch"
        _ = try database.withLock { database in
            try database.query(query) { row in
                guard fault == nil else { return }
                do throws(DecodeError) {
                    let block = try BeaconBlock(decoding: row.blob(1))
                    let isLinked =
                        UInt64(exactly: row.integer(0)) == block.epoch.rawValue
                        && block.keeperKey == identity.publicKey
                        && block.epochSeconds == epochSeconds
                        && block.previous == newest?.hash ?? .noBlock
                    guard isLinked else {
                        throw .corrupt("block of epoch \(block.epoch.rawValue)")
                    }
                    newest = block
                } catch {
                    fault = error
                }
            }
        }
        if let fault { throw fault }
        if let newest, !newest.isSignatureValid {
            throw DecodeError.corrupt("signature of epoch \(newest.epoch.rawValue)")
        }
        return newest
    }

    /// The file may be one block behind, after a crash between the two; then it is made anew.
    private static func compare(_ newest: BeaconBlock?, with path: String) throws {
        let kept =
            WholeFile.exists(path)
            ? try BeaconBlock(decoding: WholeFile.read(path, limit: fileBytesMax)) : nil
        if let kept {
            guard let newest, kept.epoch < newest.epoch || kept == newest else {
                throw DecodeError.corrupt(
                    "database, which lacks the block of epoch \(kept.epoch.rawValue),"
                )
            }
        }
        if let newest, kept != newest { try WholeFile.replace(path, with: newest.encoded) }
    }
}

extension Digest {
    /// What the first block has for the hash of one before.
    fileprivate static let noBlock: Digest = {
        guard let digest = Digest(bytes: Array(repeating: 0, count: byteCount)) else {
            preconditionFailure("a digest has 32 bytes")
        }
        return digest
    }()
}
