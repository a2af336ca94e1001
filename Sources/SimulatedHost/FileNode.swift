import Primitives

/// A regular file: what programs see, what the disk has, and how the two differ.
final class FileNode: @unchecked Sendable {
    // SAFETY: touched under the lock of the disk that it is on, only.

    /// Sectors of a page that changed since the last sync.
    private struct DirtyPage {
        var mask: UInt8
        /// When last.
        var order: UInt64
    }

    let number: UInt64
    private(set) var current = SparsePages()
    private(set) var durable = SparsePages()
    private(set) var size: UInt64 = 0
    private(set) var durableSize: UInt64 = 0
    private var dirty: [UInt64: DirtyPage] = [:]
    /// Sizes the file had since the last sync, the newest last.
    private var sizes: [(size: UInt64, order: UInt64)] = []

    /// When its content changed last.
    var modified = Timestamp(seconds: 0, nanoseconds: 0)
    /// Names that programs see.
    var links = 0
    /// Open files of the living process.
    var opens = 0
    /// The open file that has the lock, and its process.
    var lockHolder: ObjectIdentifier?
    var lockLife: ProcessLife?

    /// Sizes since the last sync that are remembered for a crash.
    private static let sizesMax = 16

    init(number: UInt64) { self.number = number }

    /// Whether nobody can reach it any more but through a directory that was not synced.
    var isGone: Bool { links <= 0 && opens <= 0 }

    var allocatedBytes: UInt64 { UInt64(current.count) * UInt64(SparsePages.pageBytes) }

    // MARK: Changes

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        guard offset < size else { return 0 }
        let count = min(buffer.count, Int(clamping: size - offset))
        current.read(
            at: offset,
            into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        )
        return count
    }

    /// Pages that writing the range would add.
    func missingPages(_ range: Range<UInt64>) -> [UInt64] {
        var missing: [UInt64] = []
        SparsePages.forEachPage(of: range) { page, _, _ in
            if !current.has(page) { missing.append(page) }
        }
        return missing
    }

    func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer, order: UInt64) {
        guard !buffer.isEmpty else { return }
        current.write(at: offset, from: buffer)
        let range = offset..<offset + UInt64(buffer.count)
        SparsePages.forEachPage(of: range) { page, part, _ in
            touch(page, SparsePages.sectors(part), order)
        }
        if range.upperBound > size { setSize(range.upperBound, order) }
    }

    /// Makes the range read as zero; whole pages become holes unless `keepsSpace`.
    func zero(_ range: Range<UInt64>, keepsSpace: Bool, order: UInt64) {
        // Only pages that are there can change, however long the range.
        let pageBytes = UInt64(SparsePages.pageBytes)
        let touched = range.lowerBound / pageBytes...(range.upperBound - 1) / pageBytes
        for (page, bytes) in current.pages where touched.contains(page) {
            let start = max(range.lowerBound, page * pageBytes) - page * pageBytes
            let end = min(range.upperBound, (page + 1) * pageBytes) - page * pageBytes
            let part = Int(start)..<Int(end)
            if part.count == SparsePages.pageBytes {
                current.setPage(page, keepsSpace ? SparsePages.zeroPage : nil)
            } else {
                var changed = bytes
                changed.replaceSubrange(part, with: SparsePages.zeroPage[part])
                current.setPage(page, changed)
            }
            touch(page, SparsePages.sectors(part), order)
        }
    }

    /// Gives each page of the range space.
    func allocate(_ range: Range<UInt64>, order: UInt64) {
        for page in missingPages(range) {
            current.setPage(page, SparsePages.zeroPage)
            touch(page, 0xff, order)
        }
    }

    func truncate(to newSize: UInt64, order: UInt64) {
        if newSize < size {
            let pageBytes = UInt64(SparsePages.pageBytes)
            let first = newSize / pageBytes
            let kept = Int(newSize % pageBytes)
            for page in current.pages.keys where page >= first {
                let part = page == first ? kept..<SparsePages.pageBytes : 0..<SparsePages.pageBytes
                touch(page, SparsePages.sectors(part), order)
            }
            current.cut(at: newSize)
        }
        if newSize != size { setSize(newSize, order) }
    }

    private func touch(_ page: UInt64, _ mask: UInt8, _ order: UInt64) {
        dirty[page, default: DirtyPage(mask: 0, order: order)].mask |= mask
        dirty[page]?.order = order
    }

    func setSize(_ newSize: UInt64, _ order: UInt64) {
        size = newSize
        if sizes.count == Self.sizesMax { sizes.removeFirst() }
        sizes.append((newSize, order))
    }

    // MARK: Durability

    var isDirty: Bool { !dirty.isEmpty || !sizes.isEmpty }

    func sync() {
        for (page, changed) in dirty { durable.merge(page, from: current, sectors: changed.mask) }
        dirty = [:]
        if !sizes.isEmpty { durableSize = size }
        sizes = []
        durable.cut(at: durableSize)
    }

    /// A sync that failed: what was dirty is not written, and counts as clean all the same; part of
    /// it is still in the page cache.
    func failSync(_ generator: inout SeededGenerator) {
        for page in dirty.keys.sorted() where generator.next() % 2 == 0 {
            current.setPage(page, durable.pages[page])
        }
        dirty = [:]
    }

    /// The kernel writes back some dirty pages on its own.
    func writeBack(_ generator: inout SeededGenerator) {
        for page in dirty.keys.sorted() where generator.next() % 2 == 0 {
            guard let changed = dirty.removeValue(forKey: page) else { continue }
            durable.merge(page, from: current, sectors: changed.mask)
        }
        if generator.next() % 2 == 0 {
            if !sizes.isEmpty { durableSize = size }
            sizes = []
        }
    }

    /// What a power cut leaves: of each sector that was not synced the old or the new bytes, of the
    /// size one that the file had; in the order of writing if `cutoff` is given.
    func losePower(_ generator: inout SeededGenerator, cutoff: UInt64?) {
        defer { settle() }
        if let cutoff {
            for (page, changed) in dirty where changed.order <= cutoff {
                durable.merge(page, from: current, sectors: changed.mask)
            }
            if let size = sizes.last(where: { $0.order <= cutoff })?.size { durableSize = size }
            return
        }
        // Much of everything, as well as all or nothing: each finds other mistakes.
        let keptOf16 = [0, 16, 8, generator.next() % 17][Int(generator.next() % 4)]
        for page in dirty.keys.sorted() {
            var mask: UInt8 = 0
            for sector in 0..<8 where generator.next() % 16 < keptOf16 {
                mask |= 1 << UInt8(sector)
            }
            durable.merge(page, from: current, sectors: mask & (dirty[page]?.mask ?? 0))
        }
        if !sizes.isEmpty {
            let choices = [durableSize, size] + sizes.map(\.size)
            durableSize = choices[Int(generator.next() % UInt64(choices.count))]
        }
    }

    /// The disk's state is all there is.
    private func settle() {
        durable.cut(at: durableSize)
        current = durable
        size = durableSize
        dirty = [:]
        sizes = []
    }

    /// Turns one bit of what the disk has, as rot does; the page cache has it too.
    func flipBit(at offset: UInt64, bit: UInt8) {
        let page = offset / UInt64(SparsePages.pageBytes)
        let place = Int(offset % UInt64(SparsePages.pageBytes))
        func flip(_ pages: inout SparsePages) {
            guard var bytes = pages.pages[page] else { return }
            bytes[place] ^= 1 << (bit % 8)
            pages.setPage(page, bytes)
        }
        flip(&current)
        flip(&durable)
    }

    // MARK: Holes

    func nextData(from offset: UInt64) -> UInt64? {
        guard offset < size else { return nil }
        let pageBytes = UInt64(SparsePages.pageBytes)
        if current.has(offset / pageBytes) { return offset }
        let next = current.pages.keys.filter { $0 > offset / pageBytes }.min()
        guard let next, next * pageBytes < size else { return nil }
        return next * pageBytes
    }

    func nextHole(from offset: UInt64) -> UInt64? {
        guard offset < size else { return nil }
        let pageBytes = UInt64(SparsePages.pageBytes)
        var page = offset / pageBytes
        guard current.has(page) else { return offset }
        while current.has(page) { page += 1 }
        return min(page * pageBytes, size)
    }

    /// The bytes as programs see them, or as the disk has them.
    func bytes(durably: Bool) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(clamping: durably ? durableSize : size))
        bytes.withUnsafeMutableBytes { (durably ? durable : current).read(at: 0, into: $0) }
        return bytes
    }
}
