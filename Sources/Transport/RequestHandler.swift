package import Primitives
package import Sealing
import NIOCore
import Synchronization

/// What a listening node does with requests.
package protocol RequestHandler: Sendable {
    /// Called on an event loop, so it must not block: what touches a disk goes to a `WorkerPool`.
    /// A `reply` dropped without an answer answers with an error.
    func handle(_ request: Request, reply: Reply)
}

/// A request as it came from a peer; its body is not trusted.
package struct Request: Sendable {
    /// The key that the peer proved to have.
    package let peerKey: PublicKey
    /// The id of that key.
    package let peer: NodeID
    package let operation: UInt8
    package let body: [UInt8]
}

/// The one answer to a request; may be given from any thread.
package final class Reply: Sendable {
    private let operation: UInt8
    private let id: UInt64
    /// Taken by the first answer.
    private let send: Mutex<(@Sendable (ByteBuffer, ByteBuffer?) -> Void)?>
    /// Logs that the peer sent what it should not.
    private let complain: @Sendable (String) -> Void

    /// Bodies up to this go into one buffer with the header; a copy is cheaper than another write.
    private static let inlineBytesMax = 4 << 10

    init(
        operation: UInt8,
        id: UInt64,
        complain: @escaping @Sendable (String) -> Void,
        send: @escaping @Sendable (ByteBuffer, ByteBuffer?) -> Void
    ) {
        self.operation = operation
        self.id = id
        self.complain = complain
        self.send = Mutex(send)
    }

    deinit {
        fail(NetworkError(.refused, "the node dropped the request"))
    }

    /// Answers with success and a body.
    package func succeed(_ body: [UInt8] = []) {
        guard body.count > Self.inlineBytesMax else { return answer(status: 0, small: body) }
        answer(bulk: ByteBuffer(bytes: body))
    }

    /// Answers with success and a body that `fill` writes into `capacity` bytes; it returns the
    /// part of them to send.
    ///
    /// Runs `fill` on the calling thread, and answers with what it throws.
    package func succeed(
        capacity: Int,
        fill: (UnsafeMutableRawBufferPointer) throws(NetworkError) -> Range<Int>
    ) {
        var buffer = ByteBufferAllocator().buffer(capacity: capacity)
        var range = 0..<0
        do {
            try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: capacity) { bytes in
                range = try fill(UnsafeMutableRawBufferPointer(rebasing: bytes[..<capacity]))
                precondition(range.lowerBound >= 0 && range.upperBound <= capacity)
                return capacity
            }
        } catch {
            return fail(error as? NetworkError ?? NetworkError(.refused, "\(error)"))
        }
        answer(bulk: buffer.getSlice(at: range.lowerBound, length: range.count) ?? ByteBuffer())
    }

    /// Answers with an error.
    ///
    /// Its message goes to the peer, cut to what a frame may carry.
    package func fail(_ error: NetworkError) {
        if error.code == .malformed { complain(error.message) }
        let message = Array(error.message.utf8.prefix(NetworkError.messageBytesMax))
        answer(status: error.code.rawValue, small: message)
    }

    /// A reply that sends what `change` makes of the frame of this one's answer; for `nil`, never
    /// anything.
    ///
    /// For nodes that misbehave on purpose. `change` runs on the thread that answers, and gets the
    /// frame with its header.
    package func altered(by change: @escaping @Sendable ([UInt8]) -> [UInt8]?) -> Reply {
        Reply(operation: operation, id: id, complain: complain) { header, bulk in
            let frame = Array(header.readableBytesView) + Array(bulk?.readableBytesView ?? .init())
            let send = self.take()
            if let changed = change(frame) { send?(ByteBuffer(bytes: changed), nil) }
        }
    }

    private func answer(status: UInt8, small body: [UInt8]) {
        let header = Frame.replyHeader(
            operation: operation,
            id: id,
            status: status,
            bodyBytes: body.count
        )
        take()?(ByteBuffer(bytes: header + body), nil)
    }

    private func answer(bulk: ByteBuffer) {
        precondition(bulk.readableBytes <= Frame.bodyBytesMax)
        let header = Frame.replyHeader(
            operation: operation,
            id: id,
            status: 0,
            bodyBytes: bulk.readableBytes
        )
        take()?(ByteBuffer(bytes: header), bulk)
    }

    private func take() -> (@Sendable (ByteBuffer, ByteBuffer?) -> Void)? {
        send.withLock { send in
            defer { send = nil }
            return send
        }
    }
}
