package import Primitives
import Proofs
package import Sealing
package import Transport
import Wire

/// Talks to a node known by its address only; whoever calls decides whether to trust the key.
package enum FirstContact {
    /// The most time for all of it.
    private static let timeout = Duration.seconds(10)

    /// Key and role of the node at `address`.
    ///
    /// Blocks.
    package static func describe(
        _ address: NodeAddress,
        as identity: SigningKey
    ) throws(NetworkError) -> (key: PublicKey, description: NodeDescription) {
        try withConnection(to: address, as: identity) { (connection) throws(NetworkError) in
            let body = try ask(connection, .describe, [])
            return (connection.peer, try KeeperClient.decode(NodeDescription.self, body))
        }
    }

    /// The keeper at `address`, with the key that the connection proved, and the length of its
    /// epochs; `nil` if it has made no beacon yet.
    ///
    /// Blocks.
    ///
    /// - Throws: `refused` if there is another node than a keeper.
    package static func keeper(
        at address: NodeAddress,
        as identity: SigningKey
    ) throws(NetworkError) -> (endpoint: KeeperEndpoint, epochSeconds: UInt32?) {
        try withConnection(to: address, as: identity) { (connection) throws(NetworkError) in
            let body = try ask(connection, .describe, [])
            let role = try KeeperClient.decode(NodeDescription.self, body).role
            guard role == .keeper else {
                throw NetworkError(.refused, "\(address) is a \(role) and not a keeper")
            }
            let blocks = try ask(connection, .fetchBeacons, FetchBeacons(newest: 1).encoded)
            let newest = try KeeperClient.decode(BeaconList.self, blocks).blocks.last
            return (
                KeeperEndpoint(address: address, publicKey: connection.peer),
                newest?.epochSeconds
            )
        }
    }

    /// The file of the network that the keeper at `address` is one of the keepers of.
    ///
    /// Blocks. A keeper that is a network by itself signs it, with that name; an empty `name`
    /// leaves that to the keeper. Its key in the file is the one that the connection proved, for
    /// the user to compare.
    package static func exportNetwork(
        named name: String = "",
        code: ErasureCode,
        from address: NodeAddress,
        as identity: SigningKey
    ) throws(NetworkError) -> NetworkFile {
        try withConnection(to: address, as: identity) { (connection) throws(NetworkError) in
            let query = ExportNetwork(name: name, code: code, address: address)
            let body = try ask(connection, .exportNetwork, query.encoded)
            let file: NetworkFile
            do throws(NetworkFileError) {
                file = try NetworkFile(parsing: body)
            } catch {
                throw NetworkError(.malformed, "\(address): \(error)")
            }
            guard file.keepers.contains(where: { $0.publicKey == connection.peer }) else {
                throw NetworkError(
                    .unauthorized,
                    "\(address) gave the file of a network that it is no keeper of"
                )
            }
            return file
        }
    }

    private static func withConnection<T>(
        to address: NodeAddress,
        as identity: SigningKey,
        _ body: (Connection) throws(NetworkError) -> T
    ) throws(NetworkError) -> T {
        let loops = EventLoops()
        defer { loops.stop() }
        let pool = try ConnectionPool(identity: identity, loops: loops)
        let connection = try pool.dialUnpinned(address).wait(for: timeout)
        defer { connection.close() }
        return try body(connection)
    }

    private static func ask(
        _ connection: Connection,
        _ operation: Operation,
        _ body: [UInt8]
    ) throws(NetworkError) -> [UInt8] {
        try connection.request(operation.rawValue, head: body, timeout: KeeperClient.timeout)
            .wait(for: timeout)
    }
}
