import Primitives
import Sealing
import Transport
import Wire

/// Fields that several messages share.
extension ByteWriter {
    mutating func address(_ address: NodeAddress) {
        string(address.host)
        integer(UInt16(address.port))
    }

    /// A count and so many messages.
    mutating func list(_ messages: [some Message]) {
        integer(UInt32(messages.count))
        for message in messages { message.write(to: &self) }
    }

    /// 1 and the message, or 0.
    mutating func optional(_ message: (some Message)?) {
        boolean(message != nil)
        message?.write(to: &self)
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

    mutating func list<M: Message>(
        _ field: String,
        limit: Int,
        of type: M.Type = M.self
    ) throws(DecodeError) -> [M] {
        let count = try count(field, limit: limit)
        var messages: [M] = []
        for _ in 0..<count { messages.append(try M(from: &self)) }
        return messages
    }

    mutating func optional<M: Message>(
        _ field: String,
        of type: M.Type = M.self
    ) throws(DecodeError) -> M? {
        try boolean(field) ? try M(from: &self) : nil
    }

    mutating func ids<ID: OpaqueID>(_ field: String, limit: Int) throws(DecodeError) -> [ID] {
        let count = try count(field, limit: limit)
        var ids: [ID] = []
        for _ in 0..<count { ids.append(try id()) }
        return ids
    }
}
