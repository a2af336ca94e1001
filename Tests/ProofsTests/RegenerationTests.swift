import Erasure
import Primitives
import Proofs
import Sealing
import Testing

/// A provider that keeps only `k` of the `n` shards of a stripe and makes the others when asked.
struct RegenerationTests {
    private let code = ErasureCode(k: 2, m: 2)
    private let shardBytes = 20 * Geometry.leafBytes

    /// The shards of a stripe as erasure coding makes them.
    private func stripe() throws -> [[UInt8]] {
        let code = try #require(code)
        var generator = SeededGenerator(seed: 21)
        var shards = (0..<code.n).map { index in
            index < code.k
                ? generator.bytes(shardBytes) : [UInt8](repeating: 0, count: shardBytes)
        }
        try withBuffers(of: &shards) { buffers in ErasureCoder(code).encode(buffers) }
        return shards
    }

    /// Shard 3 from shards 0 and 1, as anyone can compute it.
    private func rebuilt(from shards: [[UInt8]]) throws -> [UInt8] {
        let code = try #require(code)
        var target = [UInt8](repeating: 0, count: shardBytes)
        try target.withUnsafeMutableBytes { target in
            try shards[0].withUnsafeBytes { first in
                try shards[1].withUnsafeBytes { second in
                    try ErasureCoder(code).reconstruct(
                        [3],
                        from: [(index: 0, bytes: first), (index: 1, bytes: second)],
                        into: [target]
                    )
                }
            }
        }
        return target
    }

    @Test func unmaskedShardsCouldBeRebuilt() throws {
        let shards = try stripe()
        #expect(Custody.root(try rebuilt(from: shards)) == Custody.root(shards[3]))
    }

    @Test func maskedShardsAreNotWhatIsRebuilt() throws {
        var shards = try stripe()
        let repair = VolumeKey.random().repairKey
        var entries: [OrderEntry] = []
        for index in shards.indices {
            let shard = try #require(ShardID(bytes: [UInt8](repeating: UInt8(index), count: 16)))
            let key = repair.maskKey(for: shard)
            let root = try shards[index].withUnsafeMutableBytes { bytes in
                try ShardMask.applyAndHash(to: bytes, key: key)
            }
            entries.append(OrderEntry(shard: shard, bytes: UInt64(shardBytes), root: root))
        }
        let made = try rebuilt(from: shards)
        #expect(Custody.root(made) != entries[3].root)
        // Nor does the proof that it makes from this hold.
        var custody = try Custody()
        for (entry, bytes) in zip(entries, shards) {
            custody.shards[entry.shard] = bytes
            custody.chunks[entry.shard] = bytes.withUnsafeBytes {
                MerkleTree.chunkRoots(of: $0).chunks
            }
        }
        try custody.amend(custody.tree.changes(adding: entries, removing: []))
        let challenge = try custody.challenge(leaves: 60)
        #expect(Verifier.verify(try custody.prove(challenge), of: challenge).verdict == .ok)
        custody.shards[entries[3].shard] = made
        custody.chunks[entries[3].shard] = made.withUnsafeBytes {
            MerkleTree.chunkRoots(of: $0).chunks
        }
        let forged = Verifier.verify(try custody.prove(challenge), of: challenge)
        #expect(forged.verdict == .forged)
        // With the old roots it can only admit it.
        custody.chunks[entries[3].shard] = shards[3].withUnsafeBytes {
            MerkleTree.chunkRoots(of: $0).chunks
        }
        let admitted = Verifier.verify(try custody.prove(challenge), of: challenge)
        #expect(admitted.verdict == .corrupt && admitted.corrupt == [entries[3].shard])
    }

    private func withBuffers(
        of shards: inout [[UInt8]],
        _ body: ([UnsafeMutableRawBufferPointer]) throws -> Void
    ) throws {
        let copies = shards.map { shard in
            let buffer = UnsafeMutableRawBufferPointer.allocate(
                byteCount: shard.count,
                alignment: 64
            )
            buffer.copyBytes(from: shard)
            return buffer
        }
        defer { for copy in copies { copy.deallocate() } }
        try body(copies)
        for index in shards.indices { shards[index] = Array(copies[index]) }
    }
}
