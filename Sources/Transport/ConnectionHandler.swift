import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Primitives
import Sealing
import Synchronization

extension Connection {
    /// Connects to `address`, and brings the connection once the handshake has shown the node
    /// `expected` (any node if `nil`).
    static func dial(
        _ address: NodeAddress,
        expecting expected: NodeID?,
        as tls: NodeTLS,
        on loops: EventLoops
    ) -> Pending<Connection> {
        let ready = Pending<Connection>()
        let peer = PeerIdentity(expecting: expected)
        ClientBootstrap(group: loops.group)
            .connectTimeout(TimeAmount(connectTimeout))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.recvAllocator, value: BulkTransfer.receiveBuffers)
            .channelOption(.maxMessagesPerRead, value: BulkTransfer.readsPerTurn)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(
                        tls.clientHandler(peer),
                        ConnectionHandler(address: address, peer: peer, ready: ready)
                    )
                }
            }
            .connect(host: address.host, port: address.port)
            .whenFailure { error in
                ready.fulfil(
                    .failure(
                        NetworkError(
                            .unreachable,
                            "cannot reach \(address): \(TransportFailure.reason(error))"
                        )
                    )
                )
            }
        return ready
    }
}

/// Turns bytes from the TLS layer into replies for a `Connection`, and watches its time limits.
private final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let address: NodeAddress
    private let peer: PeerIdentity
    private let ready: Pending<Connection>
    private var connection: Connection?
    private var assembler = FrameAssembler(.replies)
    private var failure: NetworkError?
    private var tick: Scheduled<Void>?

    init(address: NodeAddress, peer: PeerIdentity, ready: Pending<Connection>) {
        self.address = address
        self.peer = peer
        self.ready = ready
    }

    func channelActive(context: ChannelHandlerContext) {
        schedule(TimeAmount(Connection.handshakeTimeout), context: context) { handler, context in
            guard handler.connection == nil else { return }
            handler.fail(
                NetworkError(.timedOut, "\(handler.address) does not finish the handshake"),
                context: context
            )
        }
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .handshakeCompleted(let negotiated)? = event as? TLSUserEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        guard negotiated == NodeTLS.protocolName, let key = peer.key else {
            let error = NetworkError(
                .unreachable,
                "\(address) does not speak \(NodeTLS.protocolName)"
            )
            return fail(error, context: context)
        }
        let connection = Connection(address: address, peer: key, channel: context.channel)
        self.connection = connection
        watch(connection, after: Connection.busyTick, context: context)
        ready.fulfil(.success(connection))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let connection else { return context.close(promise: nil) }
        connection.noteProgress()
        var isExpected = true
        do {
            try unwrapInboundIn(data).withUnsafeReadableBytes { bytes in
                try assembler.append(bytes) { frame in
                    isExpected = connection.receive(frame) && isExpected
                }
            }
        } catch {
            return fail(
                NetworkError(.malformed, "\(address) sent a malformed frame: \(error)"),
                context: context
            )
        }
        if !isExpected {
            fail(
                NetworkError(.malformed, "\(address) sent a reply nobody asked for"),
                context: context
            )
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let reason = TransportFailure.reason(error)
        let isEarly = connection == nil
        let message =
            peer.isWrong
            ? "\(address) is another node than expected: its id is \(peer.key?.nodeID.hex ?? "?")"
            : isEarly
                ? "\(address) ended the handshake: \(reason)"
                : "\(address): the connection failed: \(reason)"
        fail(NetworkError(isEarly ? .unreachable : .closed, message), context: context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        tick?.cancel()
        let error =
            failure
            ?? NetworkError(
                connection == nil ? .unreachable : .closed,
                connection == nil
                    ? "\(address) closed the connection during the handshake"
                    : "\(address) closed the connection"
            )
        connection?.end(error)
        ready.fulfil(.failure(error))
        context.fireChannelInactive()
    }

    private func fail(_ error: NetworkError, context: ChannelHandlerContext) {
        if failure == nil { failure = error }
        connection?.end(error)
        ready.fulfil(.failure(error))
        context.close(promise: nil)
    }

    private func watch(
        _ connection: Connection,
        after delay: TimeAmount,
        context: ChannelHandlerContext
    ) {
        schedule(delay, context: context) { handler, context in
            if let next = connection.checkDeadlines(now: .now()) {
                handler.watch(connection, after: next, context: context)
            }
        }
    }

    private func schedule(
        _ delay: TimeAmount,
        context: ChannelHandlerContext,
        _ action: @escaping (ConnectionHandler, ChannelHandlerContext) -> Void
    ) {
        tick?.cancel()
        let isIdle = delay >= Connection.idleTick
        let time = isIdle ? NIODeadline.now().next(after: delay) : .now() + delay
        tick = context.eventLoop.assumeIsolated().scheduleTask(deadline: time) { [weak self] in
            guard let self, context.channel.isActive else { return }
            action(self, context)
        }
    }
}
