package import Logging
package import Network
package import Primitives
package import Transport
import Disk
import Sealing
import Synchronization

/// A keeper: the directory of a network's providers, and the register of its volumes.
package final class KeeperServer: Sendable {
    private struct Running {
        let directory: NodeDirectory
        let state: KeeperState
        let loops: EventLoops
        let workers: WorkerPool
        let listener: Listener
    }

    /// One: everything it does is a small transaction of one database.
    private static let workerThreads = 1

    private let configuration: KeeperConfiguration
    private let logger: Logger
    private let running = Mutex<Running?>(nil)

    package init(configuration: KeeperConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Opens the state and listens.
    ///
    /// Blocks until that is done.
    ///
    /// - Returns: where it listens.
    /// - Throws: `NodeError`, one line.
    package func start() throws(NodeError) -> NodeAddress {
        let directory = try NodeDirectory(path: configuration.directory, role: "keeper")
        let state = try KeeperState(directory: configuration.directory)
        let loops = EventLoops()
        let workers = WorkerPool(threads: Self.workerThreads)
        do {
            let handler = KeeperRequests(
                state: state,
                workers: workers,
                identity: directory.identity,
                advertise: configuration.advertise,
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
            running.withLock {
                $0 = Running(
                    directory: directory,
                    state: state,
                    loops: loops,
                    workers: workers,
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
            throw NodeError("\(error)")
        }
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
        running.state.flush(now: Clock.now())
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
}
