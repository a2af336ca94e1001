package import Primitives
package import Sealing

/// Answers challenges.
package enum Prover {
    /// The signed answer to `challenge` from the order that it names.
    ///
    /// `reading` is called once for each entry that was drawn, with all its leaves that were,
    /// ascending, and gives an answer for each. Of `damaged` the first 1,024 ids are named.
    package static func prove(
        _ challenge: Challenge,
        over tree: OrderTree,
        damaged: [ShardID],
        signedBy provider: SigningKey,
        reading: (OrderEntry, [Int]) -> [LeafAnswer]
    ) throws(ProofError) -> Proof {
        throw .badChallenge("")
    }
}

/// Checks proofs.
package enum Verifier {
    /// What `proof` shows if `challenge` was asked; what is wrong with it is the outcome's reason.
    package static func verify(_ proof: Proof, of challenge: Challenge) -> ProofOutcome {
        ProofOutcome(
            verdict: .forged,
            reason: "",
            provedLeaves: 0,
            missing: [],
            corrupt: [],
            damaged: []
        )
    }
}
