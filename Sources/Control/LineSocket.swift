import Disk
import Glibc

/// Lines over a connected unix socket.
///
/// One thread reads and one writes at a time.
final class LineSocket {
    /// Bytes asked for at once.
    private static let chunkBytes = 16 << 10

    private let descriptor: Descriptor
    private var received: [UInt8] = []

    init(_ descriptor: Descriptor) { self.descriptor = descriptor }

    /// Reads the next line without its end; `nil` at the end of the stream.
    ///
    /// - Throws: EMSGSIZE above `bytesMax`, EAGAIN after the receive timeout.
    func readLine(bytesMax: Int) throws(DiskError) -> [UInt8]? {
        var searched = 0
        while true {
            if let end = received[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(received[..<end])
                received.removeSubrange(...end)
                return line
            }
            searched = received.count
            guard searched <= bytesMax else { throw failure("read from", EMSGSIZE) }
            guard try receive() else { return nil }
        }
    }

    /// Whether anything came before the end of the stream.
    private func receive() throws(DiskError) -> Bool {
        var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
        while true {
            let count = recv(descriptor.fd, &chunk, chunk.count, 0)
            if count >= 0 {
                received += chunk.prefix(count)
                return count > 0
            }
            let code = errno
            if code != EINTR { throw failure("read from", code) }
        }
    }

    /// Writes a line and its end.
    func writeLine(_ line: [UInt8]) throws(DiskError) {
        let bytes = line + [UInt8(ascii: "\n")]
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes {
                // A peer that is gone is an error of ours, not a signal.
                send(descriptor.fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count >= 0 {
                done += count
            } else {
                let code = errno
                if code != EINTR { throw failure("write to", code) }
            }
        }
    }

    private func failure(_ operation: String, _ code: Int32) -> DiskError {
        DiskError(operation, descriptor.path, errno: code)
    }
}
