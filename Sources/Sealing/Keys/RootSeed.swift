package import Primitives

/// An owner's root: 32 random bytes, written down as 24 words, from which the identity key and the
/// keys that wrap volume keys come.
///
/// It opens everything and is needed for an instant only, so it is kept in `SecretMemory`.
package struct RootSeed: SecretKey {
    private let memory: SecretMemory

    /// A copy; whoever takes it wipes it.
    package var bytes: [UInt8] { memory.copy() }

    package init(trusted bytes: [UInt8]) {
        precondition(bytes.count == Self.byteCount, "a key has 32 bytes")
        memory = SecretMemory(copying: bytes)
    }

    package static func == (one: RootSeed, other: RootSeed) -> Bool {
        one.memory.withBytes { mine in other.memory.withBytes { mine.elementsEqual($0) } }
    }

    package func hash(into hasher: inout Hasher) {
        memory.withBytes { hasher.combine(bytes: $0) }
    }

    /// The Ed25519 key by which keepers and providers know the owner.
    package func identityKey() throws(SealingError) -> SigningKey {
        try SigningKey(seed: derive("identity"))
    }

    /// Seals a volume's key, in all its generations, for keeping beside the volume's registration.
    package func wrap(_ key: VolumeKey, for volume: VolumeID) throws(SealingError) -> [UInt8] {
        try wrap(key, for: volume, nonce: SecureRandom.bytes(12))
    }

    /// `wrap` with a nonce of 12 bytes given, which must never be used twice: for golden tests.
    package func wrap(
        _ key: VolumeKey,
        for volume: VolumeID,
        nonce: [UInt8]
    ) throws(SealingError) -> [UInt8] {
        try WrappedVolumeKey.seal(key, under: wrappingKey(for: volume), nonce: nonce)
    }

    /// Opens what `wrap` made.
    ///
    /// - Throws: `corrupt` if it was changed, or belongs to another seed or volume; `destroyed` of
    ///   a volume that was shredded.
    package func unwrap(_ wrapped: [UInt8], for volume: VolumeID) throws(SealingError) -> VolumeKey
    {
        let what = "the wrapped key of volume \(volume.short)"
        return try WrappedVolumeKey.open(wrapped, under: wrappingKey(for: volume), as: what)
    }

    private func wrappingKey(for volume: VolumeID) -> [UInt8] {
        derive("volume-wrap", context: volume.bytes)
    }

    private func derive(_ label: String, context: [UInt8] = []) -> [UInt8] {
        var seed = bytes
        defer { SecretBytes.wipe(&seed) }
        return HKDF.derive(from: seed, label: label, context: context)
    }
}
