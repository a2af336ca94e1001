import Primitives
package import Proofs
import Sealing

/// A shard whose bytes are made of a number whenever they are asked for.
///
/// Only the roots of its chunks are kept: so a store of any size fits in memory, and whoever proves
/// from it does what a provider does, but for the disk.
package struct SyntheticShard: Sendable {
    private static let wordsPerLeaf = Geometry.leafBytes / 8
    private static let chunkBytes = MerkleTree.chunkLeaves * Geometry.leafBytes

    package let entry: OrderEntry
    private let number: UInt64
    private let chunks: MerkleChunks

    /// The shard that follows from `number`, with 1...4,096 leaves.
    package init(number: UInt64, leafCount: Int) {
        precondition(leafCount >= 1 && leafCount * Geometry.leafBytes <= Geometry.shardBytesMax)
        self.number = number
        var bytes = [UInt8](repeating: 0, count: leafCount * Geometry.leafBytes)
        bytes.withUnsafeMutableBytes { Self.fill($0, number: number, firstLeaf: 0) }
        let tree = bytes.withUnsafeBytes { MerkleTree.chunkRoots(of: $0) }
        var generator = SeededGenerator(seed: number ^ 0x5348_4152_4400_0000)
        guard let shard = ShardID(bytes: generator.bytes(ShardID.byteCount)),
            let chunks = MerkleChunks(leafCount: leafCount, roots: tree.chunks)
        else { preconditionFailure("a shard of whole leaves has an id and chunks") }
        entry = OrderEntry(shard: shard, bytes: UInt64(bytes.count), root: tree.root)
        self.chunks = chunks
    }

    /// The answer for one leaf.
    package func answer(for leaf: Int) -> LeafAnswer {
        let first = leaf / MerkleTree.chunkLeaves * MerkleTree.chunkLeaves
        let count = min(MerkleTree.chunkLeaves, entry.leafCount - first) * Geometry.leafBytes
        return withUnsafeTemporaryAllocation(byteCount: Self.chunkBytes, alignment: 8) { buffer in
            let chunk = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
            Self.fill(chunk, number: number, firstLeaf: first)
            guard let path = chunks.path(leaf: leaf, chunk: UnsafeRawBufferPointer(chunk)) else {
                return .corrupt
            }
            let start = (leaf - first) * Geometry.leafBytes
            return .leaf(bytes: Array(chunk[start..<start + Geometry.leafBytes]), path: path)
        }
    }

    /// Fills whole leaves from `firstLeaf` on.
    private static func fill(
        _ buffer: UnsafeMutableRawBufferPointer,
        number: UInt64,
        firstLeaf: Int
    ) {
        let words = buffer.bindMemory(to: UInt64.self)
        for leaf in 0..<words.count / wordsPerLeaf {
            var generator = SeededGenerator(seed: number &* 8191 &+ UInt64(firstLeaf + leaf))
            for word in leaf * wordsPerLeaf..<(leaf + 1) * wordsPerLeaf {
                words[word] = generator.next()
            }
        }
    }
}
