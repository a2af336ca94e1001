import Disk
import Logging
import Network
import Primitives
import Sealing
import Synchronization
import Transport

/// Sends heartbeats to the keepers of a provider, on a thread of its own.
final class KeeperReporter: Sendable {
    private enum News: Hashable {
        case reached
        case failed(String)
    }

    private let configuration: ProviderConfiguration
    private let domain: String
    private let port: Int
    private let identity: SigningKey
    private let pool: ConnectionPool
    private let parts: ProviderParts
    private let logger: Logger
    private let isStopping = Condition(false)
    private let thread = Mutex<Disk.Thread?>(nil)
    /// What was last logged of each keeper, so that only changes are.
    private let news = Mutex<[NodeAddress: News]>([:])

    init(
        configuration: ProviderConfiguration,
        domain: String,
        port: Int,
        identity: SigningKey,
        pool: ConnectionPool,
        parts: ProviderParts,
        logger: Logger
    ) throws(DiskError) {
        self.configuration = configuration
        self.domain = domain
        self.port = port
        self.identity = identity
        self.pool = pool
        self.parts = parts
        self.logger = logger
        let thread = try Disk.Thread.spawn("heartbeat") { self.run() }
        self.thread.withLock { $0 = thread }
    }

    func stop() {
        isStopping.update { $0 = true }
        thread.withLock { thread in
            defer { thread = nil }
            return thread
        }?.join()
    }

    private func run() {
        var client: KeeperClient?
        while true {
            if client == nil { client = connect() }
            if let client { beat(client) }
            let stop = isStopping.wait(for: Heartbeat.interval) { $0 ? true : nil }
            if stop != nil { return }
        }
    }

    private func beat(_ client: KeeperClient) {
        // All at once, so that a keeper that is away does not delay the others.
        let beats = client.keepers.map { keeper in
            (keeper, self.beat(client, to: keeper))
        }
        for (keeper, beat) in beats {
            do throws(NetworkError) {
                try beat.wait(for: Heartbeat.interval)
                note(.reached, of: keeper.address)
            } catch {
                note(.failed(error.message), of: keeper.address)
            }
        }
    }

    private func beat(_ client: KeeperClient, to keeper: KeeperEndpoint) -> Pending<Void> {
        let done = Pending<Void>()
        client.localHost(towards: keeper).whenDone { outcome in
            do throws(NetworkError) {
                let address = try self.advertised(localHost: try outcome.get())
                client.beat(self.heartbeat(address), to: keeper).forward(to: done)
            } catch {
                done.fulfil(.failure(error))
            }
        }
        return done
    }

    private func advertised(localHost: String) throws(NetworkError) -> NodeAddress {
        if let advertise = configuration.advertise {
            return advertise.port > 0
                ? advertise : NodeAddress(host: advertise.host, port: port) ?? advertise
        }
        let listen = configuration.listen
        let host = listen.isWildcard ? localHost : listen.host
        guard let address = NodeAddress(host: host, port: port) else {
            throw NetworkError(.refused, "our own address is not known; give --advertise HOST:PORT")
        }
        return address
    }

    private func heartbeat(_ address: NodeAddress) -> Heartbeat {
        let status = parts.status
        // No more than the disk really has room for.
        let free = (try? Host.freeBytes(configuration.directory)) ?? 0
        let room =
            status.usedBytes
            + (free > ShardStore.diskReserveBytes
                ? free - ShardStore.diskReserveBytes : 0)
        return Heartbeat(
            address: address,
            domain: domain,
            capacityBytes: min(status.capacityBytes, room),
            usedBytes: status.usedBytes,
            isLeaving: status.isLeaving,
            damagedShards: status.damagedShards
        )
    }

    // MARK: First contact

    private var pinPath: String { configuration.directory + "/keeper" }

    /// The keepers' client, once their keys are known.
    private func connect() -> KeeperClient? {
        switch configuration.keepers {
        case .known(let keepers):
            return keepers.isEmpty ? nil : KeeperClient(keepers: keepers, pool: pool)
        case .firstContact(let address):
            do {
                let key = try pinnedKey(of: address)
                let keeper = KeeperEndpoint(address: address, publicKey: key)
                return KeeperClient(keepers: [keeper], pool: pool)
            } catch {
                note(.failed("\(error)"), of: address)
                return nil
            }
        }
    }

    private func pinnedKey(of address: NodeAddress) throws -> PublicKey {
        if WholeFile.exists(pinPath) {
            let text = String(decoding: try WholeFile.read(pinPath, limit: 4096), as: UTF8.self)
            let fields = text.split(whereSeparator: \.isWhitespace)
            guard fields.count == 2, let bytes = Hex.decode(String(fields[1])),
                let key = PublicKey(bytes: bytes)
            else {
                throw NodeError(
                    "\(pinPath) is not HOST:PORT and a key; remove it to trust the keeper anew"
                )
            }
            if NodeAddress(String(fields[0])) == address { return key }
            logger.notice("the keeper is another one than before: \(address)")
        }
        let (key, description) = try FirstContact.describe(address, as: identity)
        guard description.role == .keeper else {
            throw NodeError("\(address) is a \(description.role) and not a keeper")
        }
        try WholeFile.replace(pinPath, with: Array("\(address) \(Hex.encode(key.bytes))\n".utf8))
        logger.notice("keeper \(address) has the key \(key); from now on only that is accepted")
        return key
    }

    private func note(_ event: News, of keeper: NodeAddress) {
        let isNews = news.withLock { news -> Bool in
            defer { news[keeper] = event }
            return news[keeper] != event
        }
        guard isNews else { return }
        switch event {
        case .reached: logger.notice("reporting to keeper \(keeper)")
        case .failed(let reason):
            logger.warning("keeper \(keeper) is not reached, trying again: \(reason)")
        }
    }
}
