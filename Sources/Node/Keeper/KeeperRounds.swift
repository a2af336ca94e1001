import Disk
import Logging
import Primitives
import Synchronization

/// What a keeper does unasked, on a thread of its own: beacons when epochs begin, silence of
/// providers, writing down what is in memory.
final class KeeperRounds: Sendable {
    private static let interval = Duration.seconds(1)
    /// Silence is noted, and memory written down, in every tenth and sixtieth round.
    private static let silenceRounds = 10
    private static let writingRounds = 60

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
        var round = 0
        while isStopping.wait(for: Self.interval, until: { $0 ? true : nil }) == nil {
            round += 1
            do {
                try go(round)
                failure = ""
            } catch {
                // Tried again in the next round; told when it is news.
                if failure != "\(error)" { logger.error("the keeper cannot go on: \(error)") }
                failure = "\(error)"
            }
        }
    }

    private func go(_ round: Int) throws {
        let now = services.now()
        _ = try services.beacons.current(now: now)
        if round.isMultiple(of: Self.silenceRounds) { services.state.noteSilence(now: now) }
        if round.isMultiple(of: Self.writingRounds) {
            services.state.flush(now: now)
            try services.delegations.forgetExpired(now: now)
        }
    }
}
