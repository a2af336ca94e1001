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
    /// How long after a program could first map a new file the file is made durable: most such
    /// files are temporary ones, and gone by then.
    private static let mappedAge: Duration = .milliseconds(20)

    private struct Asked {
        var mustStop = false
        var hasMapped = false
    }

    private let age: Duration
    private let metadata: MetadataStore
    private let cache: CacheStore
    private let contents: ContentTable
    private let passthrough: PassthroughFiles
    private let logger: Logger
    private let asked = Condition(Asked())
    private let thread = Mutex<Thread?>(nil)

    init(
        configuration: VolumeConfiguration,
        metadata: MetadataStore,
        cache: CacheStore,
        contents: ContentTable,
        passthrough: PassthroughFiles,
        logger: Logger
    ) {
        age = .seconds(configuration.settleSeconds)
        self.metadata = metadata
        self.cache = cache
        self.contents = contents
        self.passthrough = passthrough
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
        asked.update { $0.mustStop = true }
        thread.withLock { $0 }?.join()
    }

    /// Has files made durable soon that a program may map, and whose syncs nobody hears of.
    func noteMapped() {
        guard !asked.withLock({ $0.hasMapped }) else { return }
        asked.update { $0.hasMapped = true }
    }

    private func run() {
        var nextTick = Clock.monotonic() + min(Self.tick, age)
        var seen = metadata.changeCount
        var isTrimmed = true
        while true {
            let asks = asked.wait(for: nextTick - Clock.monotonic()) { asked in
                asked.mustStop || asked.hasMapped ? asked : nil
            }
            if asks?.mustStop ?? false { return }
            do throws(FileSystemError) {
                if asks != nil {
                    let mustStop = asked.wait(for: Self.mappedAge) { $0.mustStop ? true : nil }
                    if mustStop ?? false { return }
                    asked.update { $0.hasMapped = false }
                    if try passthrough.settleMapped() { try metadata.sync() }
                } else {
                    nextTick = Clock.monotonic() + min(Self.tick, age)
                    let hasTended = try passthrough.tend(age: age)
                    let hasSettled = try settle(before: Clock.monotonic() - age)
                    if hasTended || hasSettled { try metadata.sync() }
                    let isQuiet = metadata.changeCount == seen
                    // Once after each time that something was going on.
                    if isQuiet, !isTrimmed { Host.releaseFreedMemory() }
                    isTrimmed = isQuiet
                    seen = metadata.changeCount
                }
            } catch {
                logger.warning("old changes are not safe from a power cut: \(error.message)")
            }
        }
    }

    /// Makes everything so far durable on this host.
    func settleAll() throws(FileSystemError) {
        _ = try settle(before: nil)
        try metadata.sync()
    }

    /// Syncs the files that have changes which wait for it since before `time`, or at all.
    ///
    /// - Returns: Whether there were any.
    private func settle(before time: Duration?) throws(FileSystemError) -> Bool {
        var hasSynced = false
        let dirty = Set(try metadata.dirtyBlocks(limit: .max).map(\.key.ino))
        for ino in dirty.sorted(by: { $0.rawValue < $1.rawValue }) {
            do throws(FileSystemError) {
                if try settle(ino, before: time) { hasSynced = true }
            } catch {
                // Removed meanwhile.
                guard error.code == .notFound else { throw error }
            }
        }
        return hasSynced
    }

    private func settle(
        _ ino: InodeNumber,
        before time: Duration?
    ) throws(FileSystemError) -> Bool {
        let content = contents.content(of: ino)
        try content.load(from: metadata, cachePath: cache.path(of: ino))
        guard content.hasUnsynced else { return false }
        // What this process has not written was there at the start: old enough.
        if let time, let since = content.unsyncedSince, since > time { return false }
        try content.sync(cache, metadata)
        return true
    }
}
