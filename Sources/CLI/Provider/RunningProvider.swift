import Control
import Disk
import Network
import Primitives
import Sealing
import Transport
import Wire

/// The provider that runs on a store of this machine, asked as itself: with its own key.
struct RunningProvider {
    /// The longest of the small files that is looked at.
    private static let fileBytesMax = 4096
    private static let timeout = Duration.seconds(10)

    let id: NodeID
    let address: NodeAddress
    private let loops: EventLoops
    private let pool: ConnectionPool

    /// Finds it by what it wrote into its directory.
    ///
    /// - Throws: `notFound` if there is no provider's directory or address.
    init(store: String) throws {
        let key = try Self.text(of: store + "/identity")
        guard let seed = Hex.decode(key), let identity = try? SigningKey(seed: seed) else {
            throw ControlFailure(.notFound, "\(store)/identity is not a node's key")
        }
        let place = try Self.text(of: store + "/address")
        guard let address = NodeAddress(place) else {
            throw ControlFailure(.corrupt, "\(store)/address is not HOST:PORT: '\(place)'")
        }
        self.address = address
        id = identity.publicKey.nodeID
        loops = EventLoops()
        pool = try ConnectionPool(identity: identity, loops: loops)
    }

    func close() {
        pool.stop()
        loops.stop()
    }

    /// What its store holds now.
    func status() throws -> StoreStatus {
        try StoreStatus(decoding: ask(.storeStatus, []))
    }

    func ask<Query: ProviderQuery>(_ query: Query) throws -> Query.Answer {
        try Query.Answer(decoding: ask(Query.operation, query.encoded))
    }

    private func ask(_ operation: Operation, _ body: [UInt8]) throws -> [UInt8] {
        do throws(NetworkError) {
            return try pool.request(
                operation.rawValue,
                to: id,
                at: address,
                head: body,
                timeout: Self.timeout
            ).wait(for: Self.timeout)
        } catch {
            guard error.isTransient else { throw error }
            throw ControlFailure(
                .unreachable,
                "the provider does not answer at \(address); is 'mefs provider run' running?"
            )
        }
    }

    private static func text(of path: String) throws -> String {
        guard WholeFile.exists(path) else {
            throw ControlFailure(
                .notFound,
                "\(path) is missing; give the --store of a provider that has run"
            )
        }
        let bytes = try WholeFile.read(path, limit: fileBytesMax)
        return String(String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace })
    }
}
