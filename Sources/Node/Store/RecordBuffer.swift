import Disk
import Glibc

/// Gathers records that lie one after another in a segment, and writes them around the page cache.
///
/// A provider seldom reads what it has just written: in the page cache it would only push out what
/// others of the host need, and cost a copy and fresh pages, which is most of what a buffered write
/// costs. Where the file system knows no such writes they go through the page cache.
///
/// Not thread-safe; the store's writer has one.
final class RecordBuffer {
    /// Room for the largest record.
    private static let capacity = SegmentRecord.footprint(length: SegmentRecord.lengthMax)

    private let memory: UnsafeMutableRawBufferPointer
    private var count = 0
    /// Where in its segment the first byte belongs.
    private var start: UInt64 = 0
    private var segment: SegmentFiles.Segment?

    init() {
        memory = .allocate(byteCount: Self.capacity, alignment: SegmentRecord.alignment)
    }

    deinit { memory.deallocate() }

    /// Takes a record of `footprint` bytes that begins at `offset`, a multiple of
    /// `SegmentRecord.alignment` as is its footprint; `parts` follow one another, zeros follow
    /// them.
    ///
    /// Writes what is here before if the record does not follow it or finds no room.
    func append(
        _ parts: [UnsafeRawBufferPointer],
        footprint: Int,
        at offset: UInt64,
        in segment: SegmentFiles.Segment
    ) throws(DiskError) {
        precondition(footprint <= memory.count)
        if self.segment !== segment || start + UInt64(count) != offset
            || count + footprint > memory.count
        {
            try write()
            self.segment = segment
            start = offset
        }
        let target = UnsafeMutableRawBufferPointer(rebasing: memory[count..<count + footprint])
        var end = 0
        for part in parts {
            UnsafeMutableRawBufferPointer(rebasing: target[end...]).copyMemory(from: part)
            end += part.count
        }
        UnsafeMutableRawBufferPointer(rebasing: target[end...])
            .initializeMemory(as: UInt8.self, repeating: 0)
        count += footprint
    }

    /// Writes everything; not synced yet.
    func write() throws(DiskError) {
        guard let segment, count > 0 else { return }
        defer { forget() }
        try segment.writeAligned(
            at: start,
            from: UnsafeRawBufferPointer(rebasing: memory[..<count])
        )
    }

    /// Drops what was not written.
    func forget() {
        count = 0
        segment = nil
    }
}
