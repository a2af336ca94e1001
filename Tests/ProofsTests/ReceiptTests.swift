import Primitives
import Proofs
import Sealing
import Testing
import Wire

struct ReceiptTests {
    private let samples: Samples
    private var receipts: [Receipt] { samples.receipts }

    init() throws {
        samples = try Samples()
    }

    @Test func chainLinksAndAddsUp() {
        #expect(receipts[0].number == 1 && receipts[0].isSignatureValid)
        for (last, next) in zip(receipts, receipts.dropFirst()) {
            #expect(next.follows(last))
            #expect(!last.follows(next))
            #expect(next.totalByteSeconds == last.totalByteSeconds + next.provedByteSeconds)
        }
        #expect(!receipts[2].follows(receipts[0]))
        #expect(!receipts[2].hasProof && receipts[1].hasProof)
    }

    /// Epochs 1, 2, -, skipped, 4 (5 in numbers), rot, 7: what both ends of a span show to be held,
    /// for at most two epochs.
    @Test func byteSecondsAreWhatBothProofsShow() {
        let before: UInt128 = 27 * 1024
        let after: UInt128 = 26 * 1024
        #expect(
            receipts.map(\.provedByteSeconds) == [
                0, before * 3600, 0, after * 7200, 0, after * 7200,
            ]
        )
    }

    @Test func providerSignedWhatTheReceiptSays() throws {
        let key = samples.custody.provider.publicKey
        for (receipt, proof) in zip(receipts, samples.proofs) where receipt.hasProof {
            #expect(receipt.proofHash == proof.hash)
            #expect(
                Proof.isValid(
                    signature: receipt.proofSignature,
                    of: key,
                    over: receipt.challenge,
                    hash: receipt.proofHash
                )
            )
        }
    }

    @Test func longReasonsAreCutAtACharacter() throws {
        let reason = String(repeating: "é", count: 127) + "\n" + String(repeating: "é", count: 9)
        let receipt = try Receipt(
            of: samples.proof.challenge,
            after: nil,
            lastProved: nil,
            epochSeconds: 60,
            asked: Custody.opened,
            answered: .epoch,
            verdict: .unreachable,
            reason: reason,
            proof: nil,
            signedBy: samples.auditor
        )
        #expect(receipt.reason == String(repeating: "é", count: 127) + " ")
        #expect(receipt.answered == receipt.asked)
        let again = try Receipt(decoding: receipt.encoded)
        #expect(again == receipt && again.isSignatureValid)
    }

    @Test(arguments: [0, 2, 4]) func everyFlippedBitIsRefused(index: Int) throws {
        let bytes = receipts[index].encoded
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << (bit % 8)
            guard let receipt = try? Receipt(decoding: flipped) else { continue }
            #expect(!receipt.isSignatureValid, "bit \(bit)")
            if index > 0 { #expect(!receipt.follows(receipts[index - 1])) }
            if index + 1 < receipts.count { #expect(!receipts[index + 1].follows(receipt)) }
        }
    }
}
