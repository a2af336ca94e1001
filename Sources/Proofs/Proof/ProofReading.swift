import Primitives
import Sealing

/// Reads a proof's body: the tree downwards as the draws have it, and its hashes upwards.
///
/// The shape follows from the order's count, the draws and the sums, so that a body can be read in
/// one way only. The sums are checked by the hashes: each is in its parent's.
struct ProofReading {
    private let draws: [UInt64]
    private var position = 0

    private(set) var provedLeaves = 0
    private(set) var missing: [ShardID] = []
    private(set) var corrupt: [ShardID] = []

    private static let pairBytes = 2 * SumTree.nodeBytes

    init(draws: [UInt64]) {
        self.draws = draws
    }

    /// Reads all of `body`, and refuses it unless it leads to `commitment`.
    mutating func read(_ body: [UInt8], of commitment: Commitment) throws(Forgery) {
        // Typed errors do not pass through `withUnsafeBytes`.
        let result = body.withUnsafeBytes { body in
            Result { () throws(Forgery) in try read(body, of: commitment) }
        }
        try result.get()
    }

    private mutating func read(
        _ body: UnsafeRawBufferPointer,
        of commitment: Commitment
    ) throws(Forgery) {
        if !draws.isEmpty {
            let tree = Span(
                count: commitment.count,
                bytes: commitment.totalBytes,
                base: 0,
                draws: 0..<draws.count
            )
            try withUnsafeTemporaryAllocation(byteCount: SumTree.nodeBytes, alignment: 8) {
                (root) throws(Forgery) in
                try descend(tree, of: body, into: root)
                guard root.prefix(Digest.byteCount).elementsEqual(commitment.root.bytes) else {
                    throw Forgery(reason: "the proof does not lead to the order's root")
                }
            }
        }
        guard position == body.count else {
            throw Forgery(reason: "\(body.count - position) bytes after the proof")
        }
    }

    /// A part of the tree: `count` entries with `bytes` from byte `base` of the order on, and the
    /// draws in it.
    private struct Span {
        let count: UInt64
        let bytes: UInt64
        let base: UInt64
        let draws: Range<Int>

        /// No entry has more.
        var isPossible: Bool {
            bytes <= count * UInt64(Geometry.shardBytesMax)
                && bytes.isMultiple(of: UInt64(Geometry.leafBytes))
        }
    }

    /// Reads what stands for `span` and writes its node.
    private mutating func descend(
        _ span: Span,
        of body: UnsafeRawBufferPointer,
        into node: UnsafeMutableRawBufferPointer
    ) throws(Forgery) {
        guard span.count > 1 else { return try readEntry(span, of: body, into: node) }
        let (left, right) = try split(span, of: body)
        try withUnsafeTemporaryAllocation(byteCount: Self.pairBytes, alignment: 8) {
            (pair) throws(Forgery) in
            let middle = SumTree.nodeBytes
            try readChild(left, of: body, into: .init(rebasing: pair[..<middle]))
            try readChild(right, of: body, into: .init(rebasing: pair[middle...]))
            SumTree.hashPair(UnsafeRawBufferPointer(pair), into: node)
        }
    }

    /// Reads the sum of the left child; the right one's is the rest.
    private mutating func split(
        _ span: Span,
        of body: UnsafeRawBufferPointer
    ) throws(Forgery) -> (left: Span, right: Span) {
        // The largest power of two below the count: so the tree grows by appending.
        let leftCount =
            UInt64(1) << UInt64(UInt64.bitWidth - 1 - (span.count - 1).leadingZeroBitCount)
        let leftBytes = UInt64(
            littleEndian: try take(8, of: body).loadUnaligned(as: UInt64.self)
        )
        guard leftBytes <= span.bytes else {
            throw Forgery(reason: "a part of \(span.bytes) bytes has \(leftBytes) on its left")
        }
        let border = draws.firstIndex(in: span.draws, from: span.base + leftBytes)
        let left = Span(
            count: leftCount,
            bytes: leftBytes,
            base: span.base,
            draws: span.draws.lowerBound..<border
        )
        let right = Span(
            count: span.count - leftCount,
            bytes: span.bytes - leftBytes,
            base: span.base + leftBytes,
            draws: border..<span.draws.upperBound
        )
        guard left.isPossible, right.isPossible else {
            throw Forgery(reason: "\(leftBytes) bytes in \(leftCount) entries")
        }
        return (left, right)
    }

    /// A child without draws is its hash alone.
    private mutating func readChild(
        _ span: Span,
        of body: UnsafeRawBufferPointer,
        into node: UnsafeMutableRawBufferPointer
    ) throws(Forgery) {
        guard span.draws.isEmpty else { return try descend(span, of: body, into: node) }
        node.copyMemory(from: try take(Digest.byteCount, of: body))
        node.storeBytes(
            of: span.bytes.littleEndian,
            toByteOffset: Digest.byteCount,
            as: UInt64.self
        )
    }

    /// An entry that was drawn: shard, root, and an answer for each leaf.
    private mutating func readEntry(
        _ span: Span,
        of body: UnsafeRawBufferPointer,
        into node: UnsafeMutableRawBufferPointer
    ) throws(Forgery) {
        let shard = try take(ShardID.byteCount, of: body)
        let root = try take(Digest.byteCount, of: body)
        let leafCount = Int(span.bytes) / Geometry.leafBytes
        var isMissing = false
        var isCorrupt = false
        for draw in draws[span.draws] {
            let leaf = Int(draw - span.base) / Geometry.leafBytes
            switch try take(1, of: body)[0] {
            case LeafAnswer.leafCode:
                try readLeaf(leaf, of: leafCount, under: root, of: body)
            case LeafAnswer.missingCode: isMissing = true
            case LeafAnswer.corruptCode: isCorrupt = true
            case let code: throw Forgery(reason: "an answer of kind \(code)")
            }
        }
        SumTree.hashLeaf(shard: shard, bytes: span.bytes, root: root, into: node)
        guard isMissing || isCorrupt, let shard = ShardID(bytes: shard) else { return }
        if isMissing { missing.append(shard) } else { corrupt.append(shard) }
    }

    private mutating func readLeaf(
        _ leaf: Int,
        of leafCount: Int,
        under root: UnsafeRawBufferPointer,
        of body: UnsafeRawBufferPointer
    ) throws(Forgery) {
        let bytes = try take(Geometry.leafBytes, of: body)
        let siblings = MerkleTree.pathCount(of: leaf, in: leafCount)
        let path = try take(siblings * Digest.byteCount, of: body)
        let isThere = withUnsafeTemporaryAllocation(byteCount: Digest.byteCount, alignment: 8) {
            top in
            MerkleTree.climb(from: bytes, at: leaf, of: leafCount, path: path, into: top)
                && top.elementsEqual(root)
        }
        guard isThere else {
            throw Forgery(reason: "leaf \(leaf) of a shard is not the one under its root")
        }
        provedLeaves += 1
    }

    private mutating func take(
        _ count: Int,
        of body: UnsafeRawBufferPointer
    ) throws(Forgery) -> UnsafeRawBufferPointer {
        guard body.count - position >= count else {
            throw Forgery(reason: "the proof ends early")
        }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: body[position..<position + count])
    }
}
