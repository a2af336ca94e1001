import Disk
import Glibc
import Logging
package import Network
package import Primitives
package import Transport
import SQLite
import Wire

extension ShardStore {
    /// Finds a range of a shard.
    ///
    /// Blocks for the disk.
    package func find(_ query: GetShard) throws(NetworkError) -> ShardRead {
        guard let location = try locate(query.shard) else { throw missing(query.shard) }
        guard location.owner == query.owner else {
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

    /// Whose a stored shard is, how long, and its Merkle root; `nil` if it is not here, or known to
    /// be damaged.
    package func stored(
        _ shard: ShardID
    ) throws(NetworkError) -> (owner: NodeID, bytes: UInt64, root: Digest?)? {
        guard !damage.contains(shard), let location = try locate(shard) else { return nil }
        return (location.owner, UInt64(location.length), files.root(at: location))
    }

    /// At most `limit` shards of an owner whose ids come after `shard`, ascending.
    package func shards(
        of owner: NodeID,
        after shard: ShardID?,
        limit: Int
    ) throws(NetworkError) -> [ShardID] {
        try read { (index) throws(SQLiteError) in
            try index.shards(of: owner, after: shard, limit: limit)
        }
    }

    func locate(_ shard: ShardID) throws(NetworkError) -> ShardIndex.Location? {
        try read { (index) throws(SQLiteError) in try index.find(shard) }
    }

    private func read<Value>(
        _ body: (ShardIndex) throws(SQLiteError) -> Value
    ) throws(NetworkError) -> Value {
        do throws(SQLiteError) {
            return try body(index)
        } catch {
            if error.isCorrupt { demandRebuild() }
            logger.error("the index failed: \(error)")
            throw NetworkError(
                .corrupt,
                "the provider's index failed; it is rebuilt at its restart"
            )
        }
    }

    private func missing(_ shard: ShardID) -> NetworkError {
        damage.kind(of: shard) == nil
            ? NetworkError(.notFound, "shard \(shard.short) is not here")
            : NetworkError(.corrupt, "shard \(shard.short) was lost here; put it again")
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
        let problem: any Error
        do {
            let (record, segment) = try header(of: shard, at: location)
            let chunks = ShardRead.chunks(around: range)
            let read = try self.read(chunks, of: record, at: location, in: segment, into: buffer)
            if let chunk = record.firstCorruptChunk(chunks, in: read) {
                throw DecodeError.corrupt("chunk \(chunk)")
            }
            guard let base = buffer.baseAddress, let first = read.baseAddress else { return 0..<0 }
            let position = first - UnsafeRawPointer(base)
            let start = position - chunks.lowerBound * SegmentRecord.chunkBytes
            return (start + range.lowerBound)..<(start + range.upperBound)
        } catch {
            problem = error
        }
        guard try isDamaged(shard, at: location, problem) else { throw missing(shard) }
        throw NetworkError(.corrupt, "shard \(shard.short) is damaged: \(problem)")
    }

    /// The header of the record at `location`, if it is that of `shard`.
    func header(
        of shard: ShardID,
        at location: ShardIndex.Location
    ) throws -> (SegmentRecord, SegmentFiles.Segment) {
        let (record, segment) = try files.record(at: location)
        guard record.shard == shard else { throw DecodeError.corrupt("index") }
        return (record, segment)
    }

    /// Reads chunks as they are on the disk into `buffer`.
    ///
    /// Around the page cache if `buffer` has `ShardRead.slackBytes` more room than they need.
    ///
    /// - Returns: the part of `buffer` that was read.
    func read(
        _ chunks: Range<Int>,
        of record: SegmentRecord,
        at location: ShardIndex.Location,
        in segment: SegmentFiles.Segment,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws -> UnsafeRawBufferPointer {
        let start = chunks.lowerBound * SegmentRecord.chunkBytes
        let wanted = min(chunks.upperBound * SegmentRecord.chunkBytes, record.length) - start
        let offset = location.offset + UInt64(record.headerBytes + start)
        if buffer.count >= wanted + ShardRead.slackBytes,
            let bytes = try readAround(offset, wanted, in: segment, into: buffer)
        {
            return bytes
        }
        let target = UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted])
        guard try segment.file.read(at: offset, into: target) == wanted else {
            throw DecodeError.corrupt("segment's end")
        }
        return UnsafeRawBufferPointer(target)
    }

    /// Reads the blocks of the disk that hold `count` bytes from `offset` on, past the page cache,
    /// and gives the bytes; `nil` where that is not possible.
    private func readAround(
        _ offset: UInt64,
        _ count: Int,
        in segment: SegmentFiles.Segment,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws -> UnsafeRawBufferPointer? {
        let block = SegmentRecord.alignment
        guard let base = buffer.baseAddress else { return nil }
        let room = base.alignedUp(toMultipleOf: block) - base
        let before = Int(offset % UInt64(block))
        let blocks = (before + count + block - 1) / block * block
        guard room + blocks <= buffer.count else { return nil }
        let target = UnsafeMutableRawBufferPointer(rebasing: buffer[room..<room + blocks])
        guard let length = try segment.readAligned(at: offset - UInt64(before), into: target)
        else { return nil }
        guard length >= before + count else { throw DecodeError.corrupt("segment's end") }
        return UnsafeRawBufferPointer(rebasing: target[before..<before + count])
    }

    /// Says what a failed read of a shard means, and remembers it if the shard is damaged.
    ///
    /// - Returns: `false` if the shard is no longer where it was: then its space reads as zero.
    func isDamaged(
        _ shard: ShardID,
        at location: ShardIndex.Location,
        _ problem: any Error
    ) throws(NetworkError) -> Bool {
        guard try locate(shard) == location else { return false }
        guard let kind = DamageLedger.Kind(of: problem) else {
            logger.error("shard \(shard) cannot be read now: \(problem)")
            throw NetworkError(
                .refused,
                "the provider cannot read shard \(shard.short) now: \(problem)"
            )
        }
        note(shard, kind, at: location, problem)
        return true
    }

    /// Remembers damage; `nil` stands for a shard that should be here and is not in the index.
    func note(
        _ shard: ShardID,
        _ kind: DamageLedger.Kind,
        at location: ShardIndex.Location?,
        _ problem: any Error
    ) {
        do throws(SQLiteError) {
            guard try damage.note(shard, kind, at: location) else { return }
            logger.error("shard \(shard) is damaged: \(problem)")
        } catch {
            logger.error("the index failed, damage of shard \(shard) is not noted: \(error)")
        }
    }
}

extension DamageLedger.Kind {
    /// What an error in reading a shard tells of it; `nil` if the disk or the host may be able to
    /// read it later.
    init?(of error: any Error) {
        switch error {
        case is DecodeError, is DamagedSegment: self = .corrupt
        case let error as DiskError where error.isNotFound: self = .missing
        case let error as DiskError where error.errno == EIO: self = .corrupt
        default: return nil
        }
    }
}

/// A range of a shard that was found and is still to be read.
package struct ShardRead: Sendable {
    fileprivate let store: ShardStore
    fileprivate let shard: ShardID
    fileprivate let location: ShardIndex.Location
    fileprivate let range: Range<Int>

    /// From so many bytes on a read goes around the page cache.
    ///
    /// An owner who reads this much keeps it in a cache of his own and does not soon ask again; a
    /// small read may be one of many around there.
    private static let directBytesMin = 128 << 10
    /// Room for what a read around the page cache reads more: to the blocks of the disk on both
    /// sides, and to an address that is a multiple of a block.
    fileprivate static let slackBytes = 3 * SegmentRecord.alignment

    /// Bytes of buffer that `read` needs: whole chunks, and for a large read `slackBytes`.
    package var bufferBytes: Int {
        let chunks = Self.chunks(around: range)
        let bytes =
            min(chunks.upperBound * SegmentRecord.chunkBytes, location.length)
            - chunks.lowerBound * SegmentRecord.chunkBytes
        return bytes < Self.directBytesMin ? bytes : bytes + Self.slackBytes
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
