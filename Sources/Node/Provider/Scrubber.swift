import Disk
import Logging
import Primitives
import Synchronization
import Transport
import Network

/// Rereads the whole store again and again at a low rate, so that rot is found before an auditor
/// or a reader meets it.
final class Scrubber: Sendable {
    /// The whole store in about this time, within the two rates below.
    private static let passSeconds: UInt64 = 30 * 24 * 3600
    /// A small store is reread sooner, for it costs next to nothing.
    private static let bytesPerSecondMin: UInt64 = 1 << 20
    /// A hard disk reads ten times as much; the owners' reads come first.
    private static let bytesPerSecondMax: UInt64 = 20 << 20
    /// Read at once, and then paused for.
    static let stepChunks = 16
    /// What one read of a disk costs others at least, as bytes: the head moves.
    private static let bytesPerReadMin: UInt64 = 64 << 10
    /// Shards looked up at once.
    private static let batch = 64
    /// Entries of orders compared with the index at once, under the lock of the orders.
    private static let entriesBatch = 1024
    /// How often the position is written down; so much is read twice after a crash.
    private static let saveInterval = Duration.seconds(60)
    /// Between two passes over a store that is empty or nearly so.
    private static let pauseBetweenPasses = Duration.seconds(3600)

    private let store: ShardStore
    private let orders: ProviderOrders
    private let configuredBytesPerSecond: UInt64?
    private let logger: Logger
    private let position: ScrubPosition
    private let isStopping = Condition(false)
    private let thread = Mutex<Disk.Thread?>(nil)
    private let scrubbed = Atomic<UInt64>(0)

    init(
        store: ShardStore,
        orders: ProviderOrders,
        bytesPerSecond: UInt64?,
        logger: Logger
    ) throws(DiskError) {
        self.store = store
        self.orders = orders
        configuredBytesPerSecond = bytesPerSecond
        self.logger = logger
        position = ScrubPosition(directory: store.directory)
        let thread = try Disk.Thread.spawn("scrub") {
            Disk.Thread.lowerPriority()
            self.run()
        }
        self.thread.withLock { $0 = thread }
    }

    /// Bytes reread since the start.
    var scrubbedBytes: UInt64 { scrubbed.load(ordering: .relaxed) }

    func stop() {
        isStopping.update { $0 = true }
        thread.withLock { thread in
            defer { thread = nil }
            return thread
        }?.join()
    }

    /// Bytes a second, of what is stored now.
    private var bytesPerSecond: UInt64 {
        if let configuredBytesPerSecond { return max(1, configuredBytesPerSecond) }
        let rate = store.status.usedBytes / Self.passSeconds
        return min(max(rate, Self.bytesPerSecondMin), Self.bytesPerSecondMax)
    }

    private func run() {
        while true {
            do {
                try pass()
            } catch {
                logger.error("the scrub stopped: \(error); it goes on in an hour")
            }
            if pause(Self.pauseBetweenPasses) { return }
        }
    }

    /// - Returns: `true` if it is time to stop.
    private func pause(_ duration: Duration) -> Bool {
        isStopping.wait(for: duration) { $0 ? true : nil } ?? false
    }

    private func pass() throws {
        try compareWithOrders()
        try lookAtDamage()
        var after = position.load()
        var lastSaved = Clock.monotonic()
        defer { position.save(after) }
        while true {
            let shards = try store.shards(after: after, limit: Self.batch)
            for shard in shards {
                guard try scrub(shard) else { return }
                after = shard
                if Clock.monotonic() - lastSaved > Self.saveInterval {
                    position.save(after)
                    lastSaved = Clock.monotonic()
                }
            }
            if shards.count < Self.batch { break }
        }
        after = nil
        logger.info("scrub: the store was read to its end, \(store.damaged.count) shards damaged")
    }

    /// - Returns: `false` if it is time to stop.
    private func scrub(_ shard: ShardID) throws -> Bool {
        guard var read = try store.beginScrub(of: shard) else { return true }
        while let bytes = try store.continueScrub(&read) {
            scrubbed.add(UInt64(bytes), ordering: .relaxed)
            let cost = max(UInt64(bytes), Self.bytesPerReadMin)
            let nanoseconds = cost * 1_000_000_000 / bytesPerSecond
            if pause(.nanoseconds(Int64(clamping: nanoseconds))) { return false }
        }
        return true
    }

    /// Shards known as damaged may be whole again: a disk was put back, or nobody wants them.
    private func lookAtDamage() throws {
        for shard in store.damaged {
            let isHere = try store.locate(shard) != nil
            if isHere {
                guard try scrub(shard) else { return }
            } else if try !orders.isHeld(shard) {
                try store.damage.forget(shard)
            }
        }
    }

    /// An index made again of what is left of the segments knows nothing of what is lost.
    private func compareWithOrders() throws {
        for order in orders.ids {
            var position: Int? = 0
            while let from = position {
                position = try orders.noteMissing(
                    in: order,
                    from: from,
                    limit: Self.entriesBatch
                )
                // Lets requests in between.
                if pause(.milliseconds(1)) { return }
            }
        }
    }
}

/// Where the scrub is: the file `DIR/scrub`, the last shard that was reread.
struct ScrubPosition: Sendable {
    private let path: String

    init(directory: String) { path = directory + "/scrub" }

    /// `nil` at the beginning, and if the file is none.
    func load() -> ShardID? {
        guard let bytes = try? WholeFile.read(path, limit: 256) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        return ShardID(hex: String(text.prefix { !$0.isWhitespace }))
    }

    /// If it fails, the next start reads more twice.
    func save(_ shard: ShardID?) {
        guard let shard else { return (try? WholeFile.remove(path)) ?? () }
        try? WholeFile.replace(path, with: Array("\(shard.hex)\n".utf8))
    }
}
