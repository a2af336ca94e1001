import Sealing
import Transport
import Wire

/// Fields that several messages share.
extension ByteWriter {
    mutating func address(_ address: NodeAddress) {
        string(address.host)
        integer(UInt16(address.port))
    }
}

extension ByteReader {
    mutating func address() throws(DecodeError) -> NodeAddress {
        let host = try string("host", limit: NodeAddress.hostBytesMax)
        let port = Int(try integer(UInt16.self))
        guard port > 0, let address = NodeAddress(host: host, port: port) else {
            throw .invalid(field: "address", reason: "no host and port")
        }
        return address
    }

    mutating func publicKey() throws(DecodeError) -> PublicKey {
        guard let key = PublicKey(bytes: try bytes(PublicKey.byteCount)) else {
            throw .invalid(field: "public key", reason: "wrong length")
        }
        return key
    }
}
