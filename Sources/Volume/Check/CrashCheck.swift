import Disk
import Logging
import Metadata
package import Primitives
import Synchronization

/// Checks the rows of the metadata once in the background, after an unclean stop.
///
/// On a thread of low priority and a connection of its own that only reads; it repairs nothing,
/// and tells the log and `mefs status`. It looks at one state of the database, so the log grows
/// meanwhile and is not begun anew: therefore the bound on time.
package final class CrashCheck: Sendable {
    /// How the check stands.
    package enum State: Hashable, Sendable {
        case running
        /// Looked at everything; what was found, and the first of it.
        case done(at: Timestamp, findings: UInt64, first: String?)
        /// Ended before it had.
        case ended(why: String)

        package var findings: UInt64? {
            if case .done(_, let findings, _) = self { findings } else { nil }
        }

        /// The state for people.
        package var text: String {
            switch self {
            case .running: "the metadata is being checked after an unclean stop"
            case .done(_, 0, _): "nothing wrong in the metadata after an unclean stop"
            case .done(_, let findings, let first):
                "\(findings) findings in the metadata: unmount and run 'mefs fsck'; first: "
                    + (first ?? "")
            case .ended(let why): "the check of the metadata did not end: \(why)"
            }
        }
    }

    /// Seconds that the check may take: a million inodes take ten.
    private static let secondsMax = 120
    /// Memory for pages of the database.
    private static let cacheKiB = 8192
    /// Findings told to the log.
    private static let loggedMax = 10

    private let path: String
    private let logger: Logger
    private let current = Mutex(State.running)
    private let isStopping = Atomic(false)
    private let thread = Mutex<Thread?>(nil)

    init(_ path: String, logger: Logger) {
        self.path = path
        self.logger = logger
    }

    package var state: State { current.withLock { $0 } }

    func start() throws(FileSystemError) {
        do {
            let started = try Thread.spawn("check") { [self] in
                Thread.lowerPriority()
                let state = look()
                current.withLock { $0 = state }
            }
            thread.withLock { $0 = started }
        } catch {
            throw FileSystemError(.inputOutput, error.description)
        }
    }

    /// Ends the check where it is.
    func stop() {
        isStopping.store(true, ordering: .relaxed)
        thread.withLock { $0 }?.join()
    }

    private func look() -> State {
        let end = Clock.monotonic() + .seconds(Self.secondsMax)
        do throws(FileSystemError) {
            var report = CheckReport()
            let check = try MetadataCheck(besideStoreAt: path, cacheKiB: Self.cacheKiB) { [self] in
                isStopping.load(ordering: .relaxed) || Clock.monotonic() > end
            }
            _ = try check.run(into: &report)
            tell(report)
            return .done(
                at: Clock.now(),
                findings: report.findingCount,
                first: report.findings.first?.description
            )
        } catch {
            let isStopped = isStopping.load(ordering: .relaxed)
            let why =
                isStopped
                ? "unmounted"
                : Clock.monotonic() > end
                    ? "it took more than \(Self.secondsMax) s; 'mefs fsck' has no such bound"
                    : error.message
            if !isStopped { logger.warning("the metadata was not checked: \(why)") }
            return .ended(why: why)
        }
    }

    private func tell(_ report: CheckReport) {
        guard !report.isClean else {
            logger.notice("nothing wrong in the metadata after the unclean stop")
            return
        }
        for finding in report.findings.prefix(Self.loggedMax) {
            logger.error("metadata: \(finding)")
        }
        logger.error(
            "\(report.findingCount) findings in the metadata: unmount and run 'mefs fsck'"
        )
    }
}
