import Primitives
import Proofs
import Sealing

/// One custody with a day of audits: what tests of formats and files are made of.
struct Samples {
    var custody: Custody
    let grant: Grant
    /// A keeper who audits by the grant.
    let auditor: SigningKey
    var states: [OrderState] = []
    var receipts: [Receipt] = []
    var proof: Proof
    var proofs: [Proof] = []

    static let firstEpoch: UInt64 = 500_001

    /// Six epochs, of which one is skipped: fine, slow, no answer, fine, rot, fine.
    init() throws {
        var custody = try Custody()
        auditor = custody.keeper
        grant = try Grant(
            volume: custody.terms.volume,
            grantee: auditor.publicKey.nodeID,
            rights: .all,
            issued: Custody.opened,
            expires: Timestamp(seconds: Custody.opened.seconds + 86_400 * 365, nanoseconds: 0),
            signedBy: custody.owner
        )
        states.append(custody.state)
        try custody.add(leaves: [3, 1, 17, 4, 2])
        states.append(custody.state)
        let verdicts: [Verdict] = [.ok, .slow, .unreachable, .ok, .corrupt, .ok]
        var challenge = try custody.challenge(epoch: Self.firstEpoch, leaves: 8)
        proof = try custody.prove(challenge)
        var lastProved: Receipt?
        for (index, verdict) in verdicts.enumerated() {
            if index == 3 {
                try custody.amend(
                    custody.tree.changes(adding: [], removing: [custody.tree[1].shard])
                )
                states.append(custody.state)
            }
            let epoch = Self.firstEpoch + UInt64(index < 3 ? index : index + 1)
            challenge = try custody.challenge(epoch: epoch, leaves: 8)
            var provider = custody
            if verdict == .corrupt { provider.shards[custody.tree[2].shard]?[0] ^= 1 }
            if verdict == .corrupt { provider.shards[custody.tree[2].shard]?[16_384] ^= 1 }
            proof = try provider.prove(challenge, damaged: [custody.tree[0].shard])
            proofs.append(proof)
            let asked = Timestamp(
                seconds: Int64(epoch * UInt64(Custody.epochSeconds)) + 60,
                nanoseconds: 5
            )
            receipts.append(
                try Receipt(
                    of: challenge,
                    after: receipts.last,
                    lastProved: lastProved,
                    epochSeconds: Custody.epochSeconds,
                    asked: asked,
                    answered: Timestamp(seconds: asked.seconds + 1, nanoseconds: 999_999_999),
                    verdict: verdict,
                    reason: "as \"\(verdict)\" as can be",
                    proof: verdict == .unreachable ? nil : proof,
                    signedBy: auditor
                )
            )
            if verdict.isProof { lastProved = receipts.last }
        }
        self.custody = custody
    }

    var file: ReceiptFile {
        ReceiptFile(
            terms: custody.terms,
            states: states,
            grants: [grant],
            beacons: custody.beacons,
            receipts: receipts,
            proof: proof
        )
    }
}
