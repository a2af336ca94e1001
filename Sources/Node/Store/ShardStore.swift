import Disk
package import Logging
package import Network
package import Primitives
package import Transport
import SQLite
import Synchronization
import Wire

/// The shards that a provider keeps: appended to segment files, found through an index, given
/// back to the owner that brought them only.
///
/// A put is acknowledged when the segment and then the index are synced, many puts at a time. So
/// killing the process or cutting the power at any instant loses nothing acknowledged. See
/// `docs/provider-store.md`.
package final class ShardStore: Sendable {
    /// Left free on the disk, so that deletions, which write to the index, still work when others
    /// fill it.
    package static let diskReserveBytes: UInt64 = 64 << 20
    /// Puts and deletions that wait for the writer.
    ///
    /// The listener bounds their bytes.
    private static let commandsMax = 4096

    enum Command: Sendable {
        case put(PreparedShard, [UInt8], Range<Int>, Completion)
        case delete([ShardID], NodeID, Completion)
    }

    /// Told how a put or a deletion ended, on the writer's thread; must not block.
    package typealias Completion = @Sendable (Result<Void, NetworkError>) -> Void

    package let directory: String
    package let capacityBytes: UInt64
    let index: ShardIndex
    let files: SegmentFiles
    let damage: DamageLedger
    let logger: Logger
    private let writer: StoreWriter
    private let commands = BoundedQueue<Command>(limit: commandsMax)
    private let thread: Mutex<Disk.Thread?> = Mutex(nil)

    /// Opens or makes the store in `directory`, puts right what a crash left, and starts its
    /// writer.
    ///
    /// Segments of another provider than `node` are refused.
    package init(
        opening directory: String,
        node: NodeID,
        capacityBytes: UInt64,
        logger: Logger
    ) throws(NodeError) {
        self.directory = directory
        self.capacityBytes = capacityBytes
        self.logger = logger
        do {
            files = try SegmentFiles(directory: directory + "/segments", node: node)
            let recovery = StoreRecovery(directory: directory, files: files, logger: logger)
            let recovered = try recovery.run()
            index = recovered.index
            damage = try DamageLedger(index: index)
            writer = try StoreWriter(
                recovered: recovered,
                damage: damage,
                files: files,
                directory: directory,
                capacityBytes: capacityBytes,
                logger: logger
            )
            let used = writer.usedBytes
            guard used <= capacityBytes else {
                throw NodeError(
                    "\(directory) holds \(used) bytes, more than the capacity of \(capacityBytes);"
                        + " start it with at least that capacity"
                )
            }
            let (writer, commands) = (writer, commands)
            let thread = try Disk.Thread.spawn("store") {
                while true {
                    let batch = commands.takeBatch(StoreWriter.batchMax)
                    if batch.isEmpty { break }
                    writer.process(batch)
                }
            }
            self.thread.withLock { $0 = thread }
        } catch let error as NodeError {
            throw error
        } catch let error as DiskError {
            throw NodeError(error)
        } catch let error as SQLiteError {
            throw NodeError(error)
        } catch {
            throw NodeError("\(directory): \(error)")
        }
    }

    deinit { commands.close() }

    /// Finishes what is queued and stops.
    ///
    /// Blocks. Later calls are refused.
    package func close() {
        commands.close()
        let thread = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        thread?.join()
        writer.flush()
    }

    /// What the store holds; costs nothing.
    package var status: StoreStatus {
        StoreStatus(
            capacityBytes: capacityBytes,
            usedBytes: writer.usedBytes,
            shardCount: writer.shardCount,
            damagedShards: UInt64(damage.count)
        )
    }

    /// Stores the shard that is `bytes[range]` and was hashed to `shard`; `done` is called on the
    /// writer's thread once it is durable, or with the reason why not.
    ///
    /// The same shard again is nothing new, unless it is damaged here: then it is mended.
    package func put(
        _ shard: PreparedShard,
        bytes: [UInt8],
        range: Range<Int>,
        done: @escaping Completion
    ) {
        precondition(range.count == shard.record.length)
        if !commands.tryPut(.put(shard, bytes, range, done)) { done(.failure(Self.busy)) }
    }

    /// Removes those of `shards` that `owner` has here; done when that is durable.
    package func delete(_ shards: [ShardID], owner: NodeID, done: @escaping Completion) {
        if !commands.tryPut(.delete(shards, owner, done)) { done(.failure(Self.busy)) }
    }

    /// Has the index made again at the next start.
    func demandRebuild() { writer.demandRebuild() }

    private static let busy = NetworkError(.refused, "the store is too busy, or stopping")
}
