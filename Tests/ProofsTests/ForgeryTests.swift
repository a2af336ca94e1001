import Primitives
import Proofs
import Sealing
import Testing
import Wire

/// What a provider without the data might send instead of a proof; every one is refused.
struct ForgeryTests {
    private var custody: Custody
    private let challenge: Challenge
    private let honest: Proof

    init() throws {
        custody = try Custody()
        try custody.add(leaves: [20, 33, 20, 1, 48])
        challenge = try custody.challenge(leaves: 24)
        honest = try custody.prove(challenge)
        #expect(Verifier.verify(honest, of: challenge).verdict == .ok)
    }

    /// Signs `body` as the provider would.
    private func signed(_ body: [UInt8], damaged: [ShardID] = []) throws -> Proof {
        try Proof(challenge: challenge, body: body, damaged: damaged, signedBy: custody.provider)
    }

    private func expectForged(
        _ proof: Proof,
        of challenge: Challenge? = nil,
        _ what: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let outcome = Verifier.verify(proof, of: challenge ?? self.challenge)
        #expect(outcome.verdict == .forged, "\(what)", sourceLocation: sourceLocation)
        #expect(
            !outcome.reason.isEmpty && outcome.provedLeaves == 0,
            sourceLocation: sourceLocation
        )
        #expect(outcome.missing.isEmpty && outcome.corrupt.isEmpty, sourceLocation: sourceLocation)
    }

    /// A proof made by the honest program from answers that are not.
    private func proof(
        answering: (OrderEntry, [Int]) -> [LeafAnswer]
    ) throws -> Proof {
        try Prover.prove(
            challenge,
            over: custody.tree,
            damaged: [],
            signedBy: custody.provider,
            reading: answering
        )
    }

    @Test func noDataWithEmptyAnswers() throws {
        expectForged(try signed([]))
        for count in [1, 8, 32, 56, honest.body.count] {
            expectForged(try signed([UInt8](repeating: 0, count: count)), "\(count) zeros")
            expectForged(try signed([UInt8](repeating: 1, count: count)), "\(count) ones")
        }
    }

    /// The identity of whatever is summed or multiplied, in every answer: all zeros.
    @Test func noDataWithIdentityAnswers() throws {
        for filling: UInt8 in [0, 1, 0xff] {
            let sibling = try #require(Digest(bytes: [UInt8](repeating: filling, count: 32)))
            let leaf = [UInt8](repeating: filling, count: Geometry.leafBytes)
            expectForged(
                try proof { entry, leaves in
                    leaves.map { index in
                        let count = MerkleTree.pathCount(of: index, in: entry.leafCount)
                        return .leaf(
                            bytes: leaf,
                            path: [Digest](repeating: sibling, count: count)
                        )
                    }
                }
            )
        }
    }

    @Test func oneShardAnsweringForAll() throws {
        let kept = custody.tree[4]
        expectForged(
            try proof { entry, leaves in
                let own = custody.read(kept, leaves.map { $0 % 20 })
                return zip(leaves, own).map { leaf, answer in
                    guard case .leaf(let bytes, let path) = answer else { return .missing }
                    let count = MerkleTree.pathCount(of: leaf, in: entry.leafCount)
                    return .leaf(bytes: bytes, path: Array((path + path).prefix(count)))
                }
            }
        )
        // Shards of one length, so that paths fit too.
        expectForged(
            try proof { entry, leaves in
                custody.read(entry.leafCount == 20 ? custody.tree[0] : entry, leaves)
            }
        )
    }

    @Test func anAggregateOnly() throws {
        let sum = SHA256.digest(honest.body)
        expectForged(try signed(sum.bytes))
        expectForged(try signed(custody.state.commitment.root.bytes))
        expectForged(try signed(custody.state.commitment.encoded))
        let leaves = challenge.draws().count
        let folded = stride(from: 0, to: honest.body.count - 1024, by: 1024).reduce(
            into: [UInt8](repeating: 0, count: 1024)
        ) { sum, start in
            for index in 0..<1024 { sum[index] ^= honest.body[start + index] }
        }
        expectForged(try signed(folded))
        expectForged(try signed((0..<leaves).flatMap { _ in sum.bytes }))
    }

    @Test func anotherProvidersProof() throws {
        var other = try Custody(seed: 2)
        try other.add(leaves: [20, 33, 20, 1, 48])
        let theirs = try other.prove(try other.challenge(leaves: 24))
        expectForged(theirs)
        // The same shards, answered by another one for itself, then signed anew by this one.
        expectForged(
            try Proof(
                challenge: challenge,
                body: theirs.body,
                damaged: [],
                signedBy: custody.provider
            )
        )
        // The right answer, signed by another.
        expectForged(
            try Proof(
                challenge: challenge,
                body: honest.body,
                damaged: [],
                signedBy: other.provider
            )
        )
    }

    @Test func anotherEpochsProof() throws {
        var custody = custody
        let next = try custody.challenge(epoch: challenge.epoch.rawValue + 1, leaves: 24)
        expectForged(honest, of: next)
        expectForged(
            try Proof(challenge: next, body: honest.body, damaged: [], signedBy: custody.provider),
            of: next
        )
        let few = try custody.challenge(leaves: 12)
        expectForged(honest, of: few)
        expectForged(
            try Proof(challenge: few, body: honest.body, damaged: [], signedBy: custody.provider),
            of: few
        )
    }

    @Test func anOldVersionAfterOverwrite() throws {
        var now = custody
        let old = custody.tree[1]
        var bytes = try #require(custody.shards[old.shard])
        bytes[0] ^= 1
        let entry = OrderEntry(
            shard: old.shard,
            bytes: UInt64(bytes.count),
            root: Custody.root(bytes)
        )
        try now.amend(now.tree.changes(adding: [entry], removing: []))
        #expect(now.state.sequence == custody.state.sequence + 1)
        let challenge = try now.challenge(leaves: 200)
        let old200 = try custody.challengeAgain(leaves: 200)
        let stale = try custody.prove(old200)
        #expect(Verifier.verify(stale, of: old200).verdict == .ok)
        expectForged(stale, of: challenge)
        expectForged(
            try Proof(
                challenge: challenge,
                body: stale.body,
                damaged: [],
                signedBy: custody.provider
            ),
            of: challenge
        )
        // The order is the new one, and the shard's bytes are the old ones.
        let body = try Prover.prove(
            challenge,
            over: now.tree,
            damaged: [],
            signedBy: custody.provider,
            reading: custody.read
        )
        expectForged(body, of: challenge)
    }

    @Test func truncatedAndExtendedLeaves() throws {
        let body = honest.body
        let first = firstAnswer
        expectForged(try signed(Array(body[..<(first + 1023)] + body[(first + 1024)...])))
        expectForged(try signed(Array(body[..<(first + 1024)] + [0] + body[(first + 1024)...])))
        expectForged(try signed(Array(body[..<first] + body[(first + 1024)...])))
        // The last leaf of all, and the end of the body.
        for count in [1, 32, 33, 1024, 1500] { expectForged(try signed(body.dropLast(count))) }
        // A shorter shard under the same root is none.
        expectForged(
            try proof { entry, leaves in
                custody.read(entry, leaves).map { answer in
                    guard case .leaf(let bytes, let path) = answer else { return .missing }
                    return .leaf(bytes: bytes.dropLast(1) + [0], path: path)
                }
            }
        )
    }

    @Test func swappedShards() throws {
        var swapped = custody
        let (a, b) = (custody.tree[0].shard, custody.tree[2].shard)
        swapped.shards[a] = custody.shards[b]
        swapped.shards[b] = custody.shards[a]
        swapped.chunks[a] = custody.chunks[b]
        swapped.chunks[b] = custody.chunks[a]
        expectForged(try swapped.prove(challenge))
    }

    @Test func swappedLeaves() throws {
        let wrong: [@Sendable ([Int], Int) -> [Int]] = [
            { leaves, _ in Array(leaves.reversed()) },
            { leaves, count in leaves.map { min($0 ^ 1, count - 1) } },
            { leaves, _ in leaves.map { _ in 0 } },
        ]
        for order in wrong {
            expectForged(
                try proof { entry, leaves in
                    let others = custody.read(entry, order(leaves, entry.leafCount))
                    return zip(leaves, others).map { leaf, answer in
                        guard case .leaf(let bytes, let path) = answer else { return .missing }
                        let count = MerkleTree.pathCount(of: leaf, in: entry.leafCount)
                        return .leaf(bytes: bytes, path: Array((path + path).prefix(count)))
                    }
                }
            )
        }
    }

    /// A commitment over sums that are not those of the entries: draws move into a small shard,
    /// which then has not so many bytes.
    @Test func lyingSums() throws {
        for delta: UInt64 in [1, 1024, 2048, 1 << 20, 1 << 62] {
            var body = honest.body
            let sum = body[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            for lie in [sum &+ delta, sum &- delta] {
                withUnsafeBytes(of: lie.littleEndian) { body.replaceSubrange(..<8, with: $0) }
                expectForged(try signed(body), "\(lie) for \(sum)")
            }
        }
        // All bytes of the order are said to be in one shard of one leaf, which is there.
        let small = custody.tree[3]
        let read = custody.read(small, [0])
        guard case .leaf(let bytes, _) = read.first else { return #expect(Bool(false)) }
        let one = challenge.commitment.totalBytes
        var body: [UInt8] = []
        withUnsafeBytes(of: one.littleEndian) { body += $0 }
        withUnsafeBytes(of: UInt64(0).littleEndian) { body += $0 }
        body += small.shard.bytes + small.root.bytes
        for _ in challenge.draws() { body += [1] + bytes }
        expectForged(try signed(body + [UInt8](repeating: 0, count: 64)))
    }

    @Test func extraBytesAndDuplicatedAnswers() throws {
        for extra in [[0], [1], [2], [3], honest.body] {
            expectForged(try signed(honest.body + extra))
        }
        let answer = honest.body[firstAnswer - 1..<firstAnswer + 1024]
        let doubled = honest.body[..<(firstAnswer - 1)] + answer + honest.body[(firstAnswer - 1)...]
        expectForged(try signed(Array(doubled)))
        expectForged(
            try signed(honest.body, damaged: [custody.tree[0].shard, custody.tree[0].shard])
        )
        expectForged(
            try signed(
                honest.body,
                damaged: [custody.tree[0].shard, custody.tree[1].shard]
                    .sorted().reversed()
            )
        )
    }

    @Test func unknownAnswers() throws {
        for code: UInt8 in [0, 4, 5, 255] {
            var body = honest.body
            body[firstAnswer - 1] = code
            expectForged(try signed(body))
        }
        // An admission in the place of an answer that is there too.
        for code: UInt8 in [2, 3] {
            var body = honest.body
            body[firstAnswer - 1] = code
            expectForged(try signed(body))
        }
    }

    /// Whatever single bit of the body a cheating provider changes and signs.
    @Test func everyFlippedBitOfASignedBody() throws {
        var small = try Custody()
        try small.add(leaves: [2, 1, 5])
        let challenge = try small.challenge(leaves: 2)
        let honest = try small.prove(challenge)
        for bit in 0..<honest.body.count * 8 {
            var body = honest.body
            body[bit / 8] ^= 1 << (bit % 8)
            let proof = try Proof(
                challenge: challenge,
                body: body,
                damaged: [],
                signedBy: small.provider
            )
            expectForged(proof, of: challenge, "bit \(bit)")
        }
    }

    /// Every bit of every byte: a proof that decodes then is refused.
    @Test func everyFlippedBitOfAProof() throws {
        var small = try Custody()
        try small.add(leaves: [2, 1])
        let challenge = try small.challenge(leaves: 1)
        let bytes = try small.prove(challenge, damaged: [small.tree[0].shard]).encoded
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << (bit % 8)
            guard let proof = try? Proof(decoding: flipped) else { continue }
            expectForged(proof, of: challenge, "bit \(bit)")
        }
    }

    /// Every bit of a challenge: the proof is none of what is asked then.
    @Test func everyFlippedBitOfAChallenge() throws {
        let bytes = challenge.encoded
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << (bit % 8)
            guard let other = try? Challenge(decoding: flipped) else { continue }
            expectForged(honest, of: other, "bit \(bit)")
        }
    }

    /// Where the first leaf's bytes begin: after its code, an entry, and what stands above.
    private var firstAnswer: Int {
        // Down the left: sums until the first entry, whose draws come first.
        let draws = challenge.draws()
        precondition(draws[0] < custody.tree[0].bytes, "the first shard is drawn")
        return 8 * 3 + 48 + 1
    }
}

extension Custody {
    /// The challenge of the epoch that was asked before, of another size.
    fileprivate func challengeAgain(leaves: UInt32) throws -> Challenge {
        var custody = self
        return try custody.challenge(leaves: leaves)
    }
}
