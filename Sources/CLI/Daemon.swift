import Disk
import Glibc
import Logging

/// What the two daemons share: their log, and how they learn that they should end.
struct Daemon {
    let logger: Logger
    private let signals: SignalWaiter
    private let isSupervised: Bool

    /// Prepares the process.
    ///
    /// To be called before anything starts a thread, so that every thread
    /// has the signals blocked that `waitForEnd` waits for.
    init(label: String, supervised: Bool) throws {
        // A supervised daemon shares the terminal's process group with its mount: Ctrl-C there
        // must reach it through the mount only, after the mount has drained.
        if supervised {
            signal(SIGINT, SIG_IGN)
            signal(SIGHUP, SIG_IGN)
        }
        signals = SignalWaiter(supervised ? [SIGTERM] : [SIGTERM, SIGINT, SIGHUP])
        isSupervised = supervised
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        logger = Logger(label: label)
    }

    /// Returns when the process should end: at a signal, or, if supervised, also when standard
    /// input ends, which it does when the process that holds its other end is gone.
    func waitForEnd() throws {
        if isSupervised { try Self.endWithStandardInput() }
        CodePages.release()
        let number = signals.wait()
        logger.info("stopping", metadata: ["signal": "\(number)"])
    }

    private static func endWithStandardInput() throws {
        try Disk.Thread.spawn("stdin") {
            var byte: UInt8 = 0
            while true {
                let count = read(STDIN_FILENO, &byte, 1)
                if count == 0 || (count < 0 && errno != EINTR) { break }
            }
            kill(getpid(), SIGTERM)
        }
    }
}
