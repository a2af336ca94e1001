package import Primitives
package import Sealing
import Wire

/// Answers challenges.
package enum Prover {
    /// The signed answer to `challenge` from the order that it names.
    ///
    /// `reading` is called once for each entry that was drawn, with all its leaves that were,
    /// ascending, and gives an answer for each. Of `damaged` the first 1,024 ids are named.
    package static func prove(
        _ challenge: Challenge,
        over tree: OrderTree,
        damaged: [ShardID],
        signedBy provider: SigningKey,
        reading: (OrderEntry, [Int]) -> [LeafAnswer]
    ) throws(ProofError) -> Proof {
        if let fault = challenge.fault { throw .badChallenge(fault) }
        guard challenge.provider == provider.publicKey.nodeID else {
            throw .badChallenge("it is for provider \(challenge.provider)")
        }
        let commitment = tree.commitment
        guard challenge.commitment == commitment else {
            throw .otherState(asked: challenge.commitment, held: commitment)
        }
        let draws = challenge.draws()
        var body = ProofBody(tree: tree, draws: draws)
        if !draws.isEmpty { try body.descend(level: tree.height - 1, reading: reading) }
        do {
            return try Proof(
                challenge: challenge,
                body: body.bytes,
                damaged: Array(Set(damaged).sorted().prefix(Proof.damagedMax)),
                signedBy: provider
            )
        } catch {
            throw .signing(error)
        }
    }
}

/// The multiproof as it is written, depth first and left before right.
private struct ProofBody {
    private let tree: OrderTree
    private let draws: [UInt64]
    private(set) var bytes: [UInt8] = []

    /// A leaf with the path of the largest shard, and what stands above it in a large order.
    private static let bytesPerDraw = 1024 + 600

    init(tree: OrderTree, draws: [UInt64]) {
        self.tree = tree
        self.draws = draws
        bytes.reserveCapacity(draws.count * Self.bytesPerDraw)
    }

    /// Writes the whole tree, whose root alone is at `level`.
    mutating func descend(
        level: Int,
        reading: (OrderEntry, [Int]) -> [LeafAnswer]
    ) throws(ProofError) {
        try descend(level: level, index: 0, draws: 0..<draws.count, base: 0, reading: reading)
    }

    /// Writes the node `index` of `level`, whose first byte is the order's byte `base` and in which
    /// all of `draws` are.
    private mutating func descend(
        level: Int,
        index: Int,
        draws range: Range<Int>,
        base: UInt64,
        reading: (OrderEntry, [Int]) -> [LeafAnswer]
    ) throws(ProofError) {
        guard level > 0 else {
            return try answer(tree[index], draws: range, base: base, reading: reading)
        }
        let below = level - 1
        let left = 2 * index
        guard left + 1 < tree.nodeCount(at: below) else {
            return try descend(
                level: below,
                index: left,
                draws: range,
                base: base,
                reading: reading
            )
        }
        let leftBytes = tree.bytes(of: left, at: below)
        withUnsafeBytes(of: leftBytes.littleEndian) { bytes.append(contentsOf: $0) }
        let split = draws.firstIndex(in: range, from: base + leftBytes)
        let halves = [
            (left, range.lowerBound..<split, base),
            (left + 1, split..<range.upperBound, base + leftBytes),
        ]
        for (child, drawn, start) in halves {
            if drawn.isEmpty {
                tree.appendHash(of: child, at: below, to: &bytes)
            } else {
                try descend(
                    level: below,
                    index: child,
                    draws: drawn,
                    base: start,
                    reading: reading
                )
            }
        }
    }

    /// Writes an entry and the leaves of its shard that were drawn.
    private mutating func answer(
        _ entry: OrderEntry,
        draws range: Range<Int>,
        base: UInt64,
        reading: (OrderEntry, [Int]) -> [LeafAnswer]
    ) throws(ProofError) {
        bytes += entry.shard.bytes
        bytes += entry.root.bytes
        let leaves = draws[range].map { Int($0 - base) / Geometry.leafBytes }
        let answers = reading(entry, leaves)
        guard answers.count == leaves.count else {
            throw .badAnswer(
                entry.shard,
                reason: "\(answers.count) answers for \(leaves.count) leaves"
            )
        }
        for (leaf, answer) in zip(leaves, answers) {
            bytes.append(answer.code)
            guard case .leaf(let content, let path) = answer else { continue }
            guard content.count == Geometry.leafBytes,
                path.count == MerkleTree.pathCount(of: leaf, in: entry.leafCount)
            else {
                throw .badAnswer(
                    entry.shard,
                    reason: "\(content.count) bytes and \(path.count) siblings for leaf \(leaf)"
                )
            }
            bytes += content
            for sibling in path { bytes += sibling.bytes }
        }
    }
}

extension [UInt64] {
    /// The index in `range` of the first of these ascending numbers that is `bound` or more.
    func firstIndex(in range: Range<Int>, from bound: UInt64) -> Int {
        var low = range.lowerBound
        var high = range.upperBound
        while low < high {
            let middle = low + (high - low) / 2
            if self[middle] < bound { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension LeafAnswer {
    static let leafCode: UInt8 = 1
    static let missingCode: UInt8 = 2
    static let corruptCode: UInt8 = 3

    /// What an answer begins with.
    fileprivate var code: UInt8 {
        switch self {
        case .leaf: Self.leafCode
        case .missing: Self.missingCode
        case .corrupt: Self.corruptCode
        }
    }
}
