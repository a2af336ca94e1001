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
        let store: ShardStore
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
        let id = directory.identity.publicKey.nodeID
        let store = try ShardStore(
            opening: configuration.directory,
            node: id,
            capacityBytes: configuration.capacityBytes,
            logger: logger
        )
        let loops = EventLoops(threads: configuration.eventLoopThreads)
        let workers = WorkerPool(threads: configuration.workerThreads)
        do {
            let handler = ProviderRequests(store: store, workers: workers)
            let listener = try Listener.start(
                on: configuration.listen,
                as: directory.identity,
                loops: loops,
                limits: configuration.limits,
                handler: handler,
                logger: logger
            )
            let pool = try ConnectionPool(identity: directory.identity, loops: loops)
            let reporter = try KeeperReporter(
                configuration: configuration,
                domain: domain ?? id.hex,
                port: listener.address.port,
                identity: directory.identity,
                pool: pool,
                store: store,
                logger: logger
            )
            running.withLock {
                $0 = Running(
                    directory: directory,
                    store: store,
                    loops: loops,
                    workers: workers,
                    listener: listener,
                    pool: pool,
                    reporter: reporter
                )
            }
            let status = store.status
            logger.notice(
                "provider \(id.short) ready on \(listener.address)",
                metadata: [
                    "node": "\(id)", "shards": "\(status.shardCount)",
                    "used": "\(status.usedBytes)", "capacity": "\(status.capacityBytes)",
                ]
            )
            return listener.address
        } catch {
            workers.stop()
            loops.stop()
            store.close()
            directory.release()
            throw NodeError("\(error)")
        }
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
        running.store.close()
        running.pool.stop()
        running.loops.stop()
        running.directory.release()
    }

    /// The provider's id while it runs.
    package var id: NodeID? { running.withLock { $0?.directory.identity.publicKey.nodeID } }

    /// What the store holds while it runs.
    package var status: StoreStatus? { running.withLock { $0?.store.status } }

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
