package import Primitives

/// An owner's root: 32 random bytes, written down as 24 words, from which the identity key and the
/// keys that wrap volume keys come.
package struct RootSeed: SecretKey {
    package let bytes: [UInt8]

    package init(trusted bytes: [UInt8]) {
        precondition(bytes.count == Self.byteCount, "a key has 32 bytes")
        self.bytes = bytes
    }

    /// The Ed25519 key by which keepers and providers know the owner.
    package func identityKey() throws(SealingError) -> SigningKey {
        try SigningKey(seed: HKDF.derive(from: bytes, label: "identity"))
    }

    /// Seals a volume's key for keeping beside the volume's registration.
    package func wrap(_ key: VolumeKey, for volume: VolumeID) throws(SealingError) -> [UInt8] {
        try wrap(key, for: volume, nonce: SecureRandom.bytes(12))
    }

    /// `wrap` with a nonce of 12 bytes given, which must never be used twice: for golden tests.
    package func wrap(
        _ key: VolumeKey,
        for volume: VolumeID,
        nonce: [UInt8]
    ) throws(SealingError) -> [UInt8] {
        try KeyWrap.seal(key.bytes, under: wrappingKey(for: volume), nonce: nonce)
    }

    /// Opens what `wrap` made.
    ///
    /// - Throws: `corrupt` if it was changed, or belongs to another seed or volume.
    package func unwrap(_ wrapped: [UInt8], for volume: VolumeID) throws(SealingError) -> VolumeKey
    {
        let what = "the wrapped key of volume \(volume.short)"
        let bytes = try KeyWrap.open(wrapped, under: wrappingKey(for: volume), as: what)
        return VolumeKey(trusted: bytes)
    }

    private func wrappingKey(for volume: VolumeID) -> [UInt8] {
        HKDF.derive(from: bytes, label: "volume-wrap", context: volume.bytes)
    }
}
