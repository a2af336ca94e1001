import Primitives
import Proofs
import Sealing
import Testing
import Wire

struct ProofTests {
    /// Orders of every shape: one entry, no odd node, odd nodes on several levels.
    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 16, 17, 23])
    func honestProofIsBelieved(entries: Int) throws {
        var custody = try Custody()
        try custody.add(leaves: (0..<entries).map { [1, 40, 3, 17, 16, 33][$0 % 6] })
        for leaves: UInt32 in [1, 2, 32, 460] {
            let challenge = try custody.challenge(leaves: leaves)
            let outcome = Verifier.verify(try custody.prove(challenge), of: challenge)
            #expect(outcome.verdict == .ok, "\(outcome.reason)")
            #expect(outcome.provedLeaves == challenge.draws().count)
            #expect(outcome.missing.isEmpty && outcome.corrupt.isEmpty)
        }
    }

    @Test func orderThatHoldsNothingHasAnEmptyProof() throws {
        var custody = try Custody()
        let challenge = try custody.challenge(leaves: 32)
        let proof = try custody.prove(challenge)
        #expect(proof.body.isEmpty)
        #expect(Verifier.verify(proof, of: challenge).verdict == .ok)
    }

    @Test func tombstonesAreNeverAsked() throws {
        var custody = try Custody()
        try custody.add(leaves: [3, 40, 5, 7, 9])
        let gone = custody.tree[1].shard
        try custody.amend(custody.tree.changes(adding: [], removing: [gone]))
        custody.shards[gone] = nil
        let challenge = try custody.challenge(leaves: 460)
        #expect(challenge.draws().count == 3 + 5 + 7 + 9)
        #expect(Verifier.verify(try custody.prove(challenge), of: challenge).verdict == .ok)
    }

    @Test func eachEntryIsReadOnceWithAllItsLeaves() throws {
        var custody = try Custody()
        try custody.add(leaves: [40, 60, 80])
        let challenge = try custody.challenge(leaves: 100)
        var asked: [(ShardID, [Int])] = []
        _ = try Prover.prove(
            challenge,
            over: custody.tree,
            damaged: [],
            signedBy: custody.provider
        ) { entry, leaves in
            asked.append((entry.shard, leaves))
            return custody.read(entry, leaves)
        }
        #expect(Set(asked.map(\.0)).count == asked.count)
        #expect(asked.allSatisfy { $0.1 == Array(Set($0.1)).sorted() })
        #expect(asked.map(\.1.count).reduce(0, +) == challenge.draws().count)
    }

    @Test func whatTheProviderAdmitsIsNamed() throws {
        var custody = try Custody()
        try custody.add(leaves: [30, 30, 30])
        let (first, second) = (custody.tree[0].shard, custody.tree[1].shard)
        custody.shards[first]?[7] ^= 1
        let challenge = try custody.challenge(leaves: 460)
        let corrupt = Verifier.verify(
            try custody.prove(challenge, damaged: [second, first, second]),
            of: challenge
        )
        #expect(corrupt.verdict == .corrupt)
        #expect(corrupt.corrupt == [first])
        #expect(corrupt.damaged == [first, second].sorted())
        #expect(corrupt.reason.contains(first.hex))
        custody.shards[second] = nil
        let missing = Verifier.verify(try custody.prove(challenge), of: challenge)
        #expect(missing.verdict == .missing)
        #expect(missing.missing == [second] && missing.corrupt == [first])
        #expect(missing.provedLeaves == challenge.draws().count - 30 - 16)
    }

    @Test func proverRefusesWhatIsNoAnswer() throws {
        var custody = try Custody()
        try custody.add(leaves: [5, 9])
        let challenge = try custody.challenge(leaves: 40)
        let wrong: [(OrderEntry, [Int]) -> [LeafAnswer]] = [
            { _, _ in [] },
            { custody.read($0, $1) + [.missing] },
            { _, leaves in leaves.map { _ in .leaf(bytes: [], path: []) } },
        ]
        for reading in wrong {
            #expect(throws: ProofError.self) {
                try Prover.prove(
                    challenge,
                    over: custody.tree,
                    damaged: [],
                    signedBy: custody.provider,
                    reading: reading
                )
            }
        }
        var other = custody
        try other.add(leaves: [1], seed: 9)
        let held = other
        #expect(throws: ProofError.self) { try held.prove(challenge) }
        let stranger = try Custody(seed: 2)
        #expect(throws: ProofError.self) {
            try Prover.prove(
                challenge,
                over: custody.tree,
                damaged: [],
                signedBy: stranger.provider,
                reading: custody.read
            )
        }
    }

    @Test func noMoreThanItsLimitOfDamagedShardsIsNamed() throws {
        var custody = try Custody()
        try custody.add(leaves: [2])
        var generator = SeededGenerator(seed: 3)
        let damaged = (0..<1100).compactMap { _ in ShardID(bytes: generator.bytes(16)) }
        let challenge = try custody.challenge(leaves: 1)
        let proof = try custody.prove(challenge, damaged: damaged)
        #expect(proof.damaged == Array(damaged.sorted().prefix(Proof.damagedMax)))
        #expect(try Proof(decoding: proof.encoded) == proof)
    }
}
