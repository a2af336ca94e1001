package import Primitives
package import Sealing
package import Wire

/// A provider's signed answer to a challenge.
package struct Proof: Hashable, Message {
    /// The largest body, so that a proof fits a frame.
    package static let bodyBytesMax = 4 << 20
    /// Damaged shards that a provider can name at once; the others come with later proofs.
    package static let damagedMax = 1024
    /// The largest encoding.
    package static let bytesMax =
        Challenge.byteCount + 4 + bodyBytesMax + 4 + damagedMax * ShardID.byteCount
        + PublicKey.byteCount + PublicKey.signatureBytes

    package let challenge: Challenge
    /// The multiproof; `docs/proofs.md` draws it.
    package let body: [UInt8]
    /// Shards that the provider's own scrub found damaged, ascending, each once.
    package let damaged: [ShardID]
    package let providerKey: PublicKey
    package let signature: [UInt8]

    /// Signs the answer to `challenge`.
    package init(
        challenge: Challenge,
        body: [UInt8],
        damaged: [ShardID],
        signedBy provider: SigningKey
    ) throws(SealingError) {
        self.challenge = challenge
        self.body = body
        self.damaged = damaged
        providerKey = provider.publicKey
        signature = try provider.signature(
            of: Self.signed(challenge, Self.hash(body, damaged))
        )
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        challenge = try Challenge(from: &reader)
        body = Array(try reader.lengthPrefixed("proof body", limit: Self.bodyBytesMax))
        let count = try reader.count("damaged shards", limit: Self.damagedMax)
        var damaged: [ShardID] = []
        damaged.reserveCapacity(count)
        for _ in 0..<count {
            let shard: ShardID = try reader.id()
            if let last = damaged.last, last >= shard {
                throw .invalid(field: "damaged shards", reason: "not ascending")
            }
            damaged.append(shard)
        }
        self.damaged = damaged
        providerKey = try reader.publicKey()
        signature = try reader.signature()
    }

    package func write(to writer: inout ByteWriter) {
        challenge.write(to: &writer)
        writer.raw(Self.hashed(body, damaged))
        writer.raw(providerKey.bytes)
        writer.raw(signature)
    }

    package var order: OrderID { challenge.order }
    package var epoch: Epoch { challenge.epoch }
    package var sequence: UInt64 { challenge.sequence }
    package var leaves: UInt32 { challenge.leaves }

    /// What the provider answered, in 32 bytes: SHA-256 over body and damaged shards.
    ///
    /// With the challenge it is all that the signature is over, so that a receipt shows the
    /// signature to be valid without the proof.
    package var hash: Digest { Self.hash(body, damaged) }

    package var isSignatureValid: Bool {
        Self.isValid(signature: signature, of: providerKey, over: challenge, hash: hash)
    }

    /// Whether the provider with `key` signed the answer with `hash` to `challenge`.
    package static func isValid(
        signature: [UInt8],
        of key: PublicKey,
        over challenge: Challenge,
        hash: Digest
    ) -> Bool {
        key.nodeID == challenge.provider
            && key.isValid(signature: signature, of: signed(challenge, hash))
    }

    private static func signed(_ challenge: Challenge, _ hash: Digest) -> [UInt8] {
        Domain.proof + challenge.encoded + hash.bytes
    }

    private static func hash(_ body: [UInt8], _ damaged: [ShardID]) -> Digest {
        SHA256.digest(hashed(body, damaged))
    }

    private static func hashed(_ body: [UInt8], _ damaged: [ShardID]) -> [UInt8] {
        var writer = ByteWriter(capacity: body.count + damaged.count * ShardID.byteCount + 8)
        writer.lengthPrefixed(body)
        writer.integer(UInt32(damaged.count))
        for shard in damaged { writer.id(shard) }
        return writer.bytes
    }
}

/// What a provider has for a leaf it is asked for.
package enum LeafAnswer: Hashable, Sendable {
    /// The leaf's 1 KiB, and the siblings up to the shard's root, lowest first.
    case leaf(bytes: [UInt8], path: [Digest])
    /// It has not got the shard, and says so.
    case missing
    /// What it has is not what it was, and it says so.
    case corrupt
}

/// What a proof shows.
package struct ProofOutcome: Hashable, Sendable {
    /// Never slow or unreachable, which is for the one who asked to know.
    package let verdict: Verdict
    /// Why, in words.
    package let reason: String
    /// Leaves that were shown to be there.
    package let provedLeaves: Int
    /// Asked shards that the provider says it has not got.
    package let missing: [ShardID]
    /// Asked shards that the provider says rotted.
    package let corrupt: [ShardID]
    /// Shards that the provider's own scrub found damaged, asked or not.
    package let damaged: [ShardID]

    package init(
        verdict: Verdict,
        reason: String,
        provedLeaves: Int,
        missing: [ShardID],
        corrupt: [ShardID],
        damaged: [ShardID]
    ) {
        self.verdict = verdict
        self.reason = reason
        self.provedLeaves = provedLeaves
        self.missing = missing
        self.corrupt = corrupt
        self.damaged = damaged
    }
}
