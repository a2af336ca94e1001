import Disk
import Glibc
import Sealing

/// The terminal of this process, wherever its standard input and output lead.
struct SecretTerminal {
    /// Ends a line as Enter does, while the terminal is ours: Ctrl-C.
    private static let interrupt: UInt8 = 3

    private let device: Descriptor

    /// Opens `/dev/tty`.
    ///
    /// - Throws: `usage` if the process has no terminal.
    init() throws(HomeError) {
        do throws(DiskError) {
            device = try Descriptor(opening: "/dev/tty", .readWrite)
        } catch {
            throw HomeError(
                .usage,
                "there is no terminal to ask for a passphrase at; give a passphrase file"
            )
        }
    }

    /// Shows `prompt` and takes a line of at most `bytesMax` bytes, which the terminal does not
    /// show; whoever calls wipes it.
    ///
    /// - Throws: `usage` after Ctrl-C or at the end of input.
    func line(_ prompt: String, bytesMax: Int) throws(HomeError) -> [UInt8] {
        var settings = termios()
        guard tcgetattr(device.fd, &settings) == 0 else {
            throw HomeError(DiskError("use", device.path, errno: errno))
        }
        var quiet = settings
        // No signals meanwhile: one would leave the terminal without echo. Ctrl-C ends the line
        // instead, and is looked for in it.
        quiet.c_lflag &= ~tcflag_t(ECHO | ISIG)
        withUnsafeMutableBytes(of: &quiet.c_cc) { $0[Int(VEOL)] = Self.interrupt }
        tcsetattr(device.fd, TCSAFLUSH, &quiet)
        show(prompt)
        defer {
            tcsetattr(device.fd, TCSAFLUSH, &settings)
            show("\n")
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(bytesMax + 1)
        while bytes.count <= bytesMax {
            var byte: UInt8 = 0
            let count = read(device.fd, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1, byte != Self.interrupt else {
                SecretBytes.wipe(&bytes)
                throw HomeError(.usage, "no passphrase was given; nothing was changed")
            }
            if byte == UInt8(ascii: "\n") { break }
            bytes.append(byte)
        }
        return bytes
    }

    private func show(_ text: String) {
        let bytes = Array(text.utf8)
        _ = write(device.fd, bytes, bytes.count)
    }
}
