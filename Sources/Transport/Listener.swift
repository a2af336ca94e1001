package import Logging
package import Sealing
import NIOCore
import NIOPosix
import Primitives
import Synchronization

/// A listening socket and the connections it took: TLS, frames, limits, and a `RequestHandler`.
package final class Listener: Sendable {
    /// Where it listens, with the port that the system chose for port 0.
    package let address: NodeAddress

    private let channel: any Channel
    private let shared: ListenerState

    /// Starts to listen.
    ///
    /// Blocks until the socket is bound. `loops` stay the caller's, who stops them after the
    /// listener. Fails with `refused`, naming the address and the system's reason.
    package static func start(
        on address: NodeAddress,
        as identity: SigningKey,
        loops: EventLoops,
        limits: ServerLimits = ServerLimits(),
        handler: any RequestHandler,
        logger: Logger
    ) throws(NetworkError) -> Listener {
        let tls = try NodeTLS(identity: identity)
        let shared = ListenerState(limits: limits, handler: handler, logger: logger)
        do {
            let channel = try ServerBootstrap(group: loops.group)
                .serverChannelOption(.backlog, value: 256)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelOption(.recvAllocator, value: BulkTransfer.receiveBuffers)
                .childChannelOption(.maxMessagesPerRead, value: BulkTransfer.readsPerTurn)
                .childChannelInitializer { channel in shared.admit(channel, tls: tls) }
                .bind(host: address.host, port: address.port)
                .wait()
            guard let port = channel.localAddress?.port,
                let bound = NodeAddress(host: address.host, port: port)
            else { throw NetworkError(.refused, "no local address") }
            return Listener(address: bound, channel: channel, shared: shared)
        } catch {
            throw NetworkError(
                .refused,
                "cannot listen on \(address): \(TransportFailure.reason(error)); choose another"
                    + " address or port"
            )
        }
    }

    private init(address: NodeAddress, channel: any Channel, shared: ListenerState) {
        self.address = address
        self.channel = channel
        self.shared = shared
    }

    /// Connections open now.
    package var connectionCount: Int { shared.connectionCount }

    /// Stops to listen and closes all connections; replies still to come are dropped.
    ///
    /// Blocks; not from an event loop.
    package func stop() {
        try? channel.close().wait()
        shared.closeAll()
    }
}

/// What the connections of one listener share.
final class ListenerState: Sendable {
    let limits: ServerLimits
    let handler: any RequestHandler
    let logger: Logger
    /// Bytes of bodies under way over all connections.
    let bytesInFlight = Atomic<Int>(0)

    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var isStopped = false
        var lastFullLog: NIODeadline?
    }

    private let state = Mutex(State())
    private let complaints = Mutex(ComplaintLimit())

    init(limits: ServerLimits, handler: any RequestHandler, logger: Logger) {
        self.limits = limits
        self.handler = handler
        self.logger = logger
    }

    var connectionCount: Int { state.withLock { $0.channels.count } }

    /// Sets a new connection up, or refuses it by failing the future, which closes it.
    func admit(_ channel: any Channel, tls: NodeTLS) -> EventLoopFuture<Void> {
        let isAdmitted = state.withLock { state -> Bool in
            guard !state.isStopped, state.channels.count < limits.connectionsMax else {
                return false
            }
            state.channels[ObjectIdentifier(channel)] = channel
            return true
        }
        guard isAdmitted else {
            complain("refused a connection: \(limits.connectionsMax) are open, the most allowed")
            return channel.eventLoop.makeFailedFuture(ChannelError.eof)
        }
        channel.closeFuture.whenComplete { _ in self.forget(channel) }
        return channel.eventLoop.makeCompletedFuture {
            let peer = PeerIdentity(expecting: nil)
            try channel.pipeline.syncOperations.addHandlers(
                tls.serverHandler(peer),
                ServerHandler(shared: self, peer: peer)
            )
        }
    }

    /// Logs what a peer did wrong, unless peers do so much wrong that the log would fill.
    func complain(_ message: String) {
        switch complaints.withLock({ $0.next(now: .now()) }) {
        case .log: logger.warning("\(message)")
        case .logLast: logger.warning("\(message); further ones are not logged for a while")
        case .drop: break
        }
    }

    func closeAll() {
        let channels = state.withLock { state -> [any Channel] in
            state.isStopped = true
            return Array(state.channels.values)
        }
        for channel in channels { try? channel.close().wait() }
    }

    private func forget(_ channel: any Channel) {
        state.withLock { $0.channels[ObjectIdentifier(channel)] = nil }
    }
}

/// Lets a bounded number of log lines through in each period.
struct ComplaintLimit {
    /// 60 lines a minute tell what goes on, and fill no disk.
    private static let linesMax = 60
    private static let period = TimeAmount.minutes(1)

    enum Verdict {
        case log
        case logLast
        case drop
    }

    private var periodStart: NIODeadline?
    private var lines = 0

    mutating func next(now: NIODeadline) -> Verdict {
        if periodStart.map({ now - $0 >= Self.period }) ?? true {
            periodStart = now
            lines = 0
        }
        lines += 1
        if lines < Self.linesMax { return .log }
        return lines == Self.linesMax ? .logLast : .drop
    }
}
