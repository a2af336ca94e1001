import Auditor
import Disk
import Logging
import Metadata
import Network
import Primitives
import Sealing
import Transport

/// Until when providers keep the volume's shards, as far as this host knows: what was asked for to
/// keep snapshots, and what providers refused to delete.
final class ShardRetention: Sendable {
    /// How long a provider is left alone that retains a shard whose time is over here: its clock is
    /// behind.
    private static let behindSeconds: Int64 = 10

    let book: RetentionBook
    private let owner: NodeID
    private let network: any StorageNetwork
    private let logger: Logger

    init(
        _ custody: VolumeConfiguration.Custody,
        network: any StorageNetwork,
        logger: Logger
    ) throws(FileSystemError) {
        owner = custody.owner.publicKey.nodeID
        self.network = network
        self.logger = logger
        do throws(CustodyError) {
            book = try RetentionBook(path: custody.retentionPath, logger: logger)
        } catch {
            throw FileSystemError(.inputOutput, error.message)
        }
    }

    /// Runs what uses the book.
    func withBook<T>(
        _ body: (RetentionBook) throws(CustodyError) -> T
    ) throws(FileSystemError) -> T {
        do throws(CustodyError) {
            return try body(book)
        } catch {
            throw FileSystemError(.inputOutput, error.message)
        }
    }

    /// Asks a provider to keep shards until a time, in seconds since 1970; 0 only asks.
    func ask(
        _ shards: [ShardID],
        at provider: NodeID,
        until: Int64
    ) -> Pending<RetainedShards> {
        network.ask(RetainShards(owner: owner, until: until, shards: shards), of: provider)
    }

    // MARK: What is to be deleted

    /// Those that no provider is known to retain.
    func due(_ dead: [DeadShard]) throws(FileSystemError) -> [DeadShard] {
        let now = Clock.now().seconds
        let copies = dead.map { Copy(shard: $0.record.shard, provider: $0.record.provider) }
        let times = try withBook { (book) throws(CustodyError) in try book.held(copies) }
        return zip(dead, times).filter { $1 <= now }.map(\.0)
    }

    func held() throws(FileSystemError) -> RetentionBook.Held {
        try withBook { (book) throws(CustodyError) in
            try book.held(after: Clock.now().seconds)
        }
    }

    /// A provider refused to delete one or more of these, all of its own: finds out until when.
    func noteRefusal(of shards: [DeadShard]) {
        guard let provider = shards.first?.record.provider else { return }
        let ids = shards.map(\.record.shard)
        do {
            let answer = try ask(ids, at: provider, until: 0).wait(for: RetainShards.timeout)
            guard answer.times.count == ids.count else { return }
            let soon = Clock.now().seconds + Self.behindSeconds
            let held = zip(ids, answer.times).filter { $1 > 0 }
            try book.hold(held.map { (shard: $0, until: max($1, soon)) }, at: provider)
            logger.info(
                "provider \(provider.short) retains \(held.count) shards that nothing needs here"
            )
        } catch {
            logger.debug("until when provider \(provider.short) keeps shards: \(error)")
        }
    }
}
