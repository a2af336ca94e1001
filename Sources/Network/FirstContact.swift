package import Primitives
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

    /// A network file signed by the keeper at `address`; its first keeper's key is the key that the
    /// connection proved, for the user to compare.
    ///
    /// Blocks. An empty `name` leaves the network's name to the keeper.
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
            guard file.keepers.first?.publicKey == connection.peer else {
                throw NetworkError(.unauthorized, "\(address) gave another keeper's network file")
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
