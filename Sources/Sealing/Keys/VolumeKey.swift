package import Primitives

/// A volume's key: 32 random bytes, under which its file keys are wrapped.
///
/// It can be changed for another without any file being sealed anew: then it is of a later
/// *generation*, and goes together with the keys before it, which still open what was wrapped
/// under them, and with the repair key, which never changes.
package struct VolumeKey: SecretKey {
    /// A key before the newest.
    package struct Older: Hashable, Secret {
        package let generation: UInt32
        let bytes: [UInt8]
    }

    /// The most generations that go together: two a year for twelve years; a registration has room
    /// for so many and one more.
    package static let generationsMax = 24

    /// The key of the newest generation.
    package let bytes: [UInt8]
    /// How often the key was changed.
    package let generation: UInt32
    /// The keys before, the newest first.
    package let older: [Older]
    /// The key that whoever repairs may have: it unmasks shards and opens nothing.
    ///
    /// It comes from the key of generation 0, and stays.
    package let repairKey: RepairKey

    /// A key of generation 0.
    package init(trusted bytes: [UInt8]) {
        precondition(bytes.count == Self.byteCount, "a key has 32 bytes")
        self.init(
            bytes: bytes,
            generation: 0,
            older: [],
            repairKey: RepairKey(trusted: HKDF.derive(from: bytes, label: "repair"))
        )
    }

    init(bytes: [UInt8], generation: UInt32, older: [Older], repairKey: RepairKey) {
        self.bytes = bytes
        self.generation = generation
        self.older = older
        self.repairKey = repairKey
    }

    /// The mask of one shard, by way of the repair key.
    ///
    /// Of many shards ask `repairKey` once.
    package func maskKey(for shard: ShardID) -> MaskKey { repairKey.maskKey(for: shard) }

    /// The key under which checkpoints of the volume's metadata are sealed, as a file's content is.
    ///
    /// It comes from the first key and stays, so that checkpoints from before a change of the key
    /// go on being read; file keys in them are wrapped under the volume's own keys besides.
    package var checkpointKey: FileKey {
        let first = older.last?.bytes ?? bytes
        return FileKey(trusted: HKDF.derive(from: first, label: "checkpoint"))
    }

    // MARK: Generations

    /// Every key, the newest first.
    var everyGeneration: [(generation: UInt32, bytes: [UInt8])] {
        [(generation, bytes)] + older.map { ($0.generation, $0.bytes) }
    }

    /// A new key of the next generation, together with this one and those before; `nil` if there
    /// are as many as fit.
    package func next() -> VolumeKey? {
        next(SecureRandom.bytes(Self.byteCount))
    }

    /// `next` with the 32 bytes of the new key given: for golden tests.
    package func next(_ bytes: [UInt8]) -> VolumeKey? {
        guard older.count + 1 < Self.generationsMax, generation < .max else { return nil }
        precondition(bytes.count == Self.byteCount, "a key has 32 bytes")
        return VolumeKey(
            bytes: bytes,
            generation: generation + 1,
            older: [Older(generation: generation, bytes: self.bytes)] + older,
            repairKey: repairKey
        )
    }

    // MARK: File keys

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
        try KeyWrap.seal(key.bytes, under: Self.wrappingKey(bytes, ino), nonce: nonce)
    }

    /// Opens what `wrap` made, in this generation or one before.
    ///
    /// - Throws: `corrupt` if it was changed, or belongs to another volume or inode.
    package func unwrap(_ wrapped: [UInt8], for ino: InodeNumber) throws(SealingError) -> FileKey {
        do throws(SealingError) {
            return try Self.unwrap(wrapped, bytes, ino)
        } catch {
            guard case .corrupt = error else { throw error }
            for key in older {
                if let opened = try? Self.unwrap(wrapped, key.bytes, ino) { return opened }
            }
            throw error
        }
    }

    /// The same file key wrapped under the newest generation, or `nil` if it is already.
    ///
    /// - Throws: as `unwrap`.
    package func rewrap(
        _ wrapped: [UInt8],
        for ino: InodeNumber
    ) throws(SealingError) -> [UInt8]? {
        if (try? Self.unwrap(wrapped, bytes, ino)) != nil { return nil }
        return try wrap(unwrap(wrapped, for: ino), for: ino)
    }

    private static func unwrap(
        _ wrapped: [UInt8],
        _ key: [UInt8],
        _ ino: InodeNumber
    ) throws(SealingError) -> FileKey {
        let what = "the wrapped key of inode \(ino.rawValue)"
        let bytes = try KeyWrap.open(wrapped, under: wrappingKey(key, ino), as: what)
        return FileKey(trusted: bytes)
    }

    private static func wrappingKey(_ key: [UInt8], _ ino: InodeNumber) -> [UInt8] {
        HKDF.derive(from: key, label: "file-wrap", context: ino.rawValue.littleEndianBytes)
    }
}
