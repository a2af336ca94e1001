import Erasure
import Primitives
import Sealing

/// The stages between a program's bytes and a provider's, each alone and in memory.
struct MemoryStages {
    private let stripes: Int
    private let code: ErasureCode
    private let noise: StageBuffer
    private let text: StageBuffer

    init(mib: Int) throws {
        guard let code = ErasureCode(k: 4, m: 2) else { throw LabError("no code") }
        self.code = code
        stripes = max(1, (mib << 20) / code.stripeBytesMax)
        noise = StageBuffer(byteCount: code.stripeBytesMax)
        noise.fillWithNoise()
        text = StageBuffer(byteCount: code.stripeBytesMax)
        text.fillWithText()
    }

    func measure(_ timer: inout StageTimer) throws {
        try measureHashes(&timer)
        try measureSealing(&timer, of: noise, named: "noise")
        try measureSealing(&timer, of: text, named: "text")
        try measureShards(&timer)
    }

    private var total: Int { stripes * code.stripeBytesMax }

    private func measureHashes(_ timer: inout StageTimer) throws {
        let copy = StageBuffer(byteCount: code.stripeBytesMax)
        var sum: UInt64 = 0
        try timer.bytes("copy", total) {
            for _ in 0..<stripes { copy.bytes.copyMemory(from: noise.readable) }
        }
        try timer.bytes("XXH3 of blocks", total) {
            for _ in 0..<stripes {
                for block in noise.parts(of: Geometry.blockBytes) { sum &+= XXH3.hash64(block) }
            }
        }
        try timer.bytes("SHA-256", total) {
            for _ in 0..<stripes {
                for block in noise.parts(of: Geometry.blockBytes) {
                    sum &+= UInt64(SHA256.digest(block).bytes[0])
                }
            }
        }
        guard sum != 1 else { throw LabError("nothing was hashed") }
    }

    private func measureSealing(
        _ timer: inout StageTimer,
        of plain: StageBuffer,
        named name: String
    ) throws {
        let sealer = try SegmentSealer()
        let key = BlockKey.random()
        let room = SegmentSealer.sealedBytesMax(plainBytes: Geometry.segmentBytes)
        let segments = plain.parts(of: Geometry.segmentBytes)
        let sealed = StageBuffer(byteCount: room * segments.count)
        var lengths = [Int](repeating: 0, count: segments.count)
        // One content after the other takes what one key may seal: nothing leaves this process.
        func sealAll() throws {
            for (index, segment) in segments.enumerated() {
                lengths[index] = try sealer.seal(
                    segment,
                    index: index % Geometry.segmentsPerBlock,
                    key: key,
                    into: sealed.part(index, of: room)
                )
            }
        }
        try timer.bytes("seal \(name)", total) {
            for _ in 0..<stripes { try sealAll() }
        }
        let opened = StageBuffer(byteCount: plain.readable.count)
        try timer.bytes("open \(name)", total, prepare: { try sealAll() }) {
            for _ in 0..<stripes {
                for index in segments.indices {
                    try sealer.open(
                        UnsafeRawBufferPointer(
                            rebasing: sealed.part(index, of: room)[..<lengths[index]]
                        ),
                        index: index % Geometry.segmentsPerBlock,
                        key: key,
                        into: opened.part(index, of: Geometry.segmentBytes)
                    )
                }
            }
        }
    }

    /// Costs a GiB of data, not of data and parity.
    private func measureShards(_ timer: inout StageTimer) throws {
        let coder = ErasureCoder(code)
        let shardBytes = code.stripeBytesMax / code.k
        let stripe = StageBuffer(byteCount: code.n * shardBytes)
        stripe.fillWithNoise()
        let shards = (0..<code.n).map { stripe.part($0, of: shardBytes) }
        try timer.bytes("encode", total) {
            for _ in 0..<stripes { coder.encode(shards) }
        }
        let lost = StageBuffer(byteCount: 2 * shardBytes)
        let targets = [0, 1].map { lost.part($0, of: shardBytes) }
        let present = (2..<code.n).map { ($0, UnsafeRawBufferPointer(shards[$0])) }
        try timer.bytes("rebuild two lost", total) {
            for _ in 0..<stripes {
                try coder.reconstruct([0, 1], from: present, into: targets)
            }
        }
        let key = MaskKey.random()
        try timer.bytes("mask", total) {
            for _ in 0..<stripes {
                for shard in shards { try ShardMask.apply(to: shard, key: key, offset: 0) }
            }
        }
        var roots: Set<Digest> = []
        try timer.bytes("Merkle roots", total) {
            for _ in 0..<stripes {
                for shard in shards {
                    roots.insert(MerkleTree.root(of: UnsafeRawBufferPointer(shard)))
                }
            }
        }
        try timer.bytes("mask and Merkle roots at once", total) {
            for _ in 0..<stripes {
                for shard in shards {
                    roots.insert(try ShardMask.applyAndHash(to: shard, key: key))
                }
            }
        }
    }
}
