import CLinux
import Control
import Disk
import Glibc
import Sealing

/// A mount process in the background: this program again, in a session of its own.
///
/// Swift's runtime does not survive fork(2); so the process is started afresh, and tells through a
/// pipe when it is mounted. A passphrase goes to it on its standard input, another pipe.
struct BackgroundMount {
    /// The argument that makes this program a mount process; the pipe's descriptor follows it.
    static let readyArgument = "--ready-fd="
    /// The pipe's descriptor in the mount process.
    private static let readyFD: Int32 = 3
    /// The longest message of a mount process.
    private static let messageBytesMax = 64 << 10
    /// POSIX_SPAWN_SETSID of <spawn.h>, which Swift does not see without _GNU_SOURCE.
    private static let newSession: Int32 = 0x80

    /// Starts the process and returns when the volume is mounted at `directory`, a resolved path.
    ///
    /// - Throws: what kept it from mounting.
    static func start(
        _ arguments: [String],
        passphrase: Passphrase?,
        at directory: String,
        note: (String) -> Void
    ) throws(ControlFailure) {
        let process: (pid: pid_t, reading: Descriptor)
        do throws(DiskError) {
            process = try launch(arguments, passphrase)
        } catch {
            throw ControlFailure(error)
        }
        try listen(process.reading, pid: process.pid, note: note)
        // The first request that is not the process's own.
        var status = stat()
        guard stat(directory, &status) == 0 else {
            throw ControlFailure(
                .failed,
                "mounted, but \(directory) does not answer: \(DiskError.reason(of: errno))"
            )
        }
    }

    /// In the mount process: what was handed to it on standard input, which is empty after.
    static func receivePassphrase() throws(ControlFailure) -> Passphrase? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Passphrase.bytesMax + 1)
        defer { SecretBytes.wipe(&bytes) }
        while bytes.count <= Passphrase.bytesMax {
            var byte: UInt8 = 0
            let count = read(STDIN_FILENO, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1 else { break }
            bytes.append(byte)
        }
        guard !bytes.isEmpty else { return nil }
        guard let passphrase = Passphrase(bytes: bytes) else {
            throw ControlFailure(.usage, "the passphrase has over \(Passphrase.bytesMax) bytes")
        }
        return passphrase
    }

    /// Only the process keeps the first pipe's write end, or its death would never show.
    private static func launch(
        _ arguments: [String],
        _ passphrase: Passphrase?
    ) throws(DiskError) -> (pid: pid_t, reading: Descriptor) {
        let pipe = try Pipe()
        let input = try Pipe()
        if let passphrase {
            // A pipe holds more than the longest one, so nobody waits for the process here.
            var bytes = passphrase.copy()
            defer { SecretBytes.wipe(&bytes) }
            try input.writing.append(bytes)
        }
        let pid = try spawn(arguments, telling: pipe.writing.fd, reading: input.reading.fd)
        return withExtendedLifetime((pipe, input)) { (pid, pipe.reading) }
    }

    private static func spawn(
        _ arguments: [String],
        telling fd: Int32,
        reading inputFD: Int32
    ) throws(DiskError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // First, for it may have the number that the next line takes.
        posix_spawn_file_actions_adddup2(&actions, inputFD, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, fd, readyFD)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        // What the caller had open must not stay open for as long as the volume is mounted.
        clinux_spawn_close_from(&actions, readyFD + 1)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        let flags = newSession | Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF)
        posix_spawnattr_setflags(&attributes, Int16(flags))

        let program = try Host.executablePath()
        let words = ["mount.mefs", "\(readyArgument)\(readyFD)"] + arguments
        var argv = words.map { strdup($0) } + [nil]
        defer { for word in argv { free(word) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, program, &actions, &attributes, &argv, environ)
        guard code == 0 else { throw DiskError("start", program, errno: code) }
        return pid
    }

    private static func listen(
        _ reading: Descriptor,
        pid: pid_t,
        note: (String) -> Void
    ) throws(ControlFailure) {
        var bytes: [UInt8] = []
        while let line = nextLine(of: reading, &bytes) {
            switch Readiness.Message(parsing: line) {
            case .note(let text): note(text)
            case .ready: return
            case .failed(let failure): throw failure
            case nil: break
            }
        }
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        let signal = status & 0x7f
        throw ControlFailure(
            .failed,
            signal == 0
                ? "the mount process ended before it was mounted"
                : "the mount process was killed by signal \(signal) before it was mounted"
        )
    }

    /// The next line without its end; `nil` at the end of the pipe.
    private static func nextLine(of reading: Descriptor, _ bytes: inout [UInt8]) -> String? {
        while true {
            if let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
                defer { bytes.removeFirst(end + 1) }
                return String(decoding: bytes[..<end], as: UTF8.self)
            }
            guard bytes.count < messageBytesMax else { return nil }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = read(reading.fd, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return nil }
            bytes.append(contentsOf: buffer[..<count])
        }
    }
}
