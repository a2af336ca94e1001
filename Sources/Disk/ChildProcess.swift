import CLinux
import Glibc

/// Another program, started by us and waited for by us.
///
/// Made with `posix_spawn(3)`: no fork of a process that has threads. The child gets default signal
/// handling, no blocked signals and no descriptor of ours but those asked for. It is not killed
/// when this object goes; one that is never waited for stays a zombie until we end.
package final class ChildProcess: Sendable {
    /// What becomes the child's standard input.
    package enum Input: Sendable {
        case null
        /// The read end of a pipe whose other end we keep and never write to.
        ///
        /// The child sees the end of its input when we die, however we die, or at `closeInput`.
        case pipe
    }

    /// What becomes the child's standard output and error.
    package enum Output: Sendable {
        case null
        /// Our own.
        case inherited
        /// Appended to the file, made if missing.
        case file(String)
    }

    /// How a child ended.
    package enum End: Hashable, Sendable, CustomStringConvertible {
        case exited(Int32)
        case signalled(Int32)

        package var description: String {
            switch self {
            case .exited(let code): "exited with status \(code)"
            case .signalled(let signal): "was killed by signal \(signal)"
            }
        }
    }

    private struct State {
        var end: End?
        var input: Descriptor?
    }

    /// The program file.
    package let path: String
    package let pid: Int32
    /// Readable once the child has ended.
    private let process: Descriptor
    private let state: Condition<State>

    /// Starts the program file `path` with `arguments` (the name itself not among them), in our
    /// environment and directory.
    package init(
        _ path: String,
        _ arguments: [String],
        input: Input = .null,
        output: Output = .inherited
    ) throws(DiskError) {
        self.path = path
        let pipe = input == .pipe ? try Pipe() : nil
        let sink: Descriptor? =
            switch output {
            case .null: try Descriptor(opening: "/dev/null", .writeOnly)
            case .inherited: nil
            case .file(let log): try Descriptor(opening: log, .writeOnly, [.create, .append])
            }
        let source = if let pipe { pipe.reading } else { try Descriptor(opening: "/dev/null") }
        pid = try Self.spawn(path, arguments, input: source, output: sink)
        process = Descriptor(
            adopting: try systemCall("watch", path) { [pid] in clinux_open_process(pid) },
            path: path
        )
        state = Condition(State(end: nil, input: pipe?.writing))
    }

    private static func spawn(
        _ path: String,
        _ arguments: [String],
        input: Descriptor,
        output: Descriptor?
    ) throws(DiskError) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input.fd, STDIN_FILENO)
        if let output {
            posix_spawn_file_actions_adddup2(&actions, output.fd, STDOUT_FILENO)
            posix_spawn_file_actions_adddup2(&actions, output.fd, STDERR_FILENO)
        }
        // Libraries open descriptors too, not all of them close-on-exec.
        clinux_spawn_close_from(&actions, 3)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        // A group of its own: ^C at the terminal reaches only us, and we decide what follows.
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var argv = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for argument in argv { free(argument) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, path, &actions, &attributes, &argv, environ)
        guard code == 0 else { throw DiskError("start", path, errno: code) }
        return pid
    }

    /// Closes our end of the child's input, if it is a pipe: the child reads its end.
    package func closeInput() {
        state.withLock { $0.input = nil }
    }

    /// Sends a signal, unless the child has ended and was waited for.
    package func signal(_ signal: Int32) {
        // Under the lock, so that the number cannot be another process's by now.
        state.withLock { state in
            if state.end == nil { kill(pid, signal) }
        }
    }

    /// Waits for the child's end; every call gives the same.
    package func wait() -> End {
        while true {
            if let end = wait(milliseconds: -1) { return end }
        }
    }

    /// Waits for the child's end, `nil` if it still runs after `timeout`.
    package func wait(for timeout: Duration) -> End? {
        let deadline = Clock.monotonic() + timeout
        while true {
            let rest = max(deadline - Clock.monotonic(), .zero)
            // Rounded up, and at most a minute at a time.
            let milliseconds = Int32(min(rest / .milliseconds(1) + 1, 60_000))
            if let end = wait(milliseconds: rest == .zero ? 0 : milliseconds) { return end }
            if rest == .zero { return nil }
        }
    }

    private func wait(milliseconds: Int32) -> End? {
        var watch = pollfd(fd: process.fd, events: Int16(POLLIN), revents: 0)
        // A signal cuts it short; the caller asks again.
        guard poll(&watch, 1, milliseconds) == 1 else { return nil }
        return state.withLock { state in
            if let end = state.end { return end }
            var status: Int32 = 0
            let reaped = waitpid(pid, &status, WNOHANG)
            // Where SIGCHLD is ignored the kernel keeps no status.
            let end = reaped == pid ? Self.end(status) : .exited(-1)
            state.end = end
            state.input = nil
            return end
        }
    }

    /// Takes a wait status apart, as WIFSIGNALED and WEXITSTATUS do.
    private static func end(_ status: Int32) -> End {
        let signal = status & 0x7f
        return signal == 0 ? .exited((status >> 8) & 0xff) : .signalled(signal)
    }
}
