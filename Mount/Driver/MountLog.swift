package import Logging
import Disk
import Glibc
import Synchronization

/// Where a mount process writes what happens: a file of bounded size, or standard error.
package final class MountLog: Sendable {
    /// A file that has grown to so many bytes is renamed to NAME.1, replacing the one before, so
    /// that a log and its predecessor take 16 MiB at most.
    package static let fileBytesMax: UInt64 = 8 << 20

    private struct State {
        var fd: Int32
        /// `nil` for standard error.
        var path: String?
    }

    private let state: Mutex<State>
    private let fileBytesMax: UInt64

    /// Writes to standard error.
    package init() {
        state = Mutex(State(fd: STDERR_FILENO, path: nil))
        fileBytesMax = .max
    }

    /// Appends to the file at `path`, which becomes standard output and error too: libfuse and
    /// the Swift runtime write there.
    package init(path: String, fileBytesMax: UInt64 = MountLog.fileBytesMax) {
        state = Mutex(State(fd: STDERR_FILENO, path: path))
        self.fileBytesMax = fileBytesMax
        Self.redirect(to: path)
    }

    /// A logger that writes here.
    package func logger(_ label: String, level: Logger.Level) -> Logger {
        var logger = Logger(label: label) { _ in Handler(log: self) }
        logger.logLevel = level
        return logger
    }

    func write(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        // I/O under the lock: lines of two threads must not mix, nor meet a rotation.
        state.withLock { state in
            rotateIfFull(state)
            _ = Glibc.write(state.fd, bytes, bytes.count)
        }
    }

    private func rotateIfFull(_ state: State) {
        guard let path = state.path else { return }
        var status = stat()
        guard fstat(state.fd, &status) == 0, UInt64(max(0, status.st_size)) >= fileBytesMax else {
            return
        }
        rename(path, path + ".1")
        Self.redirect(to: path)
    }

    /// Makes the file standard output and error; without it they stay what they are.
    private static func redirect(to path: String) {
        let fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard fd >= 0 else { return }
        dup2(fd, STDOUT_FILENO)
        dup2(fd, STDERR_FILENO)
        close(fd)
    }

    private struct Handler: LogHandler {
        let log: MountLog
        var logLevel = Logger.Level.info
        var metadata: Logger.Metadata = [:]

        init(log: MountLog) { self.log = log }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let all = metadata.merging(event.metadata ?? [:]) { $1 }
            let details = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
            // One line each, whatever a message holds.
            let text = "\(event.message)\(details)".replacing("\n", with: " ")
            log.write("\(UTCTime.now()) \(event.level) \(text)")
        }
    }
}

/// Points in time for people: "2026-01-31T23:59:59Z".
private enum UTCTime {
    static func now() -> String {
        var seconds = time(nil)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let date = "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
        return "\(date)T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
    }

    private static func two(_ number: Int32) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }
}
