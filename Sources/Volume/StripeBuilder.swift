import Disk
import Erasure
import Metadata
import Primitives
import Sealing

/// Assembles one stripe at a time in memory of its own: sealed segments one after another, then
/// parity, then the mask of every shard.
///
/// The payload lies at the start of `memory`; shard `i` is the `i`-th part of `shardBytes`, so
/// data shards need no copy. Not thread-safe; each upload thread has one.
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
    private let memory: UnsafeMutableRawBufferPointer
    private(set) var stripe: StripeID
    private(set) var payloadBytes = 0

    init(code: ErasureCode) throws(FileSystemError) {
        self.code = code
        coder = ErasureCoder(code)
        do {
            sealer = try SegmentSealer()
        } catch {
            throw FileSystemError(.inputOutput, "cannot set up the cipher: \(error)")
        }
        memory = .allocate(byteCount: code.n * Geometry.shardBytesMax, alignment: 4096)
        stripe = Self.newID(StripeID.self)
    }

    deinit { memory.deallocate() }

    /// Bytes of memory one builder holds.
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

    /// Adds parity, masks every shard and hashes it.
    ///
    /// - Returns: the bytes of the `n` shards in order, valid until the next `reset`, and their
    ///   roots.
    func finish(
        shards ids: [ShardID],
        key: VolumeKey
    ) throws(FileSystemError) -> [(bytes: UnsafeRawBufferPointer, root: Digest)] {
        precondition(ids.count == code.n, "one id for each shard")
        let shardBytes = code.shardBytes(payloadBytes: payloadBytes)
        let padding = payloadBytes..<code.k * shardBytes
        UnsafeMutableRawBufferPointer(rebasing: memory[padding]).initializeMemory(
            as: UInt8.self,
            repeating: 0
        )
        let views = (0..<code.n).map { index in
            UnsafeMutableRawBufferPointer(
                rebasing: memory[index * shardBytes..<(index + 1) * shardBytes]
            )
        }
        coder.encode(views)
        let repairKey = key.repairKey
        do {
            return try zip(views, ids).map { view, id in
                let root = try ShardMask.applyAndHash(to: view, key: repairKey.maskKey(for: id))
                return (UnsafeRawBufferPointer(view), root)
            }
        } catch {
            throw FileSystemError(.inputOutput, "cannot mask: \(error)")
        }
    }
}
