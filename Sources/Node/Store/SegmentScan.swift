import Disk
import Primitives
import Wire

/// Walks over the records of a segment file, past holes and rubbish.
struct SegmentScan {
    private let segment: SegmentFiles.Segment
    private let verifiesShards: Bool
    /// Where the next record is looked for.
    private(set) var position: UInt64
    /// Where the last record found ends.
    private(set) var lastEnd: UInt64 = 0

    init(
        segment: SegmentFiles.Segment,
        from start: UInt64 = UInt64(SegmentRecord.alignment),
        verifiesShards: Bool
    ) {
        self.segment = segment
        self.verifiesShards = verifiesShards
        position = start
    }

    /// The next record and its offset.
    mutating func next() throws(DiskError) -> (UInt64, SegmentRecord)? {
        let alignment = UInt64(SegmentRecord.alignment)
        while let data = try segment.file.nextData(from: position) {
            // Rounds down inside the block, but never back before where we are.
            let offset = max(position, data / alignment * alignment)
            if let record = try record(at: offset) {
                position = offset + UInt64(record.footprint)
                lastEnd = position
                return (offset, record)
            }
            position = offset + alignment
        }
        return nil
    }

    private func record(at offset: UInt64) throws(DiskError) -> SegmentRecord? {
        let fixed = try segment.file.read(at: offset, count: SegmentRecord.fixedBytes)
        guard let told = try? SegmentRecord.unverified(fixed) else { return nil }
        let header = try segment.file.read(
            at: offset,
            count: SegmentRecord.headerBytes(length: told.length)
        )
        guard let record = try? SegmentRecord(decoding: header, salt: segment.header.salt) else {
            return nil
        }
        guard verifiesShards else { return record }
        return try isWhole(record, at: offset) ? record : nil
    }

    private func isWhole(_ record: SegmentRecord, at offset: UInt64) throws(DiskError) -> Bool {
        let bytes = try segment.file.read(
            at: offset + UInt64(record.headerBytes),
            count: record.length + record.trailerBytes
        )
        guard bytes.count == record.length + record.trailerBytes else { return false }
        let chunks = 0..<record.chunkCount
        guard bytes.withUnsafeBytes({ record.firstCorruptChunk(chunks, in: $0) }) == nil else {
            return false
        }
        guard record.version == .proving else { return true }
        let trailer = Array(bytes[record.length...])
        return (try? RecordTrailer(decoding: trailer, of: record, salt: segment.header.salt)) != nil
    }
}
