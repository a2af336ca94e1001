package import Primitives
package import Sealing
import Synchronization

/// Connections to many nodes, one each, under one identity of ours.
package final class ConnectionPool: Sendable {
    /// Nodes known at once; a directory is smaller.
    package static let linksMax = 65_536

    private let tls: NodeTLS
    private let loops: EventLoops
    private let state = Mutex(State())

    private struct State {
        var links: [NodeID: NodeLink] = [:]
        var isStopped = false
    }

    /// Makes an empty pool; `loops` stay the caller's, who stops them after it.
    package init(identity: SigningKey, loops: EventLoops) throws(NetworkError) {
        tls = try NodeTLS(identity: identity)
        self.loops = loops
    }

    /// Our own key.
    package var publicKey: PublicKey { tls.publicKey }

    /// Sends a request to the node `id`, which should be at `address`; connects first if need be.
    ///
    /// It fails with `unreachable` at once while the node is known to be down.
    package func request(
        _ operation: UInt8,
        to id: NodeID,
        at address: NodeAddress,
        head: [UInt8],
        payload: Payload? = nil,
        timeout: Duration
    ) -> Pending<[UInt8]> {
        let reply = Pending<[UInt8]>()
        withConnection(to: id, at: address) { outcome in
            switch outcome {
            case .success(let connection):
                connection.request(operation, head: head, payload: payload, timeout: timeout)
                    .forward(to: reply)
            case .failure(let error):
                reply.fulfil(.failure(error))
            }
        }
        return reply
    }

    /// Gives `action` the open connection to a node or the reason why there is none.
    package func withConnection(
        to id: NodeID,
        at address: NodeAddress,
        _ action: @escaping @Sendable (Result<Connection, NetworkError>) -> Void
    ) {
        do throws(NetworkError) {
            let link = try link(to: id, at: address)
            link.setAddress(address)
            link.withConnection(action)
        } catch {
            action(.failure(error))
        }
    }

    /// Connects to whatever node answers at `address`, outside the pool; its `peer` tells who that
    /// is.
    ///
    /// For the first contact, before a key can be pinned.
    package func dialUnpinned(_ address: NodeAddress) -> Pending<Connection> {
        Connection.dial(address, expecting: nil, as: tls, on: loops)
    }

    /// What our own attempts say of a node: `true` connected, `false` lately not reachable, `nil`
    /// nothing.
    package func isReachable(_ id: NodeID) -> Bool? {
        guard let link = state.withLock({ $0.links[id] }) else { return nil }
        if link.isOpen { return true }
        return link.isDown ? false : nil
    }

    /// Closes all connections for good; requests under way fail with `closed`.
    package func stop() {
        let links = state.withLock { state in
            state.isStopped = true
            return Array(state.links.values)
        }
        for link in links { link.stop() }
    }

    private func link(
        to id: NodeID,
        at address: NodeAddress
    ) throws(NetworkError) -> NodeLink {
        try state.withLock { (state) throws(NetworkError) in
            guard !state.isStopped else {
                throw NetworkError(.closed, "\(address): this program is closing its connections")
            }
            if let link = state.links[id] { return link }
            guard state.links.count < Self.linksMax else {
                throw NetworkError(.refused, "\(Self.linksMax) nodes are known, the most allowed")
            }
            let link = NodeLink(to: id, at: address, tls: tls, loops: loops)
            state.links[id] = link
            return link
        }
    }
}
