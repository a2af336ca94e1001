import Primitives

/// What memory holds of one block.
struct BlockEntry: Hashable, Sendable {
    var location: BlockLocation?
    var resident: UInt16
    var dirtySince: Timestamp?
    /// Bytes of the file in the block, as counted in the totals.
    var bytes: UInt32

    /// Bytes the cache holds of it: whole segments, but none past the file's end.
    var heldBytes: UInt64 {
        min(UInt64(bytes), UInt64(resident.nonzeroBitCount * Geometry.segmentBytes))
    }

    /// Bytes that the network holds and nothing newer is known of.
    var placedBytes: UInt64 { dirtySince == nil ? UInt64(location?.validBytes ?? 0) : 0 }

    /// Whether it says no more than a hole does.
    var isHole: Bool { location == nil && resident == 0 && dirtySince == nil }

    /// What the table `residency` keeps; `nil` if it keeps no row.
    var residency: Residency? {
        guard resident != 0 || dirtySince != nil else { return nil }
        return Residency(mask: resident, heldBytes: heldBytes, dirtySince: dirtySince)
    }
}

/// A row of the table `residency`.
struct Residency: Hashable, Sendable {
    var mask: UInt16
    var heldBytes: UInt64
    var dirtySince: Timestamp?
}

/// Up to 64 neighbouring blocks of a file, read and forgotten together.
final class BlockChunk {
    /// Blocks in a chunk: one read of the database brings 64 MiB of a file.
    static let blocks: UInt64 = 64

    static func number(of index: BlockIndex) -> UInt64 { index.rawValue / blocks }

    /// Blocks of chunk `number`.
    static func range(_ number: UInt64) -> Range<UInt64> {
        number * blocks..<(number + 1) * blocks
    }

    /// In order of `index`; holes are left out.
    private(set) var entries: [(index: BlockIndex, entry: BlockEntry)] = []

    subscript(index: BlockIndex) -> BlockEntry? {
        get {
            let position = position(of: index)
            guard position < entries.count, entries[position].index == index else { return nil }
            return entries[position].entry
        }
        set {
            let position = position(of: index)
            let isThere = position < entries.count && entries[position].index == index
            switch (newValue, isThere) {
            case (let entry?, true): entries[position].entry = entry
            case (let entry?, false): entries.insert((index, entry), at: position)
            case (nil, true): entries.remove(at: position)
            case (nil, false): break
            }
        }
    }

    /// Where `index` stands or would stand.
    private func position(of index: BlockIndex) -> Int {
        // Files are mostly written and read towards their end.
        if let last = entries.last, last.index < index { return entries.count }
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].index < index { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
