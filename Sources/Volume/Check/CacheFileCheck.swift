import Disk
import Metadata
import Primitives

/// Compares one cache file with the rows of its blocks.
struct CacheFileCheck {
    private let ino: InodeNumber
    private let file: Descriptor
    private let fileBytes: UInt64
    private let cachedBytes: UInt64
    private let metadata: MetadataCheck
    private let isSettled: Bool
    private let didHostGoDown: Bool
    private let faults: VolumeFaults?
    /// The parts of the cache file that are not holes.
    private let data: [Range<UInt64>]
    /// Blocks of the window looked at last, by index.
    private var window: [UInt64: BlockState] = [:]
    private var windowRange: Range<UInt64> = 0..<0

    /// Blocks of a file that are looked at together: a gigabyte of it.
    static let windowBlocks: UInt64 = 1024
    /// Bytes read at once when looking for what is not zero.
    private static let readBytes = 1 << 20

    init(
        _ ino: InodeNumber,
        _ file: Descriptor,
        fileBytes: UInt64,
        _ metadata: MetadataCheck,
        isSettled: Bool,
        didHostGoDown: Bool,
        faults: VolumeFaults? = nil
    ) throws(FileSystemError) {
        self.faults = faults
        self.ino = ino
        self.file = file
        self.fileBytes = fileBytes
        self.metadata = metadata
        self.isSettled = isSettled
        self.didHostGoDown = didHostGoDown
        (cachedBytes, data) = try onDisk { () throws(DiskError) in
            (try file.size(), try file.dataRanges())
        }
    }

    mutating func run(into report: inout CheckReport) throws(FileSystemError) {
        var next: UInt64 = 0
        while let start = try metadata.nextBlock(of: ino, from: next) {
            next = start + Self.windowBlocks
            try look(at: start)
            for block in window.values.sorted(by: { $0.index < $1.index }) {
                if block.dirtySince != nil {
                    checkDirty(block, &report)
                } else if !didHostGoDown {
                    checkClean(block, &report)
                }
            }
        }
        try checkZeros(&report)
    }

    private var path: String { file.path }

    /// Reads the rows of the window that begins with block `index`.
    private mutating func look(at index: UInt64) throws(FileSystemError) {
        guard windowRange.isEmpty || windowRange.lowerBound != index else { return }
        windowRange = index..<index + Self.windowBlocks
        window = [:]
        for block in try metadata.blocks(of: ino, in: windowRange) {
            window[block.index.rawValue] = block
        }
    }

    /// The newest bytes of a dirty block are here only: the file must reach into it.
    private func checkDirty(_ block: BlockState, _ report: inout CheckReport) {
        if didHostGoDown, block.resident != SegmentMask.all.rawValue {
            report.note(.unsyncedChange)
            return
        }
        guard block.index.offset < fileBytes, cachedBytes <= block.index.offset else { return }
        faults?.add(.shortFile(BlockKey(ino, block.index)))
        report.add(
            CheckFinding(
                .cacheFileShort,
                path,
                "it ends at \(cachedBytes), and block \(block.index.rawValue) was changed and is"
                    + " nowhere else"
            )
        )
    }

    /// A segment that is not all zero and called cached has data in the file.
    private func checkClean(_ block: BlockState, _ report: inout CheckReport) {
        guard let location = block.location, block.resident != 0 else { return }
        let resident = SegmentMask(rawValue: block.resident)
        for (segment, length) in location.segmentBytes.enumerated()
        where length > 0 && resident.contains(segment: segment) {
            let start = segment * Geometry.segmentBytes
            let end = min(start + Geometry.segmentBytes, Int(location.plainBytes))
            // Of a segment that was cut, what is left may be zeros.
            guard end <= Int(location.validBytes) else { continue }
            let range = block.index.offset + UInt64(start)..<block.index.offset + UInt64(end)
            guard !holdsData(range) else { continue }
            faults?.add(.hole(BlockKey(ino, block.index), segment: segment))
            report.add(
                CheckFinding(
                    .cacheHole,
                    path,
                    "segment \(segment) of block \(block.index.rawValue) is called cached, and is a"
                        + " hole"
                )
            )
        }
    }

    private func holdsData(_ range: Range<UInt64>) -> Bool {
        // The first part that ends after the range's start.
        var low = 0
        var high = data.count
        while low < high {
            let middle = (low + high) / 2
            if data[middle].upperBound <= range.lowerBound {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low < data.count && data[low].lowerBound < range.upperBound
    }

    // MARK: What must be zero

    /// What is cached where no row tells of bytes: it would be read as if it were the file's.
    private mutating func checkZeros(_ report: inout CheckReport) throws(FileSystemError) {
        for range in data {
            var start = range.lowerBound
            while start < range.upperBound {
                let index = BlockIndex(containing: start)
                let end = min(range.upperBound, index.offset + UInt64(Geometry.blockBytes))
                if !windowRange.contains(index.rawValue) { try look(at: index.rawValue) }
                try checkZeros(start..<end, index, &report)
                start = end
            }
        }
    }

    /// The same in one block.
    private func checkZeros(
        _ range: Range<UInt64>,
        _ index: BlockIndex,
        _ report: inout CheckReport
    ) throws(FileSystemError) {
        let block = window[index.rawValue]
        // From where on nothing of the block counts.
        var known = index.offset
        if let block {
            if block.dirtySince != nil {
                known = index.offset + UInt64(Geometry.blockBytes)
            } else if let location = block.location {
                known += UInt64(location.validBytes)
            }
        }
        known = min(known, max(fileBytes, index.offset))
        let start = max(range.lowerBound, known)
        guard start < range.upperBound, let found = try nonzero(start..<range.upperBound, &report)
        else { return }
        guard isSettled else {
            report.note(.strayCacheBytes)
            return
        }
        let isPastEnd = found >= fileBytes
        faults?.add(.strayBytes(ino, start..<range.upperBound))
        report.add(
            CheckFinding(
                isPastEnd ? .cacheBytesPastEnd : .cacheBytesInHole,
                path,
                "bytes at \(found) that are not zero, "
                    + (isPastEnd ? "past the end at \(fileBytes)" : "where the file has none")
            )
        )
    }

    /// Where the first byte of `range` that is not zero stands.
    private func nonzero(
        _ range: Range<UInt64>,
        _ report: inout CheckReport
    ) throws(FileSystemError) -> UInt64? {
        var start = range.lowerBound
        while start < range.upperBound {
            let count = Int(min(range.upperBound - start, UInt64(Self.readBytes)))
            let bytes = try onDisk { () throws(DiskError) in
                try file.read(at: start, count: count)
            }
            guard !bytes.isEmpty else { return nil }
            report.cacheBytesRead += UInt64(bytes.count)
            if let position = bytes.firstIndex(where: { $0 != 0 }) {
                return start + UInt64(position)
            }
            start += UInt64(bytes.count)
        }
        return nil
    }
}
