import Disk
import Primitives
import SQLite
import Transport
import Wire
import Logging

/// A shard that is being reread, a piece at a time.
struct ShardScrub {
    fileprivate let shard: ShardID
    fileprivate let location: ShardIndex.Location
    fileprivate let record: SegmentRecord
    fileprivate let segment: SegmentFiles.Segment
    fileprivate var nextChunk = 0
    fileprivate var isOver = false
}

extension ShardStore {
    /// At most `limit` shards whose ids come after `shard`, ascending.
    func shards(after shard: ShardID?, limit: Int) throws -> [ShardID] {
        try index.shards(after: shard, limit: limit)
    }

    /// Reads and checks the header of a shard's record; `nil` if there is nothing to go on with.
    func beginScrub(of shard: ShardID) throws(NetworkError) -> ShardScrub? {
        guard let location = try locate(shard) else { return nil }
        do {
            let (record, segment) = try header(of: shard, at: location)
            return ShardScrub(shard: shard, location: location, record: record, segment: segment)
        } catch {
            _ = try? isDamaged(shard, at: location, error)
            return nil
        }
    }

    /// Rereads the next chunks of a shard, or, behind the last, what is behind them.
    ///
    /// A shard that proves whole is no longer counted as damaged. What was read does not stay in
    /// the page cache, where others have better use for the room.
    ///
    /// - Returns: bytes read, or `nil` when the shard is done.
    func continueScrub(_ scrub: inout ShardScrub) throws -> Int? {
        guard !scrub.isOver else { return nil }
        let record = scrub.record
        let chunks =
            scrub.nextChunk..<min(scrub.nextChunk + Scrubber.stepChunks, record.chunkCount)
        do {
            guard !chunks.isEmpty else {
                scrub.isOver = true
                return try finish(scrub)
            }
            scrub.nextChunk = chunks.upperBound
            return try check(chunks, scrub)
        } catch {
            scrub.isOver = true
            _ = try? isDamaged(scrub.shard, at: scrub.location, error)
            return chunks.count * SegmentRecord.chunkBytes
        }
    }

    private func check(_ chunks: Range<Int>, _ scrub: ShardScrub) throws -> Int {
        let room = chunks.count * SegmentRecord.chunkBytes
        return try withUnsafeTemporaryAllocation(byteCount: room, alignment: 64) { buffer in
            let bytes = try read(
                chunks,
                of: scrub.record,
                at: scrub.location,
                in: scrub.segment,
                into: buffer
            )
            if let chunk = scrub.record.firstCorruptChunk(chunks, in: bytes) {
                throw DecodeError.corrupt("chunk \(chunk)")
            }
            let start =
                scrub.location.offset
                + UInt64(scrub.record.headerBytes + chunks.lowerBound * SegmentRecord.chunkBytes)
            scrub.segment.file.forgetCached(start..<start + UInt64(bytes.count))
            return bytes.count
        }
    }

    private func finish(_ scrub: ShardScrub) throws -> Int? {
        let (record, location) = (scrub.record, scrub.location)
        if record.version == .proving {
            let bytes = try scrub.segment.file.read(
                at: location.offset + UInt64(record.headerBytes + record.length),
                count: record.trailerBytes
            )
            _ = try RecordTrailer(decoding: bytes, of: record, salt: scrub.segment.header.salt)
        }
        if damage.contains(scrub.shard), try locate(scrub.shard) == location {
            try damage.forget(scrub.shard)
            logger.notice("shard \(scrub.shard) is whole again")
        }
        return nil
    }
}
