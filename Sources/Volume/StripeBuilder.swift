import Disk
import Erasure
import Metadata
import Primitives
import Sealing
import Transport

/// Assembles one stripe at a time in memory of its own: sealed segments one after another, then
/// parity, then the mask of every shard, which goes to the memory it is sent from.
///
/// The payload lies at the start of `memory`; data shard `i` is the `i`-th part of `shardBytes`.
/// Behind `stripeBytesMax` there is room for a part of each parity shard. Not thread-safe; each
/// upload thread has one.
final class StripeBuilder {
    /// A block as it was sealed into the stripe.
    struct SealedBlock {
        let location: BlockLocation
        /// Whether every byte was zero; such a block takes no room and becomes a hole.
        var isZero: Bool { location.segmentBytes.allSatisfy { $0 == 0 } }
    }

    private let code: ErasureCode
    private let coder: ErasureCoder
    private let sealer: SegmentSealer
    private let maskers: [ShardMasker]
    private let memory: UnsafeMutableRawBufferPointer
    private(set) var stripe: StripeID
    private(set) var payloadBytes = 0

    init(code: ErasureCode) throws(FileSystemError) {
        self.code = code
        coder = ErasureCoder(code)
        do {
            sealer = try SegmentSealer()
            maskers = try (0..<code.n).map { _ in try ShardMasker() }
        } catch {
            throw FileSystemError(.inputOutput, "cannot set up the cipher: \(error)")
        }
        memory = .allocate(
            byteCount: code.stripeBytesMax + code.m * ShardMasker.partBytes,
            alignment: 4096
        )
        stripe = Self.newID(StripeID.self)
    }

    deinit { memory.deallocate() }

    /// Bytes of the shards of one stripe while they are sent; a builder itself holds fewer.
    static func memoryBytes(_ code: ErasureCode) -> Int { code.n * Geometry.shardBytesMax }

    /// A fresh random id.
    static func newID<ID: OpaqueID>(_ type: ID.Type) -> ID {
        // Placement follows from ids, so a simulation draws them from its seed.
        let bytes =
            Simulation.current?.randomBytes(ID.byteCount) ?? SecureRandom.bytes(ID.byteCount)
        guard let id = ID(bytes: bytes) else {
            preconditionFailure("\(ID.self) takes \(ID.byteCount) bytes")
        }
        return id
    }

    /// Begins a new stripe.
    func reset() {
        stripe = Self.newID(StripeID.self)
        payloadBytes = 0
    }

    /// Whether a block of `plainBytes` fits whatever it compresses to.
    func hasRoom(plainBytes: Int) -> Bool {
        let segments = (plainBytes + Geometry.segmentBytes - 1) / Geometry.segmentBytes
        let worst =
            segments * SegmentSealer.sealedBytesMax(plainBytes: Geometry.segmentBytes)
        return payloadBytes + min(worst, segments * 2 * Geometry.segmentBytes)
            <= code.stripeBytesMax
    }

    /// Seals a block behind the others.
    ///
    /// `plain` holds 1 byte to 1 MiB, and `hasRoom` was true.
    func add(
        _ plain: UnsafeRawBufferPointer,
        key: FileKey
    ) throws(FileSystemError) -> SealedBlock {
        precondition(!plain.isEmpty && plain.count <= Geometry.blockBytes, "not a block")
        let offset = UInt32(payloadBytes)
        let blockKey = key.blockKey(stripe: stripe, offset: offset)
        var lengths: [UInt32] = []
        for (index, start) in stride(
            from: 0,
            to: plain.count,
            by: Geometry.segmentBytes
        ).enumerated() {
            let end = min(plain.count, start + Geometry.segmentBytes)
            let segment = UnsafeRawBufferPointer(rebasing: plain[start..<end])
            let free = UnsafeMutableRawBufferPointer(
                rebasing: memory[payloadBytes..<code.stripeBytesMax]
            )
            let length: Int
            do {
                length = try sealer.seal(segment, index: index, key: blockKey, into: free)
            } catch {
                throw FileSystemError(.inputOutput, "cannot seal: \(error)")
            }
            lengths.append(UInt32(length))
            payloadBytes += length
        }
        return SealedBlock(
            location: BlockLocation(
                stripe: stripe,
                offset: offset,
                plainBytes: UInt32(plain.count),
                validBytes: UInt32(plain.count),
                segmentBytes: lengths
            )
        )
    }

    /// Adds parity, masks every shard and hashes it, a part of all shards at a time: what one step
    /// wrote is in the processor's cache for the next.
    ///
    /// - Returns: the `n` shards in order and their roots.
    func finish(
        shards ids: [ShardID],
        key: VolumeKey
    ) throws(FileSystemError) -> [(bytes: Payload, root: Digest)] {
        precondition(ids.count == code.n, "one id for each shard")
        let shardBytes = code.shardBytes(payloadBytes: payloadBytes)
        let padding = payloadBytes..<code.k * shardBytes
        UnsafeMutableRawBufferPointer(rebasing: memory[padding]).initializeMemory(
            as: UInt8.self,
            repeating: 0
        )
        let repairKey = key.repairKey
        do {
            var shards = ids.map { _ in Payload(capacity: shardBytes) }
            for (masker, id) in zip(maskers, ids) { try masker.begin(repairKey.maskKey(for: id)) }
            for start in stride(from: 0, to: shardBytes, by: ShardMasker.partBytes) {
                let count = min(ShardMasker.partBytes, shardBytes - start)
                let parts = parts(at: start, count: count, shardBytes: shardBytes)
                coder.encode(parts)
                for index in shards.indices {
                    try shards[index].append(count) { (target) throws(SealingError) in
                        try maskers[index].add(UnsafeRawBufferPointer(parts[index]), into: target)
                    }
                }
            }
            return try zip(shards, maskers).map { ($0, try $1.root()) }
        } catch {
            throw FileSystemError(.inputOutput, "cannot mask: \(error)")
        }
    }

    /// The part of every shard that begins at `start`: of data shards where they lie, of parity
    /// shards where they are made.
    private func parts(
        at start: Int,
        count: Int,
        shardBytes: Int
    ) -> [UnsafeMutableRawBufferPointer] {
        (0..<code.n).map { index in
            let first =
                index < code.k
                ? index * shardBytes + start
                : code.stripeBytesMax + (index - code.k) * ShardMasker.partBytes
            return UnsafeMutableRawBufferPointer(rebasing: memory[first..<first + count])
        }
    }
}
