import CSealing
package import Primitives

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

/// An Ed25519 public key.
package struct PublicKey: Hashable, Sendable, CustomStringConvertible {
    /// Bytes of a public key.
    package static let byteCount = 32
    /// Bytes of a signature.
    package static let signatureBytes = 64

    package let bytes: [UInt8]

    /// Takes exactly 32 bytes; whether they are a point of the curve shows at the first signature.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = Array(bytes)
    }

    /// The id of the node that has this key: its SHA-256.
    package var nodeID: NodeID {
        guard let id = NodeID(bytes: SHA256.digest(bytes).bytes) else {
            preconditionFailure("a node id is a SHA-256 digest")
        }
        return id
    }

    /// Whether `signature` is this key's over `message`; anything malformed is not.
    package func isValid(signature: [UInt8], of message: [UInt8]) -> Bool {
        signature.count == Self.signatureBytes
            && csealing_ed25519_verify(bytes, message, message.count, signature) == 1
    }

    package var description: String { Hex.encode(bytes) }
}
