package import Primitives
package import Wire
import Sealing

/// One shard of a stripe and who holds it.
package struct ShardHolding: Hashable, Message {
    /// 0..<k data, k..<k+m parity.
    package let index: UInt8
    package let shard: ShardID
    package let provider: NodeID
    /// Merkle root of the masked shard.
    package let root: Digest

    package init(index: UInt8, shard: ShardID, provider: NodeID, root: Digest) {
        self.index = index
        self.shard = shard
        self.provider = provider
        self.root = root
    }

    package func write(to writer: inout ByteWriter) {
        writer.integer(index)
        writer.id(shard)
        writer.id(provider)
        writer.id(root)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        index = try reader.integer()
        shard = try reader.id()
        provider = try reader.id()
        root = try reader.id()
    }
}

/// All that a repairer needs to know of a stripe: its code, and who holds which shard.
package struct StripeManifest: Hashable, Message {
    package let id: StripeID
    package let code: ErasureCode
    /// Bytes of each shard: whole leaves, 1 KiB...4 MiB.
    package let shardBytes: UInt32
    /// Ascending by index, each index at most once.
    package let shards: [ShardHolding]

    package init(id: StripeID, code: ErasureCode, shardBytes: UInt32, shards: [ShardHolding]) {
        self.id = id
        self.code = code
        self.shardBytes = shardBytes
        self.shards = shards.sorted { $0.index < $1.index }
    }

    /// The first byte of the id: the part of its volume that the stripe is compared with.
    package var bucket: UInt8 { id.bytes[0] }

    /// The same stripe with shard `index` at another provider.
    package func moving(index: UInt8, to provider: NodeID) -> StripeManifest {
        let moved = shards.map { holding in
            holding.index == index
                ? ShardHolding(
                    index: index,
                    shard: holding.shard,
                    provider: provider,
                    root: holding.root
                ) : holding
        }
        return StripeManifest(id: id, code: code, shardBytes: shardBytes, shards: moved)
    }

    /// What the stripe adds to its bucket's digest (`BucketDigests`).
    package var digest: UInt64 { XXH3.hash64(encoded) }

    package func write(to writer: inout ByteWriter) {
        writer.id(id)
        writer.code(code)
        writer.integer(shardBytes)
        writer.integer(UInt8(shards.count))
        for shard in shards { shard.write(to: &writer) }
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        id = try reader.id()
        code = try reader.code()
        shardBytes = try reader.integer()
        guard shardBytes > 0, shardBytes <= Geometry.shardBytesMax,
            shardBytes.isMultiple(of: UInt32(Geometry.leafBytes))
        else { throw .invalid(field: "shard bytes", reason: "\(shardBytes)") }
        let count = Int(try reader.integer(UInt8.self))
        guard count <= code.n else {
            throw .tooLong(field: "shards", value: UInt64(count), limit: UInt64(code.n))
        }
        var shards: [ShardHolding] = []
        for _ in 0..<count {
            let shard = try ShardHolding(from: &reader)
            guard shard.index < code.n, shards.last.map({ $0.index < shard.index }) ?? true else {
                throw .invalid(field: "shard index", reason: "\(shard.index)")
            }
            shards.append(shard)
        }
        self.shards = shards
    }
}

/// Digests of a volume's stripes by the first byte of their ids, to find where two copies of the
/// list differ.
///
/// A bucket's digest is the sum, modulo 2^64, of the XXH3-64 of each of its manifests' encodings:
/// the order is all one, and a change costs one manifest and not a bucket. An empty bucket has 0.
package struct BucketDigests: Hashable, Message {
    /// One for each first byte of a stripe's id.
    package static let bucketCount = 256

    package private(set) var values: [UInt64]

    package init() { values = Array(repeating: 0, count: Self.bucketCount) }

    package init(of stripes: some Sequence<StripeManifest>) {
        self.init()
        for stripe in stripes { add(stripe) }
    }

    package subscript(bucket: UInt8) -> UInt64 {
        get { values[Int(bucket)] }
        set { values[Int(bucket)] = newValue }
    }

    package mutating func add(_ stripe: StripeManifest) { self[stripe.bucket] &+= stripe.digest }

    /// Takes a stripe out that was added.
    package mutating func remove(_ stripe: StripeManifest) {
        self[stripe.bucket] &-= stripe.digest
    }

    /// The buckets whose stripes are not the same.
    package func differing(from other: BucketDigests) -> [UInt8] {
        (UInt8.min...UInt8.max).filter { self[$0] != other[$0] }
    }

    package func write(to writer: inout ByteWriter) {
        for value in values { writer.integer(value) }
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        var values: [UInt64] = []
        for _ in 0..<Self.bucketCount { values.append(try reader.integer()) }
        self.values = values
    }
}
