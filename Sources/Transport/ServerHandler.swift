import Logging
import NIOCore
import NIOTLS
import Primitives
import Sealing
import Synchronization

/// One connection of a listener: turns bytes into requests, keeps the limits, sends replies.
///
/// Everything in it runs on the connection's event loop.
final class ServerHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let midFrame = "it went away in the middle of a frame"

    private let shared: ListenerState
    private let peer: PeerIdentity
    private var peerKey: PublicKey?
    private var assembler: FrameAssembler
    private var context: ChannelHandlerContext?
    private var requestsInFlight = 0
    private var bytesInFlight = 0
    private var isReadHeld = false
    private var isBroken = false
    private var openedAt = NIODeadline.now()
    private var lastRequest = NIODeadline.now()
    /// When the frame that is arriving began, or `nil` between frames.
    private var frameStart: NIODeadline?

    init(shared: ListenerState, peer: PeerIdentity) {
        self.shared = shared
        self.peer = peer
        let limits = shared.limits
        assembler = FrameAssembler(.requests, lengthMax: limits.frameBytesMax)
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        scheduleTick(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .handshakeCompleted(let negotiated)? = event as? TLSUserEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        guard negotiated == NodeTLS.protocolName else {
            return drop(context, "it does not speak \(NodeTLS.protocolName)")
        }
        // Empty if the session was resumed without a certificate; we hand out no such sessions.
        guard let key = peer.key else { return drop(context, "it has shown no certificate") }
        peerKey = key
        lastRequest = .now()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard TransportFailure.isHangUp(error) else {
            return drop(context, TransportFailure.reason(error))
        }
        if assembler.isMidFrame { return drop(context, Self.midFrame) }
        // How every client ends that exits, is killed or loses its network.
        guard !isBroken else { return }
        isBroken = true
        shared.logger.debug("\(name(context)) closed: \(TransportFailure.reason(error))")
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if assembler.isMidFrame, !isBroken {
            shared.complain("\(name(context)): \(Self.midFrame)")
        }
        shared.bytesInFlight.subtract(bytesInFlight, ordering: .relaxed)
        bytesInFlight = 0
        isBroken = true
        context.fireChannelInactive()
    }

    /// How often time limits are looked at: a quarter of the shortest that counts now.
    private var tick: TimeAmount {
        let limits = shared.limits
        let shortest =
            peerKey == nil
            ? limits.handshakeTimeout : min(limits.frameTimeout, limits.idleTimeout)
        return max(TimeAmount(shortest / 4), .milliseconds(10))
    }

    private func scheduleTick(_ context: ChannelHandlerContext) {
        let next = NIODeadline.now().next(after: tick)
        context.eventLoop.assumeIsolated().scheduleTask(deadline: next) { [weak self] in
            guard let self, let context = self.context else { return }
            self.checkTimes(context, now: .now())
            self.scheduleTick(context)
        }
    }

    private func checkTimes(_ context: ChannelHandlerContext, now: NIODeadline) {
        let limits = shared.limits
        if peerKey == nil {
            if now - openedAt >= TimeAmount(limits.handshakeTimeout) {
                drop(context, "it does not finish the handshake")
            }
        } else if let frameStart, !isReadHeld, now - frameStart >= TimeAmount(limits.frameTimeout) {
            drop(context, "a frame takes longer than \(limits.frameTimeout)")
        } else if now - lastRequest >= TimeAmount(limits.idleTimeout) {
            // Also a peer that does not take its replies.
            shared.logger.debug("\(name(context)) closed: idle")
            isBroken = true
            context.close(promise: nil)
        }
    }

    private func drop(_ context: ChannelHandlerContext, _ reason: String) {
        guard !isBroken else { return }
        isBroken = true
        shared.complain("closing \(name(context)): \(reason)")
        context.close(promise: nil)
    }

    private func name(_ context: ChannelHandlerContext) -> String {
        let address = context.remoteAddress.map { "\($0.ipAddress ?? "?"):\($0.port ?? 0)" } ?? "?"
        return "connection from \(address)" + (peerKey.map { " (\($0.nodeID.short))" } ?? "")
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isBroken, let peerKey else { return }
        var frames: [Frame] = []
        do {
            try unwrapInboundIn(data).withUnsafeReadableBytes { bytes in
                try assembler.append(bytes) { frames.append($0) }
            }
        } catch {
            return drop(context, "malformed frame: \(error)")
        }
        if !frames.isEmpty {
            lastRequest = .now()
            frameStart = nil
        }
        if assembler.isMidFrame, frameStart == nil { frameStart = .now() }
        for frame in frames { begin(frame, from: peerKey, context) }
    }

    private func begin(_ frame: Frame, from key: PublicKey, _ context: ChannelHandlerContext) {
        requestsInFlight += 1
        count(frame.body.count)
        // SAFETY of the hop: the box lets only the loop itself touch the handler.
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let loop = context.eventLoop
        let requestBytes = frame.body.count
        let (shared, name) = (shared, name(context))
        let reply = Reply(
            operation: frame.operation,
            id: frame.id,
            complain: { shared.complain("\(name): \($0)") },
            send: { header, bulk in
                loop.execute { bound.value.send(header, bulk, requestBytes: requestBytes) }
            }
        )
        let request = Request(
            peerKey: key,
            peer: key.nodeID,
            operation: frame.operation,
            body: frame.body
        )
        shared.handler.handle(request, reply: reply)
    }

    private func send(_ header: ByteBuffer, _ bulk: ByteBuffer?, requestBytes: Int) {
        guard let context, !isBroken else { return }
        let replyBytes = bulk?.readableBytes ?? 0
        count(replyBytes - requestBytes)
        let sent = context.eventLoop.makePromise(of: Void.self)
        if let bulk {
            context.write(wrapOutboundOut(header), promise: nil)
            BulkTransfer.slices(of: bulk) { slice, isLast in
                context.writeAndFlush(wrapOutboundOut(slice), promise: isLast ? sent : nil)
            }
        } else {
            context.writeAndFlush(wrapOutboundOut(header), promise: sent)
        }
        sent.futureResult.assumeIsolated().whenComplete { [weak self] _ in
            self?.finish(replyBytes)
        }
    }

    private func finish(_ replyBytes: Int) {
        requestsInFlight -= 1
        guard !isBroken else { return }
        lastRequest = .now()
        count(-replyBytes)
        if isReadHeld, !isOverloaded, let context {
            isReadHeld = false
            // The peer could not send meanwhile.
            if frameStart != nil { frameStart = .now() }
            context.read()
        }
    }

    private func count(_ bytes: Int) {
        bytesInFlight += bytes
        shared.bytesInFlight.add(bytes, ordering: .relaxed)
    }

    // MARK: Back-pressure

    private var isOverloaded: Bool {
        guard requestsInFlight > 0 else { return false }
        let limits = shared.limits
        return requestsInFlight >= limits.requestsPerConnectionMax
            || bytesInFlight >= limits.bytesPerConnectionMax
            || shared.bytesInFlight.load(ordering: .relaxed) >= limits.bytesMax
    }

    func read(context: ChannelHandlerContext) {
        if isOverloaded {
            isReadHeld = true
        } else {
            context.read()
        }
    }
}
