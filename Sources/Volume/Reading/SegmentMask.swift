import Primitives

/// Which of a block's sixteen segments; bit `i` is segment `i`.
struct SegmentMask: OptionSet, Hashable, Sendable {
    let rawValue: UInt16

    static let all = SegmentMask(rawValue: .max)

    /// The segments that hold `range`, given in bytes from the block's start.
    init(covering range: Range<Int>) {
        guard !range.isEmpty else {
            self = []
            return
        }
        let first = range.lowerBound / Geometry.segmentBytes
        let last = (range.upperBound - 1) / Geometry.segmentBytes
        let low = UInt32(1) << UInt32(first) - 1
        let high = UInt32(1) << UInt32(last + 1) - 1
        rawValue = UInt16(truncatingIfNeeded: high & ~low)
    }

    init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Indices from the lowest set bit to the highest, or `nil` of none.
    var span: ClosedRange<Int>? {
        guard rawValue != 0 else { return nil }
        return rawValue.trailingZeroBitCount...(15 - rawValue.leadingZeroBitCount)
    }

    func contains(segment: Int) -> Bool { rawValue & (1 << UInt16(segment)) != 0 }
}
