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
        case put(SegmentRecord, [UInt8], Range<Int>, Completion)
        case delete([ShardID], NodeID, Completion)
    }

    /// Told how a put or a deletion ended, on the writer's thread; must not block.
    package typealias Completion = @Sendable (Result<Void, NetworkError>) -> Void

    package let directory: String
    package let capacityBytes: UInt64
    private let index: ShardIndex
    private let files: SegmentFiles
    private let logger: Logger
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
            writer = try StoreWriter(
                recovered: recovered,
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
            shardCount: writer.shardCount
        )
    }

    /// Stores the shard that is `bytes[range]` and described by `record`; `done` is called on the
    /// writer's thread once it is durable, or with the reason why not.
    package func put(
        _ record: SegmentRecord,
        bytes: [UInt8],
        range: Range<Int>,
        done: @escaping Completion
    ) {
        precondition(range.count == record.length)
        if !commands.tryPut(.put(record, bytes, range, done)) { done(.failure(Self.busy)) }
    }

    /// Removes those of `shards` that `owner` has here; done when that is durable.
    package func delete(_ shards: [ShardID], owner: NodeID, done: @escaping Completion) {
        if !commands.tryPut(.delete(shards, owner, done)) { done(.failure(Self.busy)) }
    }

    private static let busy = NetworkError(.refused, "the store is too busy, or stopping")

    // MARK: Reading

    /// Finds a range of a shard.
    ///
    /// Blocks for the disk.
    package func find(_ query: GetShard, owner: NodeID) throws(NetworkError) -> ShardRead {
        guard let location = try locate(query.shard) else { throw Self.missing(query.shard) }
        guard location.owner == owner else {
            throw NetworkError(.unauthorized, "shard \(query.shard.short) has another owner")
        }
        let end = Int(query.offset) + Int(query.count)
        guard end <= location.length else {
            throw NetworkError(
                .malformed,
                "shard \(query.shard.short) has \(location.length) bytes, \(end) were asked for"
            )
        }
        return ShardRead(
            store: self,
            shard: query.shard,
            location: location,
            range: Int(query.offset)..<end
        )
    }

    private func locate(_ shard: ShardID) throws(NetworkError) -> ShardIndex.Location? {
        do throws(SQLiteError) {
            return try index.find(shard)
        } catch {
            if error.isCorrupt { writer.demandRebuild() }
            logger.error("the index failed: \(error)")
            throw NetworkError(
                .corrupt,
                "the provider's index failed; it is rebuilt at its restart"
            )
        }
    }

    static func missing(_ shard: ShardID) -> NetworkError {
        NetworkError(.notFound, "shard \(shard.short) is not here")
    }

    /// Reads the chunks around `range` into `buffer` and checks them.
    ///
    /// - Returns: where `range` lies in `buffer`.
    fileprivate func read(
        _ shard: ShardID,
        _ location: ShardIndex.Location,
        _ range: Range<Int>,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(NetworkError) -> Range<Int> {
        let problem: String
        do {
            let segment = try files.segment(location.segment)
            let record = try Self.record(at: location, in: segment)
            guard record.shard == shard, record.owner == location.owner,
                record.length == location.length
            else { throw DecodeError.corrupt("index") }
            let chunks = ShardRead.chunks(around: range)
            let start = chunks.lowerBound * SegmentRecord.chunkBytes
            let wanted = min(chunks.upperBound * SegmentRecord.chunkBytes, location.length) - start
            let target = UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted])
            let offset = location.offset + UInt64(record.headerBytes + start)
            guard try segment.file.read(at: offset, into: target) == wanted else {
                throw DecodeError.corrupt("segment's end")
            }
            if let chunk = record.firstCorruptChunk(chunks, in: UnsafeRawBufferPointer(target)) {
                throw DecodeError.corrupt("chunk \(chunk)")
            }
            return (range.lowerBound - start)..<(range.upperBound - start)
        } catch {
            problem = "\(error)"
        }
        // It may have been removed since it was found: then its space reads as zero.
        guard try locate(shard) == location else { throw Self.missing(shard) }
        logger.error("shard \(shard) cannot be read: \(problem)")
        throw NetworkError(.corrupt, "shard \(shard.short) is damaged: \(problem)")
    }

    static func record(
        at location: ShardIndex.Location,
        in segment: SegmentFiles.Segment
    ) throws -> SegmentRecord {
        let bytes = try segment.file.read(
            at: location.offset,
            count: SegmentRecord.headerBytes(length: location.length)
        )
        return try SegmentRecord(decoding: bytes, salt: segment.header.salt)
    }
}

/// A range of a shard that was found and is still to be read.
package struct ShardRead: Sendable {
    fileprivate let store: ShardStore
    fileprivate let shard: ShardID
    fileprivate let location: ShardIndex.Location
    fileprivate let range: Range<Int>

    /// Bytes of buffer that `read` needs: whole chunks.
    package var bufferBytes: Int {
        let chunks = Self.chunks(around: range)
        return min(chunks.upperBound * SegmentRecord.chunkBytes, location.length)
            - chunks.lowerBound * SegmentRecord.chunkBytes
    }

    /// Reads into `buffer`, of `bufferBytes`, and checks what it read.
    ///
    /// Blocks for the disk.
    ///
    /// - Returns: the part of `buffer` that was asked for.
    package func read(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(NetworkError) -> Range<Int> {
        try store.read(shard, location, range, into: buffer)
    }

    fileprivate static func chunks(around range: Range<Int>) -> Range<Int> {
        let last = (range.upperBound - 1) / SegmentRecord.chunkBytes
        return range.lowerBound / SegmentRecord.chunkBytes..<(last + 1)
    }
}
