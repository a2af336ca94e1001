import Disk
import Glibc
import Primitives
import Sealing
import Synchronization
import Wire

/// The segment files of a store, `segments/0000000000000001.seg` and so on, a bounded number of
/// them open.
final class SegmentFiles: Sendable {
    /// A segment grows up to this; the last record may not pass it.
    static let segmentBytesMax = 256 << 20
    /// Open at once: a store of 32 GiB wholly, larger ones the segments last used.
    private static let openMax = 128

    /// One segment file, open.
    final class Segment: Sendable {
        let header: SegmentHeader
        let file: Descriptor
        /// The same file past the page cache, or `nil` where that cannot be had.
        private let direct: Mutex<Descriptor?>

        init(header: SegmentHeader, file: Descriptor, mayBeDirect: Bool) {
            self.header = header
            self.file = file
            let direct =
                mayBeDirect ? try? Descriptor(opening: file.path, .readWrite, .direct) : nil
            self.direct = Mutex(direct)
        }

        var number: UInt64 { header.number }

        /// Writes around the page cache where that is possible.
        ///
        /// Offset, bytes and their address are multiples of `SegmentRecord.alignment`.
        func writeAligned(
            at offset: UInt64,
            from bytes: UnsafeRawBufferPointer
        ) throws(DiskError) {
            if let direct = direct.withLock({ $0 }) {
                do throws(DiskError) {
                    return try direct.write(at: offset, from: bytes)
                } catch {
                    try giveUpDirect(after: error)
                }
            }
            try file.write(at: offset, from: bytes)
        }

        /// Reads around the page cache; `nil` where that is not possible.
        ///
        /// Offset, bytes and their address are multiples of `SegmentRecord.alignment`.
        func readAligned(
            at offset: UInt64,
            into buffer: UnsafeMutableRawBufferPointer
        ) throws(DiskError) -> Int? {
            guard let direct = direct.withLock({ $0 }) else { return nil }
            do throws(DiskError) {
                return try direct.read(at: offset, into: buffer)
            } catch {
                try giveUpDirect(after: error)
                return nil
            }
        }

        /// Remembers that the disk wants another alignment; throws any other error on.
        private func giveUpDirect(after error: DiskError) throws(DiskError) {
            guard error.errno == EINVAL else { throw error }
            direct.withLock { $0 = nil }
        }
    }

    private struct State {
        var open: [UInt64: (segment: Segment, lastUse: UInt64)] = [:]
        var uses: UInt64 = 0
    }

    private let directory: String
    private let node: NodeID
    /// Whether the disk is read and written around the page cache.
    private let isDirect: Bool
    private let state = Mutex(State())

    init(directory: String, node: NodeID) throws(DiskError) {
        self.directory = directory
        self.node = node
        try Directory.make(directory)
        isDirect = Host.takesDirectTransfers(directory)
    }

    /// The numbers of the files there, ascending.
    func numbers() throws(DiskError) -> [UInt64] {
        try Directory.list(directory).compactMap { name in
            guard name.hasSuffix(".seg"), name.utf8.count == 20 else { return nil }
            return UInt64(name.dropLast(4), radix: 16)
        }.sorted()
    }

    func path(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        let padding = String(repeating: "0", count: max(0, 16 - digits.utf8.count))
        return "\(directory)/\(padding)\(digits).seg"
    }

    /// Makes a segment; durable when this returns.
    func create(_ number: UInt64) throws(DiskError) -> Segment {
        let salt = SecureRandom.bytes(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let header = SegmentHeader(number: number, node: node, salt: salt)
        let file = try Descriptor(opening: path(number), .readWrite, [.create, .exclusive])
        try file.write(at: 0, header.encoded)
        try file.truncate(to: UInt64(SegmentRecord.alignment))
        try file.syncData()
        try Directory.sync(directory)
        let segment = Segment(header: header, file: file, mayBeDirect: isDirect)
        remember(segment)
        return segment
    }

    /// Opens a segment, or takes it from the table.
    func segment(_ number: UInt64) throws -> Segment {
        let known = state.withLock { state -> Segment? in
            guard let entry = state.open[number] else { return nil }
            state.uses += 1
            state.open[number] = (entry.segment, state.uses)
            return entry.segment
        }
        if let known { return known }
        let path = path(number)
        let file = try Descriptor(opening: path, .readWrite)
        let header: SegmentHeader
        do throws(DecodeError) {
            header = try SegmentHeader(
                decoding: (try? file.read(at: 0, count: SegmentHeader.byteCount)) ?? []
            )
        } catch {
            throw DamagedSegment(description: "\(path): \(error)")
        }
        guard header.node == node else {
            throw NodeError(
                .wrongKey,
                "\(path) belongs to node \(header.node.short), not to \(node.short); move it away"
            )
        }
        guard header.number == number else {
            throw DamagedSegment(
                description: "\(path) is segment \(header.number) by its header; rename it back"
            )
        }
        let segment = Segment(header: header, file: file, mayBeDirect: isDirect)
        remember(segment)
        return segment
    }

    /// Frees the space of a record, its header too, so that no scan finds it again.
    ///
    /// - Returns: `false` if the file system cannot punch holes; then only the header is gone.
    @discardableResult
    func punch(_ place: ShardIndex.Place) throws -> Bool {
        let file = try segment(place.segment).file
        do {
            try file.punchHole(place.offset..<place.offset + UInt64(place.footprint))
            return true
        } catch {
            try file.write(
                at: place.offset,
                [UInt8](repeating: 0, count: SegmentRecord.fixedBytes)
            )
            return false
        }
    }

    /// The header of the record at `location`, read and checked.
    func record(at location: ShardIndex.Location) throws -> (SegmentRecord, Segment) {
        let segment = try segment(location.segment)
        let bytes = try segment.file.read(
            at: location.offset,
            count: SegmentRecord.headerBytes(length: location.length)
        )
        let record = try SegmentRecord(decoding: bytes, salt: segment.header.salt)
        guard record.owner == location.owner, record.length == location.length,
            record.version == location.place.version,
            location.root == nil || record.root == location.root
        else { throw DecodeError.corrupt("index") }
        return (record, segment)
    }

    /// The root that the shard at `location` was stored with; of an old row, if its header can be
    /// read.
    func root(at location: ShardIndex.Location) -> Digest? {
        location.root ?? (try? record(at: location).0.root)
    }

    /// Removes a whole segment; nothing happens if it is missing.
    func remove(_ number: UInt64) throws(DiskError) {
        state.withLock { $0.open[number] = nil }
        try WholeFile.remove(path(number))
    }

    private func remember(_ segment: Segment) {
        state.withLock { state in
            if state.open.count >= Self.openMax,
                let oldest = state.open.min(by: { $0.value.lastUse < $1.value.lastUse })?.key
            {
                state.open[oldest] = nil
            }
            state.uses += 1
            state.open[segment.number] = (segment, state.uses)
        }
    }
}

/// A segment file whose header cannot be read.
struct DamagedSegment: Error, CustomStringConvertible {
    let description: String
}
