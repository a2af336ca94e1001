import Primitives
import Wire

/// One message on a connection; `docs/wire.md` draws it.
///
/// ```
/// request   u32 length of the rest | u8 operation        | u64 id | body
/// reply     u32 length of the rest | u8 0x80 | operation | u64 id | u8 status | body
/// ```
package struct Frame: Equatable, Sendable {
    /// The most bytes after the length: the largest shard and 64 KiB for what goes with it.
    package static let lengthMax = Geometry.shardBytesMax + (64 << 10)
    /// Bytes of a request before its body.
    package static let requestHeaderBytes = 4 + 1 + 8
    /// Bytes of a reply before its body.
    package static let replyHeaderBytes = requestHeaderBytes + 1
    /// Set in the operation of a reply.
    package static let replyBit: UInt8 = 0x80
    /// The most bytes in the body of a request or a reply.
    package static let bodyBytesMax = lengthMax - (replyHeaderBytes - 4)

    /// Which way frames go, and so what stands before their body.
    package enum Direction: Sendable {
        case requests
        case replies
    }

    /// 1...127, without the reply bit.
    package let operation: UInt8
    /// Chosen by the asking side; a reply has its request's.
    package let id: UInt64
    /// 0 = ok, else a `NetworkError.Code`; 0 in a request.
    package let status: UInt8
    package let body: [UInt8]

    package init(operation: UInt8, id: UInt64, status: UInt8 = 0, body: [UInt8]) {
        self.operation = operation
        self.id = id
        self.status = status
        self.body = body
    }

    /// The bytes that stand before the body of a request.
    package static func requestHeader(operation: UInt8, id: UInt64, bodyBytes: Int) -> [UInt8] {
        var writer = ByteWriter(capacity: requestHeaderBytes)
        writer.integer(UInt32(requestHeaderBytes - 4 + bodyBytes))
        writer.integer(operation)
        writer.integer(id)
        return writer.bytes
    }

    /// The bytes that stand before the body of a reply.
    package static func replyHeader(
        operation: UInt8,
        id: UInt64,
        status: UInt8,
        bodyBytes: Int
    ) -> [UInt8] {
        var writer = ByteWriter(capacity: replyHeaderBytes)
        writer.integer(UInt32(replyHeaderBytes - 4 + bodyBytes))
        writer.integer(operation | replyBit)
        writer.integer(id)
        writer.integer(status)
        return writer.bytes
    }
}
