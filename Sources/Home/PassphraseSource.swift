package import Sealing
import Disk
import Glibc

/// Where a passphrase is taken from: never the command line or the environment, which others can
/// read.
package enum PassphraseSource: Hashable, Sendable {
    /// A file or pipe whose only line it is; "-" is standard input.
    case file(String)
    /// Typed at the terminal of this process, without echo.
    case terminal

    /// The most bytes that are read: the longest passphrase and its line end.
    private static let bytesMax = Passphrase.bytesMax + 2
    private static let newLine = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")

    /// The file if one is named, else the terminal.
    package init(file: String?) {
        self = if let file { .file(file) } else { .terminal }
    }

    /// Whether this process has a terminal to ask at.
    package static var hasTerminal: Bool { (try? SecretTerminal()) != nil }

    /// Reads it; blocks until it is there.
    ///
    /// The terminal shows `prompt`, such as "Passphrase of
    /// volume 'photos'", and a colon.
    ///
    /// - Throws: `usage` if there is no terminal, or what comes is no passphrase.
    package func read(_ prompt: String) throws(HomeError) -> Passphrase {
        switch self {
        case .file(let path): try Self.read(file: path)
        case .terminal: try Self.ask(try SecretTerminal(), prompt)
        }
    }

    /// Reads a new one, from a terminal twice.
    ///
    /// - Throws: as `read`; `usage` too if the two differ.
    package func readNew(_ prompt: String) throws(HomeError) -> Passphrase {
        guard case .terminal = self else { return try read(prompt) }
        let terminal = try SecretTerminal()
        let first = try Self.ask(terminal, prompt)
        let second = try Self.ask(terminal, "The same again")
        guard first.isSame(as: second) else {
            throw HomeError(.usage, "the two passphrases differ; nothing was changed")
        }
        return first
    }

    private static func ask(
        _ terminal: SecretTerminal,
        _ prompt: String
    ) throws(HomeError) -> Passphrase {
        var line = try terminal.line(prompt + ": ", bytesMax: bytesMax)
        defer { SecretBytes.wipe(&line) }
        return try passphrase(line, from: "the terminal")
    }

    private static func read(file path: String) throws(HomeError) -> Passphrase {
        let isInput = path == "-"
        let place = isInput ? "standard input" : path
        let fd = isInput ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC)
        guard fd >= 0 else { throw HomeError(DiskError("open", place, errno: errno)) }
        defer { close(fd) }
        var bytes: [UInt8] = []
        // Without growing, which would leave copies behind.
        bytes.reserveCapacity(bytesMax + 1)
        defer { SecretBytes.wipe(&bytes) }
        var byte: UInt8 = 0
        while bytes.count <= bytesMax {
            let count = Glibc.read(fd, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw HomeError(DiskError("read", place, errno: errno)) }
            guard count > 0 else { break }
            bytes.append(byte)
        }
        if bytes.last == newLine {
            bytes.removeLast()
            if bytes.last == carriageReturn { bytes.removeLast() }
        }
        return try passphrase(bytes, from: place)
    }

    private static func passphrase(
        _ bytes: [UInt8],
        from place: String
    ) throws(HomeError) -> Passphrase {
        guard !bytes.contains(newLine), !bytes.contains(0),
            let passphrase = Passphrase(bytes: bytes)
        else {
            throw HomeError(
                .usage,
                "no passphrase in \(place): it is one line of 1 to \(Passphrase.bytesMax) bytes"
            )
        }
        return passphrase
    }
}
