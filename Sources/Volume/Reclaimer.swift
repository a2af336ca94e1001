import Auditor
import Cache
import Disk
import Logging
import Metadata
import Network
import Primitives
import Synchronization
import Transport

/// Gives space back: cache files and rows of inodes without a name, shards of dead stripes, and
/// stripes of which little is still alive.
///
/// Whatever destroys bytes comes after the metadata that no longer names them is durable.
final class Reclaimer: Sendable {
    /// Inodes reaped under one commit.
    private static let reapBatch = 256
    /// How long an inode waits for others to be reaped with: mostly many files are removed one
    /// after the other, and each commit of its own costs more than an inode.
    private static let reapDelay: Duration = .milliseconds(20)
    /// How often providers are asked to delete, and sparse stripes are looked for, while there are
    /// any or the volume is in use.
    private static let tick: Duration = .seconds(2)
    /// How often otherwise; only a bound, since nothing is found where nothing has changed.
    private static let idleTick: Duration = .seconds(60)
    /// How often it is looked whether this machine is the writer by now.
    private static let uninvitedTick: Duration = .seconds(10)
    /// Stripes given up in one turn that only older heads needed.
    private static let releasedBatch = 256
    /// Shards deleted in one turn.
    private static let shardBatch = 1024
    /// A stripe with less than this share alive is written anew: moving one live byte then frees
    /// at least two dead ones.
    private static let sparseBelow = 1.0 / 3
    /// Stripes written anew in one turn; bounds what this costs the foreground.
    private static let sparseBatch = 2
    /// How long a provider may take to delete.
    private static let patience: Duration = .seconds(10)

    /// No stripe is written anew for so long after everything was asked to be placed: who asks
    /// is about to look, or to unmount, and should find nothing dirty of our making.
    private static let restAfterDrain: Duration = .seconds(10)

    /// What the thread that reaps waits for.
    private struct Reaping {
        var isStopping = false
        var waiting: [InodeNumber] = []
    }

    /// What the thread that collects shards waits for.
    private struct Collecting {
        var isStopping = false
        /// Not before this (monotonic) are stripes written anew.
        var restUntil: Duration = .zero
    }

    private let metadata: MetadataStore
    private let cache: CacheStore
    private let contents: ContentTable
    private let network: any StorageNetwork
    private let fetcher: Fetcher
    private let custody: VolumeCustody?
    private let retention: ShardRetention?
    private let mayPublish: @Sendable () -> Bool
    private let logger: Logger
    private let reaping = Condition(Reaping())
    private let collecting = Condition(Collecting())
    private let threads = Mutex<[Thread]>([])

    init(
        metadata: MetadataStore,
        cache: CacheStore,
        contents: ContentTable,
        network: any StorageNetwork,
        fetcher: Fetcher,
        custody: VolumeCustody?,
        retention: ShardRetention?,
        mayPublish: @escaping @Sendable () -> Bool,
        logger: Logger
    ) {
        self.metadata = metadata
        self.cache = cache
        self.contents = contents
        self.network = network
        self.fetcher = fetcher
        self.custody = custody
        self.retention = retention
        self.mayPublish = mayPublish
        self.logger = logger
    }

    func start() throws(FileSystemError) {
        do {
            let reaper = try Thread.spawn("reap") { [self] in reapLoop() }
            let collector = try Thread.spawn("collect") { [self] in collectLoop() }
            threads.withLock { $0 = [reaper, collector] }
        } catch {
            throw FileSystemError(.inputOutput, error.description)
        }
    }

    /// Ends the threads; what waits to be reaped is reaped first.
    func stop() {
        reaping.update { $0.isStopping = true }
        collecting.update { $0.isStopping = true }
        metadata.wakeWaiters()
        for thread in threads.withLock({ $0 }) { thread.join() }
    }

    /// Frees all of an inode that has neither name nor user.
    ///
    /// Returns at once; an inode that a crash keeps from being reaped is an orphan in the metadata,
    /// and reaped at the next start.
    func reap(_ ino: InodeNumber) {
        let count = reaping.withLock { reaping in
            reaping.waiting.append(ino)
            return reaping.waiting.count
        }
        // In between the thread waits for the rest of a batch, or for the clock.
        if count == 1 || count == Self.reapBatch { reaping.update { _ in } }
    }

    /// Keeps stripes from being written anew for a while.
    func rest() {
        collecting.withLock { $0.restUntil = Clock.monotonic() + Self.restAfterDrain }
    }

    // MARK: Inodes

    private func reapLoop() {
        while true {
            reaping.wait { !$0.waiting.isEmpty || $0.isStopping ? () : nil }
            _ = reaping.wait(for: Self.reapDelay) { state -> Void? in
                state.waiting.count >= Self.reapBatch || state.isStopping ? () : nil
            }
            let batch = reaping.withLock { state in
                let batch = Array(state.waiting.prefix(Self.reapBatch))
                state.waiting.removeFirst(batch.count)
                return batch
            }
            if batch.isEmpty { return }
            do throws(FileSystemError) {
                try reap(batch)
            } catch {
                logger.error("unlinked files wait for the next start: \(error.message)")
            }
        }
    }

    private func reap(_ batch: [InodeNumber]) throws(FileSystemError) {
        var mustSync = false
        var files: [InodeNumber] = []
        for ino in batch {
            let kind = try metadata.attributesIfPresent(of: ino)?.kind ?? .regular
            guard kind == .regular else {
                // It never had bytes, and nothing else of it is destroyed.
                try metadata.reap(ino)
                continue
            }
            files.append(ino)
            let content = contents.content(of: ino)
            content.state.write { state in
                mustSync =
                    mustSync || state.holdsAcknowledged || state.mayBeTrustedAgain
                    || !state.isLoaded
                state.isReaped = true
                state.blocks = [:]
                state.isLoaded = true
            }
            try metadata.reap(ino)
        }
        if mustSync { try metadata.sync() } else { try metadata.commit() }
        DurableStep.note(.metadataForgot)
        for ino in files {
            try cache.remove(ino)
            contents.remove(ino)
        }
    }

    // MARK: Shards

    private func collectLoop() {
        while true {
            let isStopping =
                collecting.wait(for: Self.tick) { $0.isStopping ? true : nil } ?? false
            if isStopping { return }
            let seen = metadata.changeCount
            guard mayPublish() else {
                // Of what another machine's heads may name nothing is deleted.
                _ = collecting.wait(for: Self.uninvitedTick) { [mayPublish] state -> Void? in
                    state.isStopping || mayPublish() ? () : nil
                }
                continue
            }
            var isAllDone = false
            do throws(FileSystemError) {
                let isAllDeleted = try deleteDeadShards()
                isAllDone = try rewriteSparseStripes() && isAllDeleted
            } catch {
                logger.warning("space is not given back yet: \(error.message)")
            }
            guard isAllDone else { continue }
            metadata.waitForChange(after: seen, for: Self.idleTick) {
                collecting.withLock { $0.isStopping }
            }
        }
    }

    /// - Returns: Whether there were none.
    private func deleteDeadShards() throws(FileSystemError) -> Bool {
        let released = try metadata.collectReleased(limit: Self.releasedBatch)
        let dead = try dueShards()
        guard !dead.isEmpty else { return released == 0 }
        DurableStep.note(.stripeDead)
        let byProvider = release(Dictionary(grouping: dead, by: \.record.provider))
        let requests = byProvider.map { provider, shards in
            (shards, network.delete(shards.map(\.record.shard), from: provider))
        }
        for (shards, request) in requests {
            do throws(NetworkError) {
                try request.wait(for: Self.patience)
                DurableStep.note(.shardsDeleted)
            } catch {
                logger.debug("shards stay until their provider answers: \(error.message)")
                if error.code == .retained { retention?.noteRefusal(of: shards) }
                continue
            }
            try metadata.forgetShards(shards)
        }
        try metadata.commit()
        DurableStep.note(.stripeForgotten)
        return false
    }

    /// Dead shards but those that their providers retain still.
    ///
    /// - Returns: Some, or none if all that there are wait for their time.
    private func dueShards() throws(FileSystemError) -> [DeadShard] {
        var first: DeadShard?
        while true {
            let page = try metadata.deadShards(limit: Self.shardBatch)
            guard let start = page.first, let retention else { return page }
            // Pages begin anew after the last.
            guard start != first else { return [] }
            first = first ?? start
            let due = try retention.due(page)
            guard due.isEmpty, page.count == Self.shardBatch else { return due }
        }
    }

    /// How many dead shards their providers retain, and until when; `nil` if no provider was asked.
    func retained() throws(FileSystemError) -> RetentionBook.Held? { try retention?.held() }

    /// Takes shards out of the orders that they are under; what is left of them can be deleted.
    ///
    /// Providers that are known to be away are not waited for.
    private func release(_ dead: [NodeID: [DeadShard]]) -> [NodeID: [DeadShard]] {
        guard let custody else { return dead }
        let away = (try? network.providers())?.filter { !$0.isUp }.map(\.id) ?? []
        var released: [NodeID: [DeadShard]] = [:]
        for (provider, shards) in dead where !away.contains(provider) {
            do throws(NetworkError) {
                try custody.release(shards, from: provider)
                released[provider] = shards
            } catch {
                logger.debug("shards stay under order with \(provider.short): \(error)")
                if error.code == .retained { retention?.noteRefusal(of: shards) }
            }
        }
        return released
    }

    /// Makes the live blocks of mostly dead stripes dirty, so that they move to new ones.
    ///
    /// - Returns: Whether there were none.
    private func rewriteSparseStripes() throws(FileSystemError) -> Bool {
        guard Clock.monotonic() >= collecting.withLock({ $0.restUntil }) else { return false }
        return try rewriteStripes(liveBelow: Self.sparseBelow, limit: Self.sparseBatch) == 0
    }

    /// Makes the live blocks of stripes dirty of which less than a share is alive, the emptiest
    /// first.
    ///
    /// - Returns: How many blocks there were.
    func rewriteStripes(liveBelow share: Double, limit: Int) throws(FileSystemError) -> Int {
        var count = 0
        for stripe in try metadata.sparseStripes(liveBelow: share, limit: limit) {
            for key in try metadata.blocks(in: stripe) {
                count += 1
                try rewrite(key.index, of: key.ino, in: stripe)
            }
        }
        return count
    }

    /// Looks again whether this machine is the writer.
    func noteWriter() { collecting.update { _ in } }

    /// Does at once what is otherwise done every two seconds: gives stripes up and has shards
    /// deleted.
    func collectNow() throws(FileSystemError) {
        guard mayPublish() else { throw FileSystemError.notWriter }
        _ = try deleteDeadShards()
    }

    private func rewrite(
        _ index: BlockIndex,
        of ino: InodeNumber,
        in stripe: StripeID
    ) throws(FileSystemError) {
        let content = contents.content(of: ino)
        try content.load(from: metadata, cachePath: cache.path(of: content.ino))
        try fetcher.fetch([FetchRequest(index: index, segments: .all)], of: content)
        try content.state.write { state throws(FileSystemError) in
            guard !state.isReaped, var block = state.blocks[index.rawValue],
                block.dirtySince == nil, block.location?.stripe == stripe,
                block.missing(.all).isEmpty
            else { return }
            block.dirtySince = try metadata.markDirty(
                ino,
                index,
                since: Clock.now(),
                resident: 0
            )
            block.snapshotTaken = false
            block.resident = .all
            block.version += 1
            state.blocks[index.rawValue] = block
        }
    }
}
