package import Primitives
package import Sealing
package import Wire

/// A score that a keeper vouches for.
package struct SignedScore: Hashable, Message {
    /// Stands before the signed fields, so that the signature means nothing elsewhere.
    private static let signedPrefix = Array("mefs/1/score\0".utf8)

    package let provider: NodeID
    package let at: Timestamp
    package let score: Score
    package let keeperKey: PublicKey
    /// The keeper's, over all of the above.
    package let signature: [UInt8]

    /// Makes a score and signs it.
    package init(
        provider: NodeID,
        at: Timestamp,
        score: Score,
        signedBy keeper: SigningKey
    ) throws(SealingError) {
        self.provider = provider
        self.at = at
        self.score = score
        keeperKey = keeper.publicKey
        signature = try keeper.signature(
            of: Self.signedBytes(provider, at, score, keeper.publicKey)
        )
    }

    /// Whether the keeper signed exactly this.
    package var isSignatureValid: Bool {
        keeperKey.isValid(
            signature: signature,
            of: Self.signedBytes(provider, at, score, keeperKey)
        )
    }

    private static func signedBytes(
        _ provider: NodeID,
        _ at: Timestamp,
        _ score: Score,
        _ keeperKey: PublicKey
    ) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw(signedPrefix)
        writeFields(provider, at, score, keeperKey, to: &writer)
        return writer.bytes
    }

    private static func writeFields(
        _ provider: NodeID,
        _ at: Timestamp,
        _ score: Score,
        _ keeperKey: PublicKey,
        to writer: inout ByteWriter
    ) {
        writer.id(provider)
        writer.timestamp(at)
        score.write(to: &writer)
        writer.raw(keeperKey.bytes)
    }

    package func write(to writer: inout ByteWriter) {
        Self.writeFields(provider, at, score, keeperKey, to: &writer)
        writer.raw(signature)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        provider = try reader.id()
        at = try reader.timestamp()
        score = try Score(from: &reader)
        guard let key = PublicKey(bytes: try reader.bytes(PublicKey.byteCount)) else {
            throw .invalid(field: "keeper's key", reason: "wrong length")
        }
        keeperKey = key
        signature = Array(try reader.bytes(PublicKey.signatureBytes))
    }
}
