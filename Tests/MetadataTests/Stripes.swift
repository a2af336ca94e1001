import Metadata
import Primitives

/// Stripes and blocks as an uploader would make them.
enum Stripes {
    static func id<ID: OpaqueID>(_ number: UInt64) -> ID {
        var random = SeededGenerator(seed: number)
        guard let id = ID(bytes: random.bytes(ID.byteCount)) else { preconditionFailure() }
        return id
    }

    static func record(_ number: UInt64, payloadBytes: Int = 4 << 20) -> StripeRecord {
        guard let code = ErasureCode(k: 4, m: 2) else { preconditionFailure() }
        return StripeRecord(
            id: id(number),
            code: code,
            payloadBytes: payloadBytes,
            shardBytes: code.shardBytes(payloadBytes: payloadBytes),
            shards: (0..<6).map { index in
                ShardRecord(
                    index: index,
                    shard: id(number * 1000 + UInt64(index)),
                    provider: id(UInt64(index) + 1),
                    root: id(number * 1000 + UInt64(index))
                )
            }
        )
    }

    static func begin(_ number: UInt64, in store: MetadataStore) throws -> StripeRecord {
        let record = record(number)
        try store.beginStripe(record)
        return record
    }

    /// A block of `bytes` plain bytes that did not compress, the `index`-th in its stripe.
    static func location(in stripe: StripeRecord, at index: Int, bytes: UInt64) -> BlockLocation {
        let segment = UInt64(Geometry.segmentBytes)
        let count = (bytes + segment - 1) / segment
        return BlockLocation(
            stripe: stripe.id,
            offset: UInt32(index * Geometry.blockBytes),
            plainBytes: UInt32(bytes),
            validBytes: UInt32(bytes),
            segmentBytes: (0..<count).map { UInt32(min(segment, bytes - $0 * segment)) }
        )
    }

    /// Writes `bytes` to a file and places all of it in one stripe.
    static func place(
        _ ino: InodeNumber,
        bytes: UInt64,
        _ number: UInt64,
        in store: MetadataStore
    ) throws -> StripeRecord {
        try store.recordWrite(ino, growingTo: bytes, now: time(3))
        let stripe = try begin(number, in: store)
        let blockBytes = UInt64(Geometry.blockBytes)
        var placed: [PlacedBlock] = []
        for index in 0..<(bytes + blockBytes - 1) / blockBytes {
            let token = try store.markDirty(
                ino,
                BlockIndex(index),
                since: time(4),
                resident: .max
            )
            let location = location(
                in: stripe,
                at: Int(index),
                bytes: min(blockBytes, bytes - index * blockBytes)
            )
            placed.append(
                PlacedBlock(
                    key: BlockKey(ino, BlockIndex(index)),
                    location: location,
                    token: token
                )
            )
        }
        try store.completeStripe(stripe.id, blocks: placed)
        return stripe
    }
}

extension DeadShard {
    /// All shards of a stripe.
    static func of(_ stripe: StripeRecord) -> [DeadShard] {
        stripe.shards.map { DeadShard(stripe: stripe.id, record: $0) }
    }
}

extension StripeRecord {
    /// The same stripe with another holder of one shard.
    func moving(_ index: Int, to provider: NodeID) -> StripeRecord {
        StripeRecord(
            id: id,
            code: code,
            payloadBytes: payloadBytes,
            shardBytes: shardBytes,
            shards: shards.map { shard in
                guard shard.index == index else { return shard }
                return ShardRecord(
                    index: index,
                    shard: shard.shard,
                    provider: provider,
                    root: shard.root
                )
            }
        )
    }
}

extension MetadataStore {
    /// All placed stripes, asked for in pages of three.
    func allPlacedStripes() throws -> [StripeRecord] {
        var all: [StripeRecord] = []
        while true {
            let page = try placedStripes(after: all.last?.id, limit: 3)
            guard !page.isEmpty else { return all }
            all += page
        }
    }
}
