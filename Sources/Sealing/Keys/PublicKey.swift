import CSealing
package import Primitives

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
