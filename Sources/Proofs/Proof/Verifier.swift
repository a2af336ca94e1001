import Primitives
import Sealing

/// Checks proofs.
package enum Verifier {
    /// What `proof` shows if `challenge` was asked; what is wrong with it is the outcome's reason.
    package static func verify(_ proof: Proof, of challenge: Challenge) -> ProofOutcome {
        do throws(Forgery) {
            try check(proof, of: challenge)
            var reading = ProofReading(draws: challenge.draws())
            try reading.read(proof.body, of: challenge.commitment)
            return outcome(of: reading, damaged: proof.damaged)
        } catch {
            return ProofOutcome(
                verdict: .forged,
                reason: error.reason,
                provedLeaves: 0,
                missing: [],
                corrupt: [],
                damaged: []
            )
        }
    }

    private static func check(_ proof: Proof, of challenge: Challenge) throws(Forgery) {
        if let fault = challenge.fault { throw Forgery(reason: "the challenge: \(fault)") }
        if let field = challenge.field(differingFrom: proof.challenge) {
            throw Forgery(reason: "it answers another \(field)")
        }
        guard proof.body.count <= Proof.bodyBytesMax else {
            throw Forgery(reason: "a body of \(proof.body.count) bytes")
        }
        guard proof.damaged.count <= Proof.damagedMax,
            zip(proof.damaged, proof.damaged.dropFirst()).allSatisfy({ $0 < $1 })
        else { throw Forgery(reason: "the list of damaged shards is too long or not ascending") }
        guard proof.providerKey.nodeID == challenge.provider else {
            throw Forgery(reason: "signed with a key that is not the provider's")
        }
        guard proof.isSignatureValid else {
            throw Forgery(reason: "the provider's signature is not valid")
        }
    }

    private static func outcome(of reading: ProofReading, damaged: [ShardID]) -> ProofOutcome {
        let verdict: Verdict
        let reason: String
        if let first = reading.missing.first {
            verdict = .missing
            reason = "the provider has not got \(reading.missing.count) shards, as \(first)"
        } else if let first = reading.corrupt.first {
            verdict = .corrupt
            reason = "of the provider's shards \(reading.corrupt.count) rotted, as \(first)"
        } else {
            verdict = .ok
            reason = "\(reading.provedLeaves) leaves proved"
        }
        return ProofOutcome(
            verdict: verdict,
            reason: reason,
            provedLeaves: reading.provedLeaves,
            missing: reading.missing,
            corrupt: reading.corrupt,
            damaged: damaged
        )
    }
}

/// Why a proof is none.
struct Forgery: Error {
    let reason: String
}

extension Challenge {
    /// The name of the first field that is not the same in `other`.
    func field(differingFrom other: Challenge) -> String? {
        if order != other.order { return "order" }
        if provider != other.provider { return "provider" }
        if epoch != other.epoch { return "epoch" }
        if beacon != other.beacon { return "beacon" }
        if sequence != other.sequence { return "sequence" }
        if commitment != other.commitment { return "commitment" }
        if leaves != other.leaves { return "number of leaves" }
        return nil
    }
}
