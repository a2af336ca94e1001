package import Primitives
package import Sealing
package import Wire

/// An auditor's signed word on one audit of an order, linked to the one before.
///
/// The chain of an order's receipts is its proof of space-time: so many bytes for so long.
package struct Receipt: Hashable, Message {
    /// Bytes of a reason.
    package static let reasonBytesMax = 256
    /// No interval between two proofs counts for more than so many epochs.
    package static let epochsMax: UInt64 = 2

    package let order: OrderID
    /// From 1, one more each.
    package let number: UInt64
    /// Hash of the receipt before; zeros in the first.
    package let previous: Digest
    package let provider: NodeID
    package let epoch: Epoch
    /// `BeaconBlock.value` of the epoch.
    package let beacon: Digest
    package let sequence: UInt64
    package let commitment: Commitment
    /// Leaves drawn.
    package let leaves: UInt32
    package let asked: Timestamp
    package let answered: Timestamp
    package let verdict: Verdict
    /// Why, in words.
    package let reason: String
    /// `Proof.hash`; zeros if there was no proof.
    package let proofHash: Digest
    /// The provider's signature over challenge and proof hash; zeros if there was no proof.
    package let proofSignature: [UInt8]
    /// Bytes times seconds that this audit adds.
    package let provedByteSeconds: UInt128
    /// All of this chain, this one's included.
    package let totalByteSeconds: UInt128
    package let auditorKey: PublicKey
    package private(set) var signature: [UInt8]

    /// Signs what became of `challenge`.
    ///
    /// The link and the sum are made from `previous`; `lastProved` is the newest receipt of the
    /// chain whose verdict is a proof, which may be `previous`. A reason that is too long is cut.
    package init(
        of challenge: Challenge,
        after previous: Receipt?,
        lastProved: Receipt?,
        epochSeconds: UInt32,
        asked: Timestamp,
        answered: Timestamp,
        verdict: Verdict,
        reason: String,
        proof: Proof?,
        signedBy auditor: SigningKey
    ) throws(SealingError) {
        order = challenge.order
        number = (previous?.number ?? 0) + 1
        self.previous = previous?.hash ?? .zero
        provider = challenge.provider
        epoch = challenge.epoch
        beacon = challenge.beacon
        sequence = challenge.sequence
        commitment = challenge.commitment
        leaves = challenge.leaves
        self.asked = asked
        // Clocks are set back at times; a receipt never says that the answer came first.
        self.answered = max(asked, answered)
        self.verdict = verdict
        self.reason = Self.cut(reason)
        proofHash = proof?.hash ?? .zero
        proofSignature = proof?.signature ?? Self.noSignature
        provedByteSeconds =
            verdict.isProof
            ? Self.byteSeconds(
                of: challenge.commitment,
                provedAt: max(asked, answered),
                after: lastProved,
                epochSeconds: epochSeconds
            ) : 0
        totalByteSeconds = (previous?.totalByteSeconds ?? 0) + provedByteSeconds
        auditorKey = auditor.publicKey
        signature = []
        signature = try auditor.signature(of: signed)
    }

    package init(from reader: inout ByteReader) throws(DecodeError) {
        order = try reader.id()
        number = try reader.integer()
        previous = try reader.id()
        provider = try reader.id()
        epoch = Epoch(try reader.integer())
        beacon = try reader.id()
        sequence = try reader.integer()
        commitment = try Commitment(from: &reader)
        leaves = try reader.integer()
        asked = try reader.timestamp()
        answered = try reader.timestamp()
        let code = try reader.integer(UInt8.self)
        guard let verdict = Verdict(rawValue: code) else {
            throw .invalid(field: "verdict", reason: "\(code)")
        }
        self.verdict = verdict
        reason = try reader.label("reason", limit: Self.reasonBytesMax)
        proofHash = try reader.id()
        proofSignature = try reader.signature()
        provedByteSeconds = try reader.integer()
        totalByteSeconds = try reader.integer()
        auditorKey = try reader.publicKey()
        signature = try reader.signature()
        if let fault { throw .invalid(field: fault.field, reason: fault.reason) }
    }

    package func write(to writer: inout ByteWriter) {
        writeFields(to: &writer)
        writer.raw(signature)
    }

    /// What hash the next receipt links to.
    package var hash: Digest { SHA256.digest(encoded) }

    package var isSignatureValid: Bool {
        auditorKey.isValid(signature: signature, of: signed)
    }

    /// What was asked, for whoever draws it again.
    package var challenge: Challenge {
        Challenge(
            order: order,
            provider: provider,
            epoch: epoch,
            beacon: beacon,
            sequence: sequence,
            commitment: commitment,
            leaves: leaves
        )
    }

    /// Whether the provider signed an answer at all.
    package var hasProof: Bool { proofSignature != Self.noSignature }

    /// Whether this is signed, and the receipt right after `receipt` in one auditor's chain.
    package func follows(_ receipt: Receipt) -> Bool {
        breakAfter(receipt) == nil && isSignatureValid
    }

    /// The first field that does not link this to `receipt`, or `nil` if all do.
    func breakAfter(_ receipt: Receipt) -> String? {
        if order != receipt.order { return "order" }
        if auditorKey != receipt.auditorKey { return "auditorKey" }
        if provider != receipt.provider { return "provider" }
        if number != receipt.number &+ 1 { return "number" }
        if previous != receipt.hash { return "previous" }
        if epoch < receipt.epoch { return "epoch" }
        if totalByteSeconds != receipt.totalByteSeconds + provedByteSeconds {
            return "totalByteSeconds"
        }
        return nil
    }

    /// Bytes times seconds that a proof at `time` adds after the one of `lastProved`.
    ///
    /// What both proofs show to be held, for the time between them, at most `epochsMax` epochs; the
    /// first proof of a chain adds nothing. Seconds count whole, so that a chain loses none.
    package static func byteSeconds(
        of commitment: Commitment,
        provedAt time: Timestamp,
        after lastProved: Receipt?,
        epochSeconds: UInt32
    ) -> UInt128 {
        guard let lastProved, lastProved.answered.seconds < time.seconds else { return 0 }
        let since = UInt64(time.seconds - lastProved.answered.seconds)
        let bytes = min(commitment.totalBytes, lastProved.commitment.totalBytes)
        return UInt128(bytes) * UInt128(min(since, epochsMax * UInt64(epochSeconds)))
    }

    static let noSignature = [UInt8](repeating: 0, count: PublicKey.signatureBytes)
    /// No sum of byte-seconds reaches it: 2^46 bytes for 2^43 seconds are less.
    private static let byteSecondsLimit: UInt128 = 1 << 96

    /// The field that no receipt has so, and why; `nil` if one may.
    private var fault: (field: String, reason: String)? {
        if let fault = challenge.fault { return ("challenge", fault) }
        if number == 0 { return ("number", "0") }
        if (number == 1) != (previous == .zero) {
            return ("previous", "the first receipt has zeros, and no other")
        }
        if answered < asked { return ("answered", "before it was asked") }
        if totalByteSeconds >= Self.byteSecondsLimit || provedByteSeconds > totalByteSeconds {
            return ("byte-seconds", "more than can be")
        }
        if provedByteSeconds > 0, !verdict.isProof {
            return ("byte-seconds", "proved by a verdict that is none")
        }
        if hasProof != (proofHash != .zero) || (verdict.isProof && !hasProof) {
            return ("proof", "hash, signature and verdict disagree")
        }
        return nil
    }

    private var signed: [UInt8] {
        var writer = ByteWriter()
        writer.raw(Domain.receipt)
        writeFields(to: &writer)
        return writer.bytes
    }

    private func writeFields(to writer: inout ByteWriter) {
        writer.id(order)
        writer.integer(number)
        writer.id(previous)
        writer.id(provider)
        writer.integer(epoch.rawValue)
        writer.id(beacon)
        writer.integer(sequence)
        commitment.write(to: &writer)
        writer.integer(leaves)
        writer.timestamp(asked)
        writer.timestamp(answered)
        writer.integer(verdict.rawValue)
        writer.string(reason)
        writer.id(proofHash)
        writer.raw(proofSignature)
        writer.integer(provedByteSeconds)
        writer.integer(totalByteSeconds)
        writer.raw(auditorKey.bytes)
    }

    /// The longest beginning that fits, with spaces for control characters.
    private static func cut(_ reason: String) -> String {
        var text = ""
        for scalar in reason.unicodeScalars {
            let next: Unicode.Scalar =
                scalar.properties.generalCategory == .control ? " " : scalar
            guard text.utf8.count + next.utf8.count <= reasonBytesMax else { break }
            text.unicodeScalars.append(next)
        }
        return text
    }
}
