/// Where a node listens: a host name or IP address, and a TCP port.
package struct NodeAddress: Hashable, Sendable, CustomStringConvertible {
    /// The longest host name of the DNS (RFC 1035 §2.3.4).
    package static let hostBytesMax = 253

    /// A name or an address; an IPv6 address without its brackets.
    package let host: String
    /// 0...65535; 0 only to listen on a port that the system chooses.
    package let port: Int

    /// Takes a host of 1...253 printable ASCII bytes without spaces, "/" and brackets, or nothing.
    package init?(host: String, port: Int) {
        let allowed = host.utf8.allSatisfy {
            $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "[")
                && $0 != UInt8(ascii: "]")
        }
        guard !host.isEmpty, host.utf8.count <= Self.hostBytesMax, allowed,
            (0...65535).contains(port)
        else { return nil }
        self.host = host
        self.port = port
    }

    /// Parses "host:port", with an IPv6 address in brackets: "[::1]:4750".
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard (1...5).contains(digits.utf8.count),
            digits.utf8.allSatisfy({ (48...57).contains($0) }),
            let port = Int(digits)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("[") {
            guard host.hasSuffix("]"), host.contains(":") else { return nil }
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        self.init(host: String(host), port: port)
    }

    package var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
