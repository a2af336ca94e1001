import Cache
import Disk
import Logging
import Metadata
import Primitives
import Synchronization

/// Makes changes durable on this host that nobody synced, once they are half a minute old.
///
/// Linux writes old pages back by itself, but that alone promises nothing here: after a power cut a
/// change that no sync has noted is taken back to what is placed. Where providers are out of reach
/// for long, that would be hours of work.
final class Settler: Sendable {
    /// How often it looks for changes of that age.
    static let tick: Duration = .seconds(5)

    private let age: Duration
    private let metadata: MetadataStore
    private let cache: CacheStore
    private let contents: ContentTable
    private let logger: Logger
    private let isStopping = Condition(false)
    private let thread = Mutex<Thread?>(nil)

    init(
        configuration: VolumeConfiguration,
        metadata: MetadataStore,
        cache: CacheStore,
        contents: ContentTable,
        logger: Logger
    ) {
        age = .seconds(configuration.settleSeconds)
        self.metadata = metadata
        self.cache = cache
        self.contents = contents
        self.logger = logger
    }

    func start() throws(FileSystemError) {
        do {
            let started = try Thread.spawn("settle") { [self] in run() }
            thread.withLock { $0 = started }
        } catch {
            throw FileSystemError(.inputOutput, error.description)
        }
    }

    func stop() {
        isStopping.update { $0 = true }
        thread.withLock { $0 }?.join()
    }

    /// The age of a change is told by when its token was first seen, on the clock that nobody sets.
    private func run() {
        var seen: [(at: Duration, newest: Timestamp)] = []
        var settled = Timestamp.epoch
        while true {
            let mustStop =
                isStopping.wait(for: min(Self.tick, age)) { $0 ? true : nil } ?? false
            if mustStop { return }
            let now = Clock.monotonic()
            let newest = metadata.totals.newestToken
            // At most age / tick entries: older ones are used up below.
            if newest > seen.last?.newest ?? settled { seen.append((now, newest)) }
            guard let target = seen.last(where: { now - $0.at >= age })?.newest else { continue }
            do throws(FileSystemError) {
                try settle(after: settled, through: target)
                settled = target
                seen.removeAll { $0.newest <= target }
            } catch {
                logger.warning("old changes are not safe from a power cut: \(error.message)")
            }
        }
    }

    /// Syncs what became dirty after one token and not after another, and still is.
    private func settle(
        after settled: Timestamp,
        through target: Timestamp
    ) throws(FileSystemError) {
        let old = try metadata.dirtyBlocks(limit: .max).filter {
            $0.since > settled && $0.since <= target
        }
        var hasSynced = false
        for ino in Set(old.map(\.key.ino)).sorted(by: { $0.rawValue < $1.rawValue }) {
            let content = contents.content(of: ino)
            try content.load(from: metadata, cachePath: cache.path(of: ino))
            guard content.hasUnsynced else { continue }
            try content.sync(cache, metadata)
            hasSynced = true
        }
        if hasSynced { try metadata.sync() }
    }
}
