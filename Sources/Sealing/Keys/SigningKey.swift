import CSealing

/// An Ed25519 key (RFC 8032) that signs: what a node or an owner is.
package struct SigningKey: Secret {
    /// Bytes of the secret seed.
    package static let seedBytes = 32

    package let publicKey: PublicKey
    let bytes: [UInt8]

    /// Takes the 32 secret bytes of RFC 8032 §5.1.5.
    package init(seed: [UInt8]) throws(SealingError) {
        guard seed.count == Self.seedBytes else {
            throw .wrongLength(
                of: "an Ed25519 seed",
                expected: Self.seedBytes,
                actual: seed.count
            )
        }
        var raw = [UInt8](repeating: 0, count: PublicKey.byteCount)
        guard csealing_ed25519_public_key(seed, &raw) == 1, let publicKey = PublicKey(bytes: raw)
        else { throw .libraryFailed("making an Ed25519 key") }
        self.publicKey = publicKey
        bytes = seed
    }

    /// A new key.
    package static func random() throws(SealingError) -> SigningKey {
        try SigningKey(seed: SecureRandom.bytes(seedBytes))
    }

    /// The 32 secret bytes, for the file that keeps them.
    package var seed: [UInt8] { bytes }

    /// Signs `message`: 64 bytes, always the same for the same message.
    package func signature(of message: [UInt8]) throws(SealingError) -> [UInt8] {
        var signature = [UInt8](repeating: 0, count: PublicKey.signatureBytes)
        guard csealing_ed25519_sign(bytes, message, message.count, &signature) == 1 else {
            throw .libraryFailed("signing with Ed25519")
        }
        return signature
    }
}
