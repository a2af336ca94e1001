import Primitives
package import Sealing
import NIOCore
import Synchronization

/// The asking end of one connection to a node: any number of requests under way at once, answered
/// in any order.
package final class Connection: Sendable {
    /// Requests that may wait for their replies at once; what is more is refused, because nobody
    /// who bounds his own work comes near it.
    package static let requestsMax = 1024
    /// Time for the TCP connection.
    ///
    /// A node that takes longer is as good as away.
    package static let connectTimeout = Duration.seconds(3)
    /// Time for the TLS handshake after that.
    package static let handshakeTimeout = Duration.seconds(5)
    /// Closed after so long without a request; below the server's limit, so that a request
    /// seldom meets a connection that is being closed.
    static let idleTimeout = TimeAmount.seconds(60)
    /// How often deadlines are looked at while requests wait, and otherwise.
    static let busyTick = TimeAmount.milliseconds(250)
    static let idleTick = TimeAmount.seconds(15)

    private struct Waiting {
        let operation: UInt8
        let reply: Pending<[UInt8]>
        let timeout: TimeAmount
        /// When the last byte went to the system.
        ///
        /// Before that the line is what is slow, and the request is overdue only when the line
        /// stands still.
        var sentAt: NIODeadline?

        func isOverdue(now: NIODeadline, lastProgress: NIODeadline) -> Bool {
            now - (sentAt ?? lastProgress) >= timeout
        }
    }

    private struct State {
        var lastID: UInt64 = 0
        var waiting: [UInt64: Waiting] = [:]
        var ending: NetworkError?
        /// When bytes last came or went, or a request was made after a time without any.
        var lastProgress = NIODeadline.now()
    }

    package let address: NodeAddress
    /// Who is at the other end, as the handshake proved.
    package let peer: PublicKey
    /// The address of our own end, as the peer's network sees this host (without NAT).
    package let localHost: String

    private let channel: any Channel
    private let state = Mutex(State())

    init(address: NodeAddress, peer: PublicKey, channel: any Channel) {
        self.address = address
        self.peer = peer
        self.channel = channel
        localHost = channel.localAddress?.ipAddress ?? ""
    }

    /// Whether requests may still be sent.
    package var isOpen: Bool { state.withLock { $0.ending == nil } }

    /// Sends a request whose body is `head` and then `payload`, and brings the body of the reply.
    ///
    /// It fails with what the node answered, with `timedOut` when `timeout` has passed since it
    /// was sent, and with `closed` at once when the connection ends.
    package func request(
        _ operation: UInt8,
        head: [UInt8],
        payload: Payload? = nil,
        timeout: Duration
    ) -> Pending<[UInt8]> {
        let reply = Pending<[UInt8]>()
        let bodyBytes = head.count + (payload?.count ?? 0)
        precondition(bodyBytes <= Frame.bodyBytesMax, "a request's body is bounded by its maker")
        let waiting = Waiting(operation: operation, reply: reply, timeout: TimeAmount(timeout))
        let id = state.withLock { state -> Result<UInt64, NetworkError> in
            if let ending = state.ending { return .failure(ending) }
            guard state.waiting.count < Self.requestsMax else {
                return .failure(
                    NetworkError(.refused, "\(address): \(Self.requestsMax) requests wait already")
                )
            }
            if state.waiting.isEmpty { state.lastProgress = .now() }
            state.lastID += 1
            state.waiting[state.lastID] = waiting
            return .success(state.lastID)
        }
        switch id {
        case .failure(let error):
            reply.fulfil(.failure(error))
        case .success(let id):
            let header = Frame.requestHeader(operation: operation, id: id, bodyBytes: bodyBytes)
            let first = ByteBuffer(bytes: header + head)
            // One hop for all parts, so that no other frame gets between them.
            channel.eventLoop.execute { self.send(id, first, payload?.buffer) }
        }
        return reply
    }

    private func send(_ id: UInt64, _ first: ByteBuffer, _ payload: ByteBuffer?) {
        guard let payload, payload.readableBytes > 0 else {
            return noteSent(id, channel.writeAndFlush(first))
        }
        channel.write(first, promise: nil)
        BulkTransfer.slices(of: payload) { slice, isLast in
            let written = channel.writeAndFlush(slice)
            if isLast {
                noteSent(id, written)
            } else {
                written.whenSuccess { self.noteProgress() }
            }
        }
    }

    private func noteSent(_ id: UInt64, _ written: EventLoopFuture<Void>) {
        written.whenSuccess {
            self.noteProgress()
            self.state.withLock { $0.waiting[id]?.sentAt = .now() }
        }
    }

    /// Sends bytes outside of any frame: what a broken or hostile peer does, for tests of those
    /// who must bear it.
    package func sendUnframed(_ bytes: [UInt8]) {
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
    }

    /// Ends the connection; requests under way fail with `closed`.
    package func close() {
        end(NetworkError(.closed, "\(address): the connection was closed"))
    }

    /// Fails everything under way and closes; later calls change nothing.
    func end(_ error: NetworkError) {
        let waiting = state.withLock { state -> [Waiting] in
            guard state.ending == nil else { return [] }
            state.ending = error
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for entry in waiting { entry.reply.fulfil(.failure(error)) }
        channel.close(promise: nil)
    }

    // MARK: From the event loop

    /// Bytes have come or gone: the node lives.
    func noteProgress() {
        state.withLock { $0.lastProgress = .now() }
    }

    /// Takes a reply; `false` if it answers nothing we asked.
    func receive(_ frame: Frame) -> Bool {
        let known = state.withLock { state -> (Waiting?, Bool) in
            let entry = state.waiting.removeValue(forKey: frame.id)
            return (entry, frame.id > 0 && frame.id <= state.lastID)
        }
        // A reply that comes after its time limit is nobody's, and no fault of the node.
        guard let waiting = known.0 else { return known.1 }
        guard waiting.operation == frame.operation else {
            waiting.reply.fulfil(
                .failure(NetworkError(.malformed, "\(address) answered another operation"))
            )
            return false
        }
        guard frame.status != 0 else {
            waiting.reply.fulfil(.success(frame.body))
            return true
        }
        waiting.reply.fulfil(.failure(refusal(frame)))
        return true
    }

    private func refusal(_ frame: Frame) -> NetworkError {
        let code = NetworkError.Code(rawValue: frame.status) ?? .refused
        let text = String(decoding: frame.body.prefix(NetworkError.messageBytesMax), as: UTF8.self)
        // What a peer says may end up in a log or a terminal.
        let printable = text.unicodeScalars.map {
            $0.properties.generalCategory == .control ? " " : $0
        }
        var message = "\(address): "
        message.unicodeScalars.append(contentsOf: printable)
        return NetworkError(code, message)
    }

    /// Fails requests that are overdue, and ends the connection when the node has been silent for a
    /// whole time limit, or has not been asked for long.
    ///
    /// Tells when to look again.
    func checkDeadlines(now: NIODeadline) -> TimeAmount? {
        let (overdue, isSilent, isIdle, isBusy) = state.withLock {
            state -> ([Waiting], Bool, Bool, Bool) in
            let ids = state.waiting
                .filter { $0.value.isOverdue(now: now, lastProgress: state.lastProgress) }
                .map(\.key)
            let overdue = ids.compactMap { state.waiting.removeValue(forKey: $0) }
            let quiet = now - state.lastProgress
            return (
                overdue, !overdue.isEmpty && quiet >= Self.silenceMax,
                state.waiting.isEmpty && quiet >= Self.idleTimeout, !state.waiting.isEmpty
            )
        }
        let late = NetworkError(.timedOut, "\(address) did not answer in time")
        for entry in overdue { entry.reply.fulfil(.failure(late)) }
        if isSilent { end(late) }
        if isIdle { end(NetworkError(.closed, "\(address): closed after a time without requests")) }
        guard isOpen else { return nil }
        return isBusy ? Self.busyTick : Self.idleTick
    }

    /// A node that lets a request go overdue and has sent nothing for so long is gone: a new
    /// connection finds out faster than another time limit.
    private static let silenceMax = TimeAmount.seconds(3)
}
