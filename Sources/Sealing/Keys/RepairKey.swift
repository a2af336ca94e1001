package import Primitives

/// Unmasks all shards of a volume and opens none of its segments: what a repairer is given.
package struct RepairKey: SecretKey {
    package let bytes: [UInt8]

    package init(trusted bytes: [UInt8]) {
        precondition(bytes.count == Self.byteCount, "a key has 32 bytes")
        self.bytes = bytes
    }

    package func maskKey(for shard: ShardID) -> MaskKey {
        MaskKey(trusted: HKDF.derive(from: bytes, label: "mask", context: shard.bytes))
    }
}

/// The key of one shard's mask.
package struct MaskKey: SecretKey {
    package let bytes: [UInt8]

    package init(trusted bytes: [UInt8]) {
        precondition(bytes.count == Self.byteCount, "a key has 32 bytes")
        self.bytes = bytes
    }
}
