package import Disk
package import Logging
import Glibc
import Synchronization

/// A daemon that is kept running: started again whenever it ends, until it is told to stop.
///
/// Its standard input is a pipe from us, and it ends by itself when that closes, so that none is
/// left however this process dies.
package final class SupervisedChild: Sendable {
    /// Before it is started again: doubled from the first to the last each time it ends early.
    private static let firstPause = Duration.milliseconds(200)
    private static let lastPause = Duration.seconds(10)
    /// One that ran so long had started well; its pauses begin anew.
    private static let settledAfter = Duration.seconds(30)
    /// For writing down what it has when told to stop; then it is killed, which it survives.
    private static let stopTimeout = Duration.seconds(10)
    /// A longer log is put aside at the next start, replacing the one before.
    private static let logBytesMax: UInt64 = 1 << 20

    private struct State {
        var process: ChildProcess?
        var isStopping = false
        var starts = 0
        var lastEnd: String?
    }

    package let name: String
    package let logPath: String
    private let program: String
    private let arguments: [String]
    private let logger: Logger
    private let state = Condition(State())
    private let thread = Mutex<Thread?>(nil)

    /// Describes a daemon; `name` is for messages, and what the program writes to its standard
    /// output and error is appended to `logPath`.
    package init(
        name: String,
        program: String,
        arguments: [String],
        logPath: String,
        logger: Logger
    ) {
        self.name = name
        self.program = program
        self.arguments = arguments
        self.logPath = logPath
        self.logger = logger
    }

    /// Process id, or `nil` between two runs.
    package var pid: Int32? { state.withLock { $0.process?.pid } }

    /// How often it was started.
    package var starts: Int { state.withLock { $0.starts } }

    /// How it ended last, with the place to look for why; `nil` if it never did.
    package var lastEnd: String? { state.withLock { $0.lastEnd } }

    /// Starts the thread that keeps it running; once only.
    package func start() throws(DiskError) {
        let runner = try Thread.spawn(name) { [self] in run() }
        thread.withLock { $0 = runner }
    }

    /// Asks it to end, without waiting.
    package func beginStop() {
        let process = state.update { state in
            state.isStopping = true
            return state.process
        }
        process?.closeInput()
    }

    /// Returns when it has ended, killing it if it takes too long.
    package func stop() {
        beginStop()
        let hasEnded = state.wait(for: Self.stopTimeout) { $0.process == nil ? true : nil }
        if hasEnded == nil {
            logger.warning("\(name) did not end in \(Self.stopTimeout) and is killed")
            state.withLock { $0.process }?.signal(SIGKILL)
        }
        thread.withLock { $0 }?.join()
    }

    private func run() {
        var pause = Self.firstPause
        while true {
            let begun = Clock.monotonic()
            let end = runOnce()
            guard let end else { return }
            if Clock.monotonic() - begun >= Self.settledAfter { pause = Self.firstPause }
            logger.warning("\(name) \(end); it is started again in \(pause) (log: \(logPath))")
            if state.wait(for: pause, until: { $0.isStopping ? true : nil }) == true { return }
            pause = min(pause * 2, Self.lastPause)
        }
    }

    /// Runs it to its end and tells how that was; `nil` if it was to stop.
    private func runOnce() -> String? {
        rotateLog()
        let process: ChildProcess
        do throws(DiskError) {
            process = try ChildProcess(program, arguments, input: .pipe, output: .file(logPath))
        } catch {
            return note("could not be started: \(error)")
        }
        let isStopping = state.update { state in
            state.process = process
            state.starts += 1
            return state.isStopping
        }
        if isStopping { process.closeInput() }
        return note(process.wait().description)
    }

    private func note(_ end: String) -> String? {
        state.update { state in
            state.process = nil
            state.lastEnd = "\(end); see \(logPath)"
            return state.isStopping ? nil : end
        }
    }

    private func rotateLog() {
        guard let size = try? Descriptor(opening: logPath).size(), size > Self.logBytesMax else {
            return
        }
        rename(logPath, logPath + ".old")
    }
}
