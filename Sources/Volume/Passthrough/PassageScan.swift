import Disk
import Metadata
import Primitives
import Sealing

/// Looks a wholly cached file through for blocks that are not as they were placed.
struct PassageScan {
    let file: Descriptor
    let size: UInt64

    /// Indexes of blocks that may have changed, ascending: where the file has data, and those that
    /// were placed.
    func candidates(
        placed: some Sequence<UInt64>
    ) throws(FileSystemError) -> [UInt64] {
        var indexes = Set<UInt64>()
        let end = (size + UInt64(Geometry.blockBytes) - 1) / UInt64(Geometry.blockBytes)
        do throws(DiskError) {
            for range in try file.dataRanges() where range.lowerBound < size {
                let last = min(range.upperBound, size) - 1
                let first = BlockIndex(containing: range.lowerBound).rawValue
                indexes.formUnion(first...BlockIndex(containing: last).rawValue)
            }
        } catch {
            throw FileSystemError(error)
        }
        indexes.formUnion(placed.filter { $0 < end })
        return indexes.sorted()
    }

    /// Whether the block is to be placed anew; of one that is dirty already, whether it is not what
    /// an upload under way has taken.
    func isChanged(
        _ index: UInt64,
        _ block: FileContentState.Block?
    ) throws(FileSystemError) -> Bool {
        guard let block else { return true }
        let known: UInt64?
        if block.dirtySince != nil {
            guard block.snapshotTaken else { return true }
            known = block.snapshotChecksum
        } else {
            known = block.location?.checksum
            guard block.location.map({ UInt64($0.validBytes) }) == extent(index) else {
                return true
            }
        }
        guard let known else { return true }
        return try checksum(index) != known
    }

    /// Bytes of the file in the block.
    private func extent(_ index: UInt64) -> UInt64 {
        let start = BlockIndex(index).offset
        return start < size ? min(size - start, UInt64(Geometry.blockBytes)) : 0
    }

    /// XXH3-64 of the file's bytes in the block.
    func checksum(_ index: UInt64) throws(FileSystemError) -> UInt64 {
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Int(extent(index)),
            alignment: 4096
        )
        defer { buffer.deallocate() }
        do throws(DiskError) {
            let count = try file.read(at: BlockIndex(index).offset, into: buffer)
            return XXH3.hash64(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        } catch {
            throw FileSystemError(error)
        }
    }
}
