import Transport
import Wire

extension NetworkError {
    static func unknown(_ operation: UInt8) -> NetworkError {
        NetworkError(.refused, "unknown operation 0x\(String(operation, radix: 16))")
    }

    static func malformed(_ error: DecodeError) -> NetworkError {
        NetworkError(.malformed, "malformed request: \(error)")
    }

    static func of(_ error: any Error) -> NetworkError {
        switch error {
        case let error as NetworkError: error
        case let error as DecodeError: .malformed(error)
        default: NetworkError(.refused, "\(error)")
        }
    }
}

/// What a node calls its program to others.
enum Software {
    static let name = "mefs 1"
}

extension NodeAddress {
    /// All addresses of the host, a free port.
    static let anywhere = any(host: "0.0.0.0")

    private static func any(host: String) -> NodeAddress {
        guard let address = NodeAddress(host: host, port: 0) else {
            preconditionFailure("an IPv4 address and a port")
        }
        return address
    }

    /// Whether the host stands for all addresses, so that nobody can connect to it.
    var isWildcard: Bool { host == "0.0.0.0" || host == "::" }
}
