package import Primitives
package import Transport
import Sealing
import Synchronization
import Wire

/// Calls to the keepers of a network: the first that answers is asked, the others stand by.
package final class KeeperClient: Sendable {
    /// Time for one answer of a keeper.
    package static let timeout = Duration.seconds(5)

    /// How long to wait for what all keepers are asked at once: 3 s for the connection, 5 s for the
    /// handshake, and `timeout`.
    package static let patience = timeout + .seconds(8)

    package let keepers: [KeeperEndpoint]
    private let pool: ConnectionPool
    /// Index of the keeper that answered last.
    private let preferred = Mutex(0)

    package init(keepers: [KeeperEndpoint], pool: ConnectionPool) {
        precondition(!keepers.isEmpty)
        self.keepers = keepers
        self.pool = pool
    }

    /// The providers that keepers know of, in no order.
    ///
    /// All keepers are asked, so that one that is new, was cut off or lies hides none. A provider
    /// is up if one has it so, and as most of those say that have it up; of as many, as the first.
    package func providers() -> Pending<[ProviderRecord]> {
        everyone(.listProviders, []).map { (bodies) throws(NetworkError) in
            var lists: [[ProviderRecord]] = []
            for body in bodies { lists.append(try Self.decode(ProviderList.self, body).providers) }
            return Self.merged(lists)
        }
    }

    /// One list of what several keepers told.
    package static func merged(_ lists: [[ProviderRecord]]) -> [ProviderRecord] {
        if lists.count == 1, let list = lists.first { return list }
        let known = Dictionary(grouping: lists.joined(), by: \.id)
        return known.values.compactMap { records in
            let up = records.filter(\.isUp)
            let candidates = up.isEmpty ? records : up
            let votes = Dictionary(grouping: candidates, by: \.address).mapValues(\.count)
            let most = votes.values.max()
            return candidates.first { votes[$0.address] == most }
        }
    }

    /// Registers a volume, or replaces our own registration of it, with every keeper: keepers do
    /// not tell each other.
    ///
    /// Done when all have answered and one has taken it.
    package func register(_ volume: VolumeRegistration) -> Pending<Void> {
        everyone(.registerVolume, volume.encoded).map { _ in }
    }

    /// The registration of one of our volumes, the newest that a keeper has, or `nil`.
    package func registration(of id: VolumeID) -> Pending<VolumeRegistration?> {
        registrations().map { volumes in volumes.first { $0.id == id } }
    }

    /// All registrations of our identity, at whatever keeper.
    package func registrations() -> Pending<[VolumeRegistration]> {
        everyone(.listVolumes, []).map { (bodies) throws(NetworkError) in
            var newest: [VolumeID: VolumeRegistration] = [:]
            for body in bodies {
                for volume in try Self.decode(VolumeList.self, body).volumes
                where volume.isSignatureValid {
                    if let other = newest[volume.id], !volume.replaces(other) { continue }
                    newest[volume.id] = volume
                }
            }
            return newest.values.sorted { $0.id < $1.id }
        }
    }

    /// Tells one keeper that this provider lives.
    package func beat(_ heartbeat: Heartbeat, to keeper: KeeperEndpoint) -> Pending<Void> {
        request(.heartbeat, heartbeat.encoded, to: keeper).map { _ in }
    }

    /// The address of this host as `keeper`'s network sees it; connects if need be.
    package func localHost(towards keeper: KeeperEndpoint) -> Pending<String> {
        let host = Pending<String>()
        pool.withConnection(to: keeper.publicKey.nodeID, at: keeper.address) { outcome in
            host.fulfil(outcome.map(\.localHost))
        }
        return host
    }

    /// Asks the first keeper that answers, or all, as the query says.
    package func ask<Q: KeeperQuery>(_ query: Q) -> Pending<Q.Answer> {
        guard Q.isForEveryKeeper else {
            return call(Q.operation, query.encoded, timeout: Q.timeout).map(Self.answer)
        }
        return everyone(Q.operation, query.encoded, timeout: Q.timeout).map {
            (bodies) throws(NetworkError) in
            guard let body = bodies.first else {
                throw NetworkError(.unreachable, "no keeper is known")
            }
            return try Self.answer(body)
        }
    }

    /// Asks one keeper.
    package func ask<Q: KeeperQuery>(_ query: Q, of id: NodeID) -> Pending<Q.Answer> {
        guard let keeper = keepers.first(where: { $0.publicKey.nodeID == id }) else {
            return Pending(
                .failure(
                    NetworkError(.unreachable, "keeper \(id.short) is not in the network's file")
                )
            )
        }
        return request(Q.operation, query.encoded, to: keeper, timeout: Q.timeout)
            .map(Self.answer)
    }

    // MARK: Asking

    private static func answer<M: Message>(_ body: [UInt8]) throws(NetworkError) -> M {
        try decode(M.self, body)
    }

    /// Asks the preferred keeper, and the others in turn while it cannot be reached.
    private func call(
        _ operation: Operation,
        _ body: [UInt8] = [],
        timeout: Duration = KeeperClient.timeout
    ) -> Pending<[UInt8]> {
        let result = Pending<[UInt8]>()
        let first = preferred.withLock { $0 }
        ask(operation, body, timeout: timeout, first: first, tried: 0, result)
        return result
    }

    private func ask(
        _ operation: Operation,
        _ body: [UInt8],
        timeout: Duration,
        first: Int,
        tried: Int,
        _ result: Pending<[UInt8]>
    ) {
        let index = (first + tried) % keepers.count
        request(operation, body, to: keepers[index], timeout: timeout).whenDone { outcome in
            if case .failure(let error) = outcome, error.isTransient,
                tried + 1 < self.keepers.count
            {
                self.ask(
                    operation,
                    body,
                    timeout: timeout,
                    first: first,
                    tried: tried + 1,
                    result
                )
                return
            }
            if case .success = outcome { self.preferred.withLock { $0 = index } }
            result.fulfil(outcome)
        }
    }

    /// Asks all keepers; what those answered that did, or the first failure if none did.
    private func everyone(
        _ operation: Operation,
        _ body: [UInt8],
        timeout: Duration = KeeperClient.timeout
    ) -> Pending<[[UInt8]]> {
        let result = Pending<[[UInt8]]>()
        let answers = keepers.map { request(operation, body, to: $0, timeout: timeout) }
        let ended = answers.map { answer -> Pending<Void> in
            let ended = Pending<Void>()
            answer.whenDone { _ in ended.fulfil(.success(())) }
            return ended
        }
        Pending.all(ended).whenDone { _ in
            var bodies: [[UInt8]] = []
            var failure: NetworkError?
            for outcome in answers.compactMap(\.outcome) {
                switch outcome {
                case .success(let body): bodies.append(body)
                case .failure(let error): failure = failure ?? error
                }
            }
            if bodies.isEmpty, let failure {
                result.fulfil(.failure(failure))
            } else {
                result.fulfil(.success(bodies))
            }
        }
        return result
    }

    private func request(
        _ operation: Operation,
        _ body: [UInt8],
        to keeper: KeeperEndpoint,
        timeout: Duration = KeeperClient.timeout
    ) -> Pending<[UInt8]> {
        pool.request(
            operation.rawValue,
            to: keeper.publicKey.nodeID,
            at: keeper.address,
            head: body,
            timeout: timeout
        )
    }

    static func decode<M: Message>(_ type: M.Type, _ body: [UInt8]) throws(NetworkError) -> M {
        do throws(DecodeError) {
            return try M(decoding: body)
        } catch {
            throw NetworkError(.malformed, "a node answered with a malformed \(M.self): \(error)")
        }
    }
}
