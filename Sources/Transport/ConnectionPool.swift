package import Primitives
package import Sealing
import Synchronization

/// Connections to many nodes, one each, under one identity of ours.
package final class ConnectionPool: Sendable {
    /// Nodes known at once; a directory is smaller.
    package static let linksMax = 65_536

    private let tls: NodeTLS
    private let loops: EventLoops
    private let links = Mutex<[NodeID: NodeLink]>([:])

    /// - Parameter loops: Stay the caller's, who stops them after the pool.
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
        _ operation: UInt8, to id: NodeID, at address: NodeAddress, head: [UInt8],
        payload: Payload? = nil, timeout: Duration
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
        to id: NodeID, at address: NodeAddress,
        _ action: @escaping @Sendable (Result<Connection, NetworkError>) -> Void
    ) {
        guard let link = link(to: id, at: address) else {
            return action(.failure(NetworkError(.refused, "too many nodes are known")))
        }
        link.setAddress(address)
        link.withConnection(action)
    }

    /// Connects to whatever node answers at `address`, outside the pool; its `peer` tells who
    /// that is. For the first contact, before a key can be pinned.
    package func dialUnpinned(_ address: NodeAddress) -> Pending<Connection> {
        Connection.dial(address, expecting: nil, as: tls, on: loops)
    }

    /// What our own attempts say of a node: `true` connected, `false` lately not reachable, `nil`
    /// nothing.
    package func isReachable(_ id: NodeID) -> Bool? {
        guard let link = links.withLock({ $0[id] }) else { return nil }
        if link.isOpen { return true }
        return link.isDown ? false : nil
    }

    /// Closes all connections for good; requests under way fail with `closed`.
    package func stop() {
        for link in links.withLock({ $0.values }) { link.stop() }
    }

    private func link(to id: NodeID, at address: NodeAddress) -> NodeLink? {
        links.withLock { links in
            if let link = links[id] { return link }
            guard links.count < Self.linksMax else { return nil }
            let link = NodeLink(to: id, at: address, tls: tls, loops: loops)
            links[id] = link
            return link
        }
    }
}
