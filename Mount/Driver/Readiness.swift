import Control
import Disk
import Glibc

/// What a mount process tells who started it, until it is mounted or has failed.
///
/// On a pipe, a line each: "note TEXT", "ready", "failed CODE TEXT". In the foreground, as text on
/// standard error.
struct Readiness: Sendable {
    /// The pipe's write end, or `nil` in the foreground.
    private let fd: Int32?

    init(fd: Int32?) { self.fd = fd }

    func note(_ text: String) {
        if fd == nil { Terminal.error("mount.mefs: \(text)") } else { send("note \(text)") }
    }

    func ready() {
        send("ready")
        if let fd { close(fd) } else { ServiceManager.notify("READY=1") }
    }

    func failed(_ failure: ControlFailure) {
        if fd == nil {
            Terminal.error("mount.mefs: \(failure.message)")
        } else {
            send("failed \(failure.code.rawValue) \(failure.message)")
        }
    }

    private func send(_ line: String) {
        guard let fd else { return }
        let bytes = Array((line.replacing("\n", with: " ") + "\n").utf8)
        // Nobody listening is no reason to stop.
        _ = write(fd, bytes, bytes.count)
    }

    /// What one line says.
    enum Message: Hashable, Sendable {
        case note(String)
        case ready
        case failed(ControlFailure)

        /// `nil` for a line that no mount process writes.
        init?(parsing line: String) {
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            switch (parts.first, parts.count) {
            case ("ready", 1): self = .ready
            case ("note", 2): self = .note(parts[1])
            case ("failed", 2):
                let rest = parts[1].split(separator: " ", maxSplits: 1).map(String.init)
                guard rest.count == 2, let number = Int32(rest[0]) else { return nil }
                self = .failed(ControlFailure(ExitCode(rawValue: number) ?? .failed, rest[1]))
            default: return nil
            }
        }
    }
}

/// The terminal of who called.
enum Terminal {
    static func error(_ text: String) { raw(text + "\n") }

    /// Writes to standard error as it is.
    static func raw(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }

    static var isInteractive: Bool { isatty(STDERR_FILENO) == 1 }
}

/// The service manager that started this process, if one did and waits to be told (`man 3
/// sd_notify`).
enum ServiceManager {
    static func notify(_ message: String) {
        guard let variable = getenv("NOTIFY_SOCKET") else { return }
        var path = Array(UnsafeRawBufferPointer(start: variable, count: strlen(variable)))
        var address = sockaddr_un()
        let pathBytesMax = MemoryLayout.size(ofValue: address.sun_path)
        guard !path.isEmpty, path.count < pathBytesMax else { return }
        // A name in the abstract namespace begins with NUL, written as "@".
        if path[0] == UInt8(ascii: "@") { path[0] = 0 }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(message.utf8)
        let size = MemoryLayout<sa_family_t>.size + path.count
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                _ = sendto(descriptor, bytes, bytes.count, 0, pointer, socklen_t(size))
            }
        }
    }
}
