package import Logging
package import Network
package import Primitives
package import Transport
import Disk
import Sealing
import Synchronization

/// A provider: keeps shards in a directory for whoever brings them, and tells keepers that it
/// lives.
package final class ProviderServer: Sendable {
    private struct Running {
        let directory: NodeDirectory
        let parts: ProviderParts
        let loops: EventLoops
        let workers: WorkerPool
        let listener: Listener
        let pool: ConnectionPool
        let reporter: KeeperReporter
    }

    private let configuration: ProviderConfiguration
    private let logger: Logger
    private let running = Mutex<Running?>(nil)

    package init(configuration: ProviderConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Opens the store, listens, and begins to report.
    ///
    /// Blocks until that is done, but not for the keepers: one that is away is tried again until it
    /// answers.
    ///
    /// - Returns: where it listens.
    /// - Throws: `NodeError`, one line.
    package func start() throws(NodeError) -> NodeAddress {
        let domain = try checkedDomain()
        let directory = try NodeDirectory(path: configuration.directory, role: "provider")
        let workers = WorkerPool(threads: configuration.workerThreads)
        let parts: ProviderParts
        do {
            parts = try makeParts(directory, workers)
        } catch {
            workers.stop()
            directory.release()
            throw error
        }
        let loops = EventLoops(threads: configuration.eventLoopThreads)
        do {
            let honest = ProviderRequests(parts: parts, workers: workers, logger: logger)
            let listener = try Listener.start(
                on: configuration.listen,
                as: directory.identity,
                loops: loops,
                limits: configuration.limits,
                handler: configuration.wrapper?(honest) ?? honest,
                logger: logger
            )
            try writeAddress(listener.address)
            let pool = try ConnectionPool(identity: directory.identity, loops: loops)
            let reporter = try KeeperReporter(
                configuration: configuration,
                domain: domain ?? parts.id.hex,
                port: listener.address.port,
                identity: directory.identity,
                pool: pool,
                parts: parts,
                logger: logger
            )
            running.withLock {
                $0 = Running(
                    directory: directory,
                    parts: parts,
                    loops: loops,
                    workers: workers,
                    listener: listener,
                    pool: pool,
                    reporter: reporter
                )
            }
            let status = parts.status
            logger.notice(
                "provider \(parts.id.short) ready on \(listener.address)",
                metadata: [
                    "node": "\(parts.id)", "shards": "\(status.shardCount)",
                    "used": "\(status.usedBytes)", "capacity": "\(status.capacityBytes)",
                ]
            )
            return listener.address
        } catch {
            workers.stop()
            loops.stop()
            Self.close(parts)
            directory.release()
            throw NodeError("\(error)")
        }
    }

    /// Opens what is on the disk, and starts the scrub.
    private func makeParts(
        _ directory: NodeDirectory,
        _ workers: WorkerPool
    ) throws(NodeError) -> ProviderParts {
        let id = directory.identity.publicKey.nodeID
        let store = try ShardStore(
            opening: directory.path,
            node: id,
            capacityBytes: configuration.capacityBytes,
            logger: logger
        )
        do {
            let leaving = LeavingMark(directory: directory.path)
            let orders = try ProviderOrders(
                path: directory.path + "/orders.db",
                provider: directory.identity,
                store: store,
                leaving: leaving,
                now: configuration.now,
                logger: logger
            )
            return ProviderParts(
                id: id,
                store: store,
                orders: orders,
                prover: ProviderProver(orders: orders, store: store, workers: workers),
                scrubber: try Scrubber(
                    store: store,
                    orders: orders,
                    bytesPerSecond: configuration.scrubBytesPerSecond,
                    logger: logger
                ),
                leaving: leaving
            )
        } catch {
            store.close()
            throw error as? NodeError ?? NodeError("\(error)")
        }
    }

    private static func close(_ parts: ProviderParts) {
        parts.scrubber.stop()
        parts.store.close()
        parts.orders.close()
    }

    /// Where programs of this host find the provider: the file `DIR/address`.
    private func writeAddress(_ address: NodeAddress) throws {
        let host = address.isWildcard ? "127.0.0.1" : address.host
        let local = NodeAddress(host: host, port: address.port) ?? address
        try WholeFile.replace(
            configuration.directory + "/address",
            with: Array("\(local)\n".utf8)
        )
    }

    /// Ends it in order: no more requests, what is queued written, everything closed.
    ///
    /// Blocks.
    package func stop() {
        let running = running.withLock { running in
            defer { running = nil }
            return running
        }
        guard let running else { return }
        running.reporter.stop()
        running.listener.stop()
        running.workers.stop()
        Self.close(running.parts)
        running.pool.stop()
        running.loops.stop()
        running.directory.release()
    }

    /// The provider's id while it runs.
    package var id: NodeID? { running.withLock { $0?.directory.identity.publicKey.nodeID } }

    /// What the store holds while it runs.
    package var status: StoreStatus? { running.withLock { $0?.parts.status } }

    private func checkedDomain() throws(NodeError) -> String? {
        guard let domain = configuration.domain else { return nil }
        let isPlain = domain.unicodeScalars.allSatisfy {
            $0.properties.generalCategory != .control
        }
        guard isPlain, (1...ProviderRecord.domainBytesMax).contains(domain.utf8.count) else {
            throw NodeError(
                "a failure domain has 1 to \(ProviderRecord.domainBytesMax) bytes, no control"
                    + " characters"
            )
        }
        return domain
    }
}
