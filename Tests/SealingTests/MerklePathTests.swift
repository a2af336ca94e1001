import Primitives
import Sealing
import Testing

private func slice(
    _ bytes: UnsafeRawBufferPointer,
    _ start: Int,
    _ count: Int
) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + count, bytes.count)])
}

struct MerklePathTests {
    private let bytes: [UInt8]
    private static let leafBytes = Geometry.leafBytes

    init() {
        var generator = SeededGenerator(seed: 31)
        bytes = generator.bytes(200 * Self.leafBytes)
    }

    /// Shards of so many leaves: one, a part of a chunk, whole chunks, and one more.
    static let leafCounts =
        Array(1...36) + [47, 48, 49, 63, 64, 65, 79, 80, 81, 127, 128, 129, 200]

    @Test(arguments: leafCounts) func chunkRootsAreThoseOfTheChunks(leaves: Int) {
        bytes.withUnsafeBytes { all in
            let shard = slice(all, 0, leaves * Self.leafBytes)
            let (root, chunks) = MerkleTree.chunkRoots(of: shard)
            #expect(root == MerkleTree.root(of: shard))
            let slow = stride(from: 0, to: shard.count, by: MerkleTree.chunkBytes).flatMap {
                MerkleTree.root(of: slice(shard, $0, MerkleTree.chunkBytes)).bytes
            }
            #expect(chunks == slow)
            #expect(MerkleTree.root(ofChunks: chunks) == root)
            #expect(MerkleChunks(leafCount: leaves, roots: chunks)?.root == root)
        }
    }

    @Test(arguments: leafCounts) func pathOfEveryLeafLeadsToTheRoot(leaves: Int) throws {
        try bytes.withUnsafeBytes { all in
            let shard = slice(all, 0, leaves * Self.leafBytes)
            let (root, roots) = MerkleTree.chunkRoots(of: shard)
            let chunks = try #require(MerkleChunks(leafCount: leaves, roots: roots))
            for leaf in 0..<leaves {
                let chunk = slice(
                    shard,
                    leaf / MerkleTree.chunkLeaves * MerkleTree.chunkBytes,
                    MerkleTree.chunkBytes
                )
                let path = try #require(chunks.path(leaf: leaf, chunk: chunk))
                #expect(path.count == MerkleTree.pathCount(of: leaf, in: leaves))
                let content = slice(shard, leaf * Self.leafBytes, Self.leafBytes)
                #expect(MerkleTree.root(leaf: content, at: leaf, of: leaves, path: path) == root)
                let other = leaf == 0 ? leaves - 1 : leaf - 1
                if other != leaf {
                    #expect(
                        MerkleTree.root(leaf: content, at: other, of: leaves, path: path) != root
                    )
                }
            }
        }
    }

    @Test func lastLeafMayBeShort() throws {
        for count in [1, 1023, 1025, 16_385, 20_000, 65_537] {
            try bytes.withUnsafeBytes { all in
                let shard = slice(all, 0, count)
                let leaves = (count + Self.leafBytes - 1) / Self.leafBytes
                let (root, roots) = MerkleTree.chunkRoots(of: shard)
                #expect(root == MerkleTree.root(of: shard))
                let last = leaves - 1
                let path = try #require(
                    MerkleTree.path(
                        leaf: last,
                        leafCount: leaves,
                        chunk: slice(
                            shard,
                            last / MerkleTree.chunkLeaves * MerkleTree.chunkBytes,
                            MerkleTree.chunkBytes
                        ),
                        chunkRoots: roots
                    )
                )
                let content = slice(shard, last * Self.leafBytes, Self.leafBytes)
                #expect(MerkleTree.root(leaf: content, at: last, of: leaves, path: path) == root)
            }
        }
    }

    @Test func noBytesAreOneEmptyLeaf() {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        let (root, chunks) = MerkleTree.chunkRoots(of: nothing)
        #expect(root == MerkleTree.root(of: nothing))
        #expect(chunks == root.bytes)
    }

    @Test func changedChunkHasNoPath() throws {
        let leaves = 40
        var changed = Array(bytes[..<(leaves * Self.leafBytes)])
        let roots = changed.withUnsafeBytes { MerkleTree.chunkRoots(of: $0).chunks }
        changed[17 * Self.leafBytes] ^= 1
        changed.withUnsafeBytes { shard in
            func path(_ leaf: Int, _ start: Int, _ count: Int) -> [Digest]? {
                MerkleTree.path(
                    leaf: leaf,
                    leafCount: leaves,
                    chunk: slice(shard, start, count),
                    chunkRoots: roots
                )
            }
            #expect(path(0, 0, 16_384) != nil)
            for leaf in 16..<32 { #expect(path(leaf, 16_384, 16_384) == nil) }
            #expect(path(39, 32_768, 16_384) != nil)
            // Another chunk, a short one, one too many, a leaf that is not there.
            #expect(path(0, 32_768, 16_384) == nil)
            #expect(path(0, 0, 16_383) == nil)
            #expect(path(0, 0, 15_360) == nil)
            #expect(path(0, 0, 17_408) == nil)
            #expect(path(40, 32_768, 16_384) == nil)
            #expect(path(-1, 0, 16_384) == nil)
        }
        #expect(MerkleChunks(leafCount: leaves, roots: roots.dropLast()) == nil)
        #expect(MerkleChunks(leafCount: leaves, roots: Array(roots.dropLast(32))) == nil)
        #expect(MerkleChunks(leafCount: 49, roots: roots) == nil)
        #expect(MerkleChunks(leafCount: 0, roots: []) == nil)
    }

    @Test func pathOfAnotherLengthHasNoRoot() throws {
        try bytes.withUnsafeBytes { all in
            let leaves = 37
            let roots = MerkleTree.chunkRoots(of: slice(all, 0, leaves * Self.leafBytes)).chunks
            let chunks = try #require(MerkleChunks(leafCount: leaves, roots: roots))
            let path = try #require(chunks.path(leaf: 3, chunk: slice(all, 0, 16_384)))
            let leaf = slice(all, 3 * Self.leafBytes, Self.leafBytes)
            func root(_ index: Int, _ leaves: Int, _ path: [Digest]) -> Digest? {
                MerkleTree.root(leaf: leaf, at: index, of: leaves, path: path)
            }
            #expect(root(3, leaves, path) != nil)
            #expect(root(3, leaves, Array(path.dropLast())) == nil)
            #expect(root(3, leaves, path + path) == nil)
            #expect(root(3, leaves, []) == nil)
            #expect(root(37, leaves, path) == nil)
            #expect(root(-1, leaves, path) == nil)
            #expect(root(0, 0, []) == nil)
            #expect(root(0, 1, []) == SHA256.digest([0] + Array(leaf)))
        }
    }
}
