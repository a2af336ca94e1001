import Disk
import Glibc
import NIOCore
import NIOPosix
import NIOSSL

/// One-line reasons of the libraries' errors.
enum TransportFailure {
    /// Whether the other side is just gone, in order or not, having done nothing wrong.
    static func isHangUp(_ error: any Error) -> Bool {
        switch error {
        case let error as IOError: error.errnoCode == ECONNRESET || error.errnoCode == EPIPE
        case let error as ChannelError: error == .eof
        case let error as NIOSSLError:
            switch error {
            case .uncleanShutdown: true
            case .handshakeFailed(.sslError(let stack)): stack == [.eofDuringHandshake]
            default: false
            }
        default: false
        }
    }

    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            if let first = error.connectionErrors.last { return reason(first.error) }
            return "no address for \(error.host)"
        case let error as IOError:
            return DiskError.reason(of: error.errnoCode)
        case let error as ChannelError:
            if case .connectTimeout = error { return "no answer to the connection attempt" }
            return "\(error)"
        case let error as NIOSSLError:
            if case .uncleanShutdown = error { return "the other side hung up" }
            return oneLine("\(error)")
        default:
            return oneLine("\(error)")
        }
    }

    /// TLS errors print a stack of library locations; the first 200 characters name the cause.
    private static func oneLine(_ text: String) -> String {
        String(text.split(whereSeparator: \.isNewline).joined(separator: " ").prefix(200))
    }
}
