package import Primitives

/// A volume's key: 32 random bytes, under which its file keys are wrapped.
package struct VolumeKey: SecretKey {
    package let bytes: [UInt8]

    package init(trusted bytes: [UInt8]) {
        precondition(bytes.count == Self.byteCount, "a key has 32 bytes")
        self.bytes = bytes
    }

    /// The key that whoever repairs may have: it unmasks shards and opens nothing.
    package var repairKey: RepairKey {
        RepairKey(trusted: HKDF.derive(from: bytes, label: "repair"))
    }

    /// The key under which checkpoints of the volume's metadata are sealed, as a file's content is.
    package var checkpointKey: FileKey {
        FileKey(trusted: HKDF.derive(from: bytes, label: "checkpoint"))
    }

    /// The mask of one shard, by way of the repair key.
    ///
    /// Of many shards ask `repairKey` once.
    package func maskKey(for shard: ShardID) -> MaskKey { repairKey.maskKey(for: shard) }

    /// Seals a file's key for keeping in the file's metadata.
    package func wrap(_ key: FileKey, for ino: InodeNumber) throws(SealingError) -> [UInt8] {
        try wrap(key, for: ino, nonce: SecureRandom.bytes(12))
    }

    /// `wrap` with a nonce of 12 bytes given, which must never be used twice: for golden tests.
    package func wrap(
        _ key: FileKey,
        for ino: InodeNumber,
        nonce: [UInt8]
    ) throws(SealingError) -> [UInt8] {
        try KeyWrap.seal(key.bytes, under: wrappingKey(for: ino), nonce: nonce)
    }

    /// Opens what `wrap` made.
    ///
    /// - Throws: `corrupt` if it was changed, or belongs to another volume or inode.
    package func unwrap(_ wrapped: [UInt8], for ino: InodeNumber) throws(SealingError) -> FileKey {
        let what = "the wrapped key of inode \(ino.rawValue)"
        let bytes = try KeyWrap.open(wrapped, under: wrappingKey(for: ino), as: what)
        return FileKey(trusted: bytes)
    }

    private func wrappingKey(for ino: InodeNumber) -> [UInt8] {
        HKDF.derive(from: bytes, label: "file-wrap", context: ino.rawValue.littleEndianBytes)
    }
}
