import Disk
import Logging
import Primitives
import Synchronization

/// What a keeper does unasked, on a thread of its own: beacons when epochs begin, silence of
/// providers, writing down what is in memory.
final class KeeperRounds: Sendable {
    /// A round begins within a sixtieth of an epoch of the last one, but not more often than once
    /// a second, and at least every ten.
    private static let intervals = 1.0...10.0
    private static let roundsInEpoch = 60.0
    /// Seconds after which silence is noted, and memory written down.
    private static let silenceInterval = 10.0
    private static let writingInterval = 60.0

    private let services: KeeperServices
    private let logger: Logger
    private let isStopping = Condition(false)
    private let thread = Mutex<Disk.Thread?>(nil)

    init(services: KeeperServices, logger: Logger) {
        self.services = services
        self.logger = logger
    }

    func start() throws(NodeError) {
        do throws(DiskError) {
            let thread = try Disk.Thread.spawn("keeper-rounds") { [self] in run() }
            self.thread.withLock { $0 = thread }
        } catch {
            throw NodeError(error)
        }
    }

    /// Ends the rounds.
    ///
    /// Blocks.
    func stop() {
        isStopping.update { $0 = true }
        thread.withLock { thread in
            defer { thread = nil }
            return thread
        }?.join()
    }

    private func run() {
        var failure = ""
        let wanted = Double(services.beacons.epochSeconds) / Self.roundsInEpoch
        let interval = min(max(wanted, Self.intervals.lowerBound), Self.intervals.upperBound)
        var due = Due()
        while isStopping.wait(for: .seconds(interval), until: { $0 ? true : nil }) == nil {
            do {
                try go(&due)
                failure = ""
            } catch {
                // Tried again in the next round; told when it is news.
                if failure != "\(error)" { logger.error("the keeper cannot go on: \(error)") }
                failure = "\(error)"
            }
        }
    }

    /// When things are due that not every round does, by the monotonic clock.
    private struct Due {
        var silence = Clock.monotonic() + .seconds(silenceInterval)
        var writing = Clock.monotonic() + .seconds(writingInterval)
    }

    private func go(_ due: inout Due) throws {
        let now = services.now()
        _ = try services.beacons.current(now: now)
        let time = Clock.monotonic()
        if time >= due.silence {
            due.silence = time + .seconds(Self.silenceInterval)
            services.state.noteSilence(now: now)
        }
        if time >= due.writing {
            due.writing = time + .seconds(Self.writingInterval)
            services.state.flush(now: now)
            try services.delegations.forgetExpired(now: now)
        }
    }
}
