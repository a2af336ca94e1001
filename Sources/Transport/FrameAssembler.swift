package import Wire

/// Makes frames of a stream of bytes that arrives in pieces of any size.
///
/// The body of a frame is copied once, from the piece into its array. Nothing traps: what is not a
/// frame throws, and after that the stream has no known boundary and must be closed.
package struct FrameAssembler {
    /// Set aside before so much has arrived: a peer must send this much of a frame before the
    /// memory for all of it is taken, so that idle connections that announce 4 MiB cost little.
    private static let bodyBytesAtFirst = 256 << 10

    private let direction: Frame.Direction
    private let lengthMax: Int
    private let headerBytes: Int
    private var header: [UInt8] = []
    private var body: [UInt8] = []
    private var parsed: Header?

    private struct Header {
        let operation: UInt8
        let id: UInt64
        let status: UInt8
        let bodyBytes: Int
    }

    /// Begins at a frame's first byte; `lengthMax` bounds what comes after a length.
    package init(_ direction: Frame.Direction, lengthMax: Int = Frame.lengthMax) {
        self.direction = direction
        self.lengthMax = lengthMax
        headerBytes =
            direction == .requests ? Frame.requestHeaderBytes : Frame.replyHeaderBytes
        header.reserveCapacity(headerBytes)
    }

    /// Whether part of a frame has arrived and the rest has not.
    package var isMidFrame: Bool { !header.isEmpty }

    /// Takes the next bytes of the stream and gives each frame that they complete to `found`.
    package mutating func append(
        _ bytes: UnsafeRawBufferPointer,
        found: (Frame) -> Void
    ) throws(DecodeError) {
        var rest = bytes[...]
        while true {
            if parsed == nil {
                let wanted = min(headerBytes - header.count, rest.count)
                header.append(contentsOf: rest.prefix(wanted))
                rest = rest.dropFirst(wanted)
                // The length stands alone, so that an absurd one is refused at once.
                if header.count >= 4 { try checkLength() }
                guard header.count == headerBytes else { return }
                parsed = try parseHeader()
            }
            guard let current = parsed else { return }
            let wanted = min(current.bodyBytes - body.count, rest.count)
            reserve(for: current, adding: wanted)
            body.append(contentsOf: UnsafeRawBufferPointer(rebasing: rest.prefix(wanted)))
            rest = rest.dropFirst(wanted)
            guard body.count == current.bodyBytes else { return }
            found(
                Frame(
                    operation: current.operation,
                    id: current.id,
                    status: current.status,
                    body: body
                )
            )
            body = []
            header.removeAll(keepingCapacity: true)
            parsed = nil
            if rest.isEmpty { return }
        }
    }

    private mutating func reserve(for current: Header, adding count: Int) {
        if body.isEmpty {
            body.reserveCapacity(max(count, min(current.bodyBytes, Self.bodyBytesAtFirst)))
        } else if body.count + count > Self.bodyBytesAtFirst {
            body.reserveCapacity(current.bodyBytes)
        }
    }

    private func checkLength() throws(DecodeError) {
        var reader = ByteReader(header)
        let length = try reader.integer(UInt32.self)
        guard length <= lengthMax else {
            throw .tooLong(
                field: "frame length",
                value: UInt64(length),
                limit: UInt64(lengthMax)
            )
        }
        guard length >= headerBytes - 4 else {
            throw .invalid(
                field: "frame length",
                reason: "\(length) is less than \(headerBytes - 4)"
            )
        }
    }

    private func parseHeader() throws(DecodeError) -> Header {
        var reader = ByteReader(header)
        let length = try reader.integer(UInt32.self)
        let operation = try reader.integer(UInt8.self)
        let id = try reader.integer(UInt64.self)
        let status: UInt8 = direction == .replies ? try reader.integer() : 0
        let isReply = operation & Frame.replyBit != 0
        guard isReply == (direction == .replies), operation & ~Frame.replyBit != 0 else {
            throw .invalid(field: "operation", reason: "0x\(String(operation, radix: 16))")
        }
        return Header(
            operation: operation & ~Frame.replyBit,
            id: id,
            status: status,
            bodyBytes: Int(length) - (headerBytes - 4)
        )
    }
}
