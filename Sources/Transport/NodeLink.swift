import Primitives
import NIOCore
import Synchronization

/// The way to one node: one connection, made when it is needed and made again when it is lost.
///
/// A node that cannot be reached is remembered as down for a while, so that requests meanwhile
/// fail at once and nobody waits for a dead peer.
final class NodeLink: Sendable {
    /// How long a node is left alone after a failed attempt: this, doubled up to the maximum with
    /// each further failure.
    ///
    /// Short enough that a restarted node is back within seconds.
    static let backoffFirst = TimeAmount.milliseconds(250)
    static let backoffMax = TimeAmount.seconds(2)
    /// An attempt that took longer than this to fail was not answered at all (a refusal comes
    /// back within a round trip); the next one is then made without a request waiting for it.
    private static let slowFailure = TimeAmount.seconds(1)
    /// Requests that may wait for a connection being made.
    private static let queuedMax = Connection.requestsMax

    typealias Action = @Sendable (Result<Connection, NetworkError>) -> Void

    private enum Phase {
        case idle
        case connecting
        case open(Connection)
        case down(until: NIODeadline, error: NetworkError)
    }

    private struct State {
        var address: NodeAddress
        var phase = Phase.idle
        var queued: [Action] = []
        var failures = 0
        /// The last attempt failed slowly: do not let a request wait for the next.
        var isProbing = false
        var lastFailure: NetworkError?
        var isStopped = false
    }

    private let id: NodeID
    private let tls: NodeTLS
    private let loops: EventLoops
    private let state: Mutex<State>

    init(to id: NodeID, at address: NodeAddress, tls: NodeTLS, loops: EventLoops) {
        self.id = id
        self.tls = tls
        self.loops = loops
        state = Mutex(State(address: address))
    }

    /// Whether the last attempt to reach the node failed, and it was not yet time for another.
    var isDown: Bool {
        state.withLock { state in
            if case .down(let until, _) = state.phase { return until > .now() }
            return false
        }
    }

    /// Whether a connection is open.
    var isOpen: Bool {
        state.withLock { state in
            if case .open(let connection) = state.phase { return connection.isOpen }
            return false
        }
    }

    /// Where the next attempt goes; a node that moved is tried at once.
    func setAddress(_ address: NodeAddress) {
        state.withLock { state in
            guard state.address != address else { return }
            state.address = address
            state.failures = 0
            state.isProbing = false
            if case .down = state.phase { state.phase = .idle }
        }
    }

    /// Gives `action` an open connection, or the reason why there is none, at once or when the
    /// attempt under way has ended.
    ///
    /// `action` must not block.
    func withConnection(_ action: @escaping Action) {
        enum Step {
            case run(Result<Connection, NetworkError>)
            case dial(NodeAddress)
            case runAndDial(NetworkError, NodeAddress)
            case wait
        }
        let step = state.withLock { state -> Step in
            if state.isStopped { return .run(.failure(Self.stopped(state.address))) }
            switch state.phase {
            case .open(let connection) where connection.isOpen:
                return .run(.success(connection))
            case .down(let until, let error) where until > .now():
                return .run(.failure(error))
            case .connecting:
                if state.isProbing, let error = state.lastFailure { return .run(.failure(error)) }
                guard state.queued.count < Self.queuedMax else {
                    return .run(
                        .failure(
                            NetworkError(.refused, "\(state.address): too many requests wait")
                        )
                    )
                }
                state.queued.append(action)
                return .wait
            case .idle, .open, .down:
                state.phase = .connecting
                if state.isProbing, let error = state.lastFailure {
                    return .runAndDial(error, state.address)
                }
                state.queued.append(action)
                return .dial(state.address)
            }
        }
        switch step {
        case .run(let outcome): action(outcome)
        case .dial(let address): dial(address)
        case .runAndDial(let error, let address):
            action(.failure(error))
            dial(address)
        case .wait: break
        }
    }

    /// Closes the connection for good.
    func stop() {
        let connection = state.withLock { state -> Connection? in
            state.isStopped = true
            if case .open(let connection) = state.phase { return connection }
            return nil
        }
        connection?.close()
    }

    private func dial(_ address: NodeAddress) {
        let start = NIODeadline.now()
        Connection.dial(address, expecting: id, as: tls, on: loops).whenDone { outcome in
            self.finish(outcome, took: .now() - start)
        }
    }

    private func finish(_ outcome: Result<Connection, NetworkError>, took: TimeAmount) {
        let (actions, isStopped) = state.withLock { state -> ([Action], Bool) in
            switch outcome {
            case .success(let connection):
                state.phase = .open(connection)
                state.failures = 0
                state.isProbing = false
                state.lastFailure = nil
            case .failure(let error):
                let factor = Int64(1) << min(state.failures, 3)
                let pause = min(Self.backoffFirst * factor, Self.backoffMax)
                state.phase = .down(until: .now() + pause, error: error)
                state.failures += 1
                state.isProbing = took >= Self.slowFailure
                state.lastFailure = error
            }
            defer { state.queued = [] }
            return (state.queued, state.isStopped)
        }
        for action in actions { action(outcome) }
        if isStopped, case .success(let connection) = outcome { connection.close() }
    }

    private static func stopped(_ address: NodeAddress) -> NetworkError {
        NetworkError(.closed, "\(address): this program is closing its connections")
    }
}
