package import Auditor
package import Logging
package import Network
package import Primitives
package import Transport
import Disk
import Sealing
import Synchronization

/// A keeper: the directory of a network's providers and the register of its volumes, its beacon,
/// its judge of providers, and who looks after volumes while their owners are away.
package final class KeeperServer: Sendable {
    private struct Running {
        let directory: NodeDirectory
        let services: KeeperServices
        let loops: EventLoops
        let workers: WorkerPool
        let rounds: KeeperRounds
        let custody: CustodyHost
        let listener: Listener
    }

    /// Two: everything it does is a transaction of one database or the other.
    private static let workerThreads = 2

    private let configuration: KeeperConfiguration
    private let logger: Logger
    private let now: @Sendable () -> Timestamp
    private let running = Mutex<Running?>(nil)

    /// A keeper that does not run yet; `now` is the wall clock.
    package init(
        configuration: KeeperConfiguration,
        logger: Logger,
        now: @escaping @Sendable () -> Timestamp = { Clock.now() }
    ) {
        self.configuration = configuration
        self.logger = logger
        self.now = now
    }

    /// Opens the state and listens.
    ///
    /// Blocks until that is done.
    ///
    /// - Returns: where it listens.
    /// - Throws: `NodeError`, one line.
    package func start() throws(NodeError) -> NodeAddress {
        let directory = try NodeDirectory(path: configuration.directory, role: "keeper")
        let loops = EventLoops()
        let workers = WorkerPool(threads: Self.workerThreads)
        do {
            let services = try open(directory.identity, loops)
            let custody = try CustodyHost(
                directory: configuration.directory + "/custody",
                configuration: configuration.custody,
                services: services,
                logger: logger
            )
            let handler = KeeperRequests(
                services: services,
                workers: workers,
                advertise: configuration.advertise,
                membership: KeeperMembership(directory: configuration.directory),
                logger: logger
            )
            let listener = try Listener.start(
                on: configuration.listen,
                as: directory.identity,
                loops: loops,
                limits: configuration.limits,
                handler: handler,
                logger: logger
            )
            let rounds = KeeperRounds(services: services, logger: logger)
            do {
                try rounds.start()
                try custody.start()
            } catch {
                rounds.stop()
                listener.stop()
                services.pool.stop()
                throw error
            }
            running.withLock {
                $0 = Running(
                    directory: directory,
                    services: services,
                    loops: loops,
                    workers: workers,
                    rounds: rounds,
                    custody: custody,
                    listener: listener
                )
            }
            let key = directory.identity.publicKey
            logger.notice(
                "keeper \(key.nodeID.short) ready on \(listener.address)",
                metadata: ["node": "\(key.nodeID)", "key": "\(key)"]
            )
            return listener.address
        } catch {
            workers.stop()
            loops.stop()
            directory.release()
            throw error as? NodeError ?? NodeError("\(error)")
        }
    }

    private func open(
        _ identity: SigningKey,
        _ loops: EventLoops
    ) throws -> KeeperServices {
        let path = configuration.directory
        let database = try KeeperDatabase(path: path + "/keeper.db", format: .keeper)
        let histories = try ProviderHistories(database: database)
        let leases = try LeaseStore(
            database: database,
            times: configuration.leaseTimes,
            logger: logger
        )
        return KeeperServices(
            identity: identity,
            state: try KeeperState(database: database, histories: histories, now: now()),
            histories: histories,
            beacons: try BeaconChain(
                database: database,
                directory: path,
                identity: identity,
                epochSeconds: configuration.epochSeconds,
                logger: logger
            ),
            register: CustodyRegister(database: database, histories: histories, logger: logger),
            heads: HeadStore(database: database, leases: leases, logger: logger),
            retained: try RetainedHeadStore(directory: path, volumes: database, logger: logger),
            leases: leases,
            delegations: try DelegationStore(directory: path, holdLasts: configuration.holdLasts),
            pool: try ConnectionPool(identity: identity, loops: loops),
            now: now
        )
    }

    /// Ends it in order.
    ///
    /// Blocks.
    package func stop() {
        let running = running.withLock { running in
            defer { running = nil }
            return running
        }
        guard let running else { return }
        running.listener.stop()
        running.workers.stop()
        running.rounds.stop()
        running.custody.stop()
        running.services.state.flush(now: now())
        running.services.pool.stop()
        running.loops.stop()
        running.directory.release()
    }

    /// A signed network file with this keeper alone, while it runs.
    ///
    /// Without a `name` it gets one made of the keeper's id. `advertised` is where others reach the
    /// keeper: by default as configured, else as bound.
    package func networkFile(
        named name: String? = nil,
        code: ErasureCode,
        advertised: NodeAddress? = nil
    ) throws(NodeError) -> NetworkFile {
        guard
            let (identity, bound) = running.withLock({ running in
                running.map { ($0.directory.identity, $0.listener.address) }
            })
        else { throw NodeError("the keeper does not run") }
        let address = advertised ?? configuration.advertise ?? bound
        guard !address.isWildcard else {
            throw NodeError(
                "\(address) is not an address to connect to; give the keeper --advertise HOST:PORT"
            )
        }
        do throws(NetworkFileError) {
            return try NetworkFile.signed(
                name: name ?? KeeperRequests.defaultName(identity),
                code: code,
                keepers: [KeeperEndpoint(address: address, publicKey: identity.publicKey)],
                by: identity
            )
        } catch {
            throw NodeError("\(error)")
        }
    }

    /// The keeper's id while it runs.
    package var id: NodeID? { running.withLock { $0?.directory.identity.publicKey.nodeID } }

    /// Seconds of its epochs, while it runs.
    package var epochSeconds: UInt32? {
        running.withLock { $0?.services.beacons.epochSeconds }
    }

    /// What the keeper's custodian knows of a delegated volume; `nil` while the owner looks after
    /// it itself.
    package func custodyStatus(of volume: VolumeID, owner: NodeID) -> CustodyStatus? {
        let custody = running.withLock { $0?.custody }
        return custody?.status(of: DelegationKey(owner: owner, volume: volume))
    }
}
