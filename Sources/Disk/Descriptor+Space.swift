import CLinux
import Glibc
import Primitives

/// Sizes, holes and allocation. Ranges are bytes of the file, upper bound excluded.
extension Descriptor {
    /// Bytes to the end of the file, holes included.
    package func size() throws(DiskError) -> UInt64 {
        if let simulated { return try simulated.size() }
        return UInt64(clamping: try status().st_size)
    }

    /// Bytes the file occupies on its disk; holes cost nothing.
    package func allocatedBytes() throws(DiskError) -> UInt64 {
        if let simulated { return try simulated.allocatedBytes() }
        return UInt64(clamping: try status().st_blocks) &* 512
    }

    /// Whether nobody else has the file open, for reading or writing, in any process or for one.
    ///
    /// `false` also where the filesystem cannot tell. Of a file that is open for writing here.
    package func isOpenOnce() throws(DiskError) -> Bool {
        if let simulated { return try simulated.isOpenOnce() }
        return clinux_is_open_once(fd)
    }

    /// Size, time of the last change and space, as of one moment.
    package func stamp() throws(DiskError) -> FileStamp {
        if let simulated { return try simulated.stamp() }
        let status = try status()
        return FileStamp(
            size: UInt64(clamping: status.st_size),
            modified: Timestamp(
                seconds: Int64(status.st_mtim.tv_sec),
                nanoseconds: UInt32(clamping: status.st_mtim.tv_nsec)
            ),
            allocatedBytes: UInt64(clamping: status.st_blocks) &* 512
        )
    }

    private func status() throws(DiskError) -> stat {
        var result = stat()
        try systemCall("stat", path) { fstat(fd, &result) }
        return result
    }

    /// Makes the file exactly `size` bytes long; what is added is a hole.
    package func truncate(to size: UInt64) throws(DiskError) {
        let length = try kernelOffset(size, "truncate", path)
        if let simulated { return try simulated.truncate(to: size) }
        try systemCall("truncate", path) { ftruncate(fd, length) }
    }

    /// Gives the range's space back; it reads as zero after.
    ///
    /// The size stays.
    package func punchHole(_ range: Range<UInt64>) throws(DiskError) {
        if let simulated {
            return try simulated.zero(range, keepsSpace: false, keepsSize: true)
        }
        try changeSpace("punch a hole in", range) { clinux_punch_hole(fd, $0, $1) }
    }

    /// Reserves space for the range, so that writes there cannot meet a full disk.
    package func allocate(_ range: Range<UInt64>, keepSize: Bool) throws(DiskError) {
        if let simulated { return try simulated.allocate(range, keepSize: keepSize) }
        try changeSpace("allocate space in", range) { clinux_allocate(fd, $0, $1, keepSize) }
    }

    /// Makes the range read as zero while keeping its space reserved, where the filesystem can.
    package func zeroRange(_ range: Range<UInt64>, keepSize: Bool) throws(DiskError) {
        if let simulated {
            return try simulated.zero(range, keepsSpace: true, keepsSize: keepSize)
        }
        try changeSpace("zero", range) { clinux_zero_range(fd, $0, $1, keepSize) }
    }

    private func changeSpace(
        _ operation: String,
        _ range: Range<UInt64>,
        _ call: (Int64, Int64) -> Int32
    ) throws(DiskError) {
        // The kernel refuses empty ranges with EINVAL; to us they are nothing to do.
        guard !range.isEmpty else { return }
        let start = try kernelOffset(range.lowerBound, operation, path)
        let end = try kernelOffset(range.upperBound, operation, path)
        try systemCall(operation, path) { call(Int64(start), Int64(end - start)) }
    }

    /// The first byte at or after `offset` that is not in a hole; `nil` if none follows.
    package func nextData(from offset: UInt64) throws(DiskError) -> UInt64? {
        if let simulated { return try simulated.nextData(from: offset) }
        return try seek("find data in", offset, clinux_seek_data)
    }

    /// The first byte at or after `offset` that is in a hole, the end of the file counting as
    /// one; `nil` if `offset` is past the end.
    package func nextHole(from offset: UInt64) throws(DiskError) -> UInt64? {
        if let simulated { return try simulated.nextHole(from: offset) }
        return try seek("find a hole in", offset, clinux_seek_hole)
    }

    private func seek(
        _ operation: String,
        _ offset: UInt64,
        _ call: (Int32, Int64) -> Int64
    ) throws(DiskError) -> UInt64? {
        let start = try kernelOffset(offset, operation, path)
        do {
            return UInt64(clamping: try systemCall(operation, path) { call(fd, Int64(start)) })
        } catch {
            if error.errno == ENXIO { return nil }
            throw error
        }
    }

    /// The parts of the file that are not holes, in order; the filesystem rounds to its blocks.
    package func dataRanges() throws(DiskError) -> [Range<UInt64>] {
        var ranges: [Range<UInt64>] = []
        var offset: UInt64 = 0
        while let start = try nextData(from: offset), let end = try nextHole(from: start) {
            // Equal only if the file shrank between the two calls.
            guard end > start else { break }
            ranges.append(start..<end)
            offset = end
        }
        return ranges
    }

    /// Lets the page cache drop the range; dirty pages stay.
    ///
    /// A hint: nothing happens if refused.
    package func forgetCached(_ range: Range<UInt64>) {
        guard
            fd >= 0, let start = Int64(exactly: range.lowerBound),
            let end = Int64(exactly: range.upperBound)
        else { return }
        _ = clinux_forget_cached(fd, start, end - start)
    }
}
