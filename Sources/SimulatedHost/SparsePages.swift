/// Bytes of a file by pages; what has no page is a hole and reads as zero.
struct SparsePages: Sendable {
    static let pageBytes = 4096
    static let sectorBytes = 512
    static let zeroPage = [UInt8](repeating: 0, count: pageBytes)

    private(set) var pages: [UInt64: [UInt8]] = [:]

    var count: Int { pages.count }

    func has(_ page: UInt64) -> Bool { pages[page] != nil }

    /// Fills `buffer` with the bytes from `offset` on.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) {
        Self.forEachPage(of: offset..<offset + UInt64(buffer.count)) { page, part, start in
            let target = UnsafeMutableRawBufferPointer(
                rebasing: buffer[start..<start + part.count]
            )
            if let bytes = pages[page] {
                bytes[part].withUnsafeBytes { target.copyMemory(from: $0) }
            } else {
                target.initializeMemory(as: UInt8.self, repeating: 0)
            }
        }
    }

    mutating func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) {
        Self.forEachPage(of: offset..<offset + UInt64(buffer.count)) { page, part, start in
            let source = UnsafeRawBufferPointer(rebasing: buffer[start..<start + part.count])
            pages[page, default: Self.zeroPage].withUnsafeMutableBytes { bytes in
                UnsafeMutableRawBufferPointer(rebasing: bytes[part]).copyMemory(from: source)
            }
        }
    }

    mutating func setPage(_ page: UInt64, _ bytes: [UInt8]?) { pages[page] = bytes }

    /// Takes the sectors of `mask` from `other`'s page.
    mutating func merge(_ page: UInt64, from other: SparsePages, sectors mask: UInt8) {
        if mask == 0xff {
            pages[page] = other.pages[page]
            return
        }
        guard mask != 0, pages[page] != nil || other.pages[page] != nil else { return }
        let source = other.pages[page] ?? Self.zeroPage
        var target = pages[page] ?? Self.zeroPage
        for sector in 0..<8 where mask & (1 << UInt8(sector)) != 0 {
            let part = sector * Self.sectorBytes..<(sector + 1) * Self.sectorBytes
            target.replaceSubrange(part, with: source[part])
        }
        pages[page] = target
    }

    /// Makes everything from `size` on a hole, and the rest of its page zero.
    mutating func cut(at size: UInt64) {
        let first = size / UInt64(Self.pageBytes)
        let kept = Int(size % UInt64(Self.pageBytes))
        if kept > 0, var page = pages[first] {
            page.replaceSubrange(kept..., with: Self.zeroPage[kept...])
            pages[first] = page
        }
        let beyond = kept > 0 ? first + 1 : first
        for page in pages.keys where page >= beyond { pages[page] = nil }
    }

    /// Calls `body` with each page that the range touches, the part of it that is in the range, and
    /// where that part begins in the range.
    static func forEachPage(
        of range: Range<UInt64>,
        _ body: (_ page: UInt64, _ part: Range<Int>, _ start: Int) -> Void
    ) {
        let size = UInt64(pageBytes)
        var offset = range.lowerBound
        while offset < range.upperBound {
            let page = offset / size
            let end = min(range.upperBound, (page + 1) * size)
            let part = Int(offset - page * size)..<Int(end - page * size)
            body(page, part, Int(offset - range.lowerBound))
            offset = end
        }
    }

    /// The sectors that a part of a page touches, a bit for each.
    static func sectors(_ part: Range<Int>) -> UInt8 {
        var mask: UInt8 = 0
        for sector in part.lowerBound / sectorBytes...(part.upperBound - 1) / sectorBytes {
            mask |= 1 << UInt8(sector)
        }
        return mask
    }
}
