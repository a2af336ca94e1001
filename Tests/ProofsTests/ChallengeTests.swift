import Primitives
import Proofs
import Sealing
import Testing

struct ChallengeTests {
    private func challenge(
        totalBytes: UInt64,
        leaves: UInt32,
        seed: UInt64 = 1
    ) throws -> Challenge {
        var generator = SeededGenerator(seed: seed)
        return Challenge(
            order: try #require(OrderID(bytes: generator.bytes(16))),
            provider: try #require(NodeID(bytes: generator.bytes(32))),
            epoch: Epoch(500_000),
            beacon: try #require(Digest(bytes: generator.bytes(32))),
            sequence: 3,
            commitment: Commitment(
                root: try #require(Digest(bytes: generator.bytes(32))),
                totalBytes: totalBytes,
                count: 1 << 20
            ),
            leaves: leaves
        )
    }

    @Test func drawsAreFirstBytesOfLeavesAscendingEachOnce() throws {
        for total: UInt64 in [1024, 4096, 1 << 20, 1 << 42] {
            let draws = try challenge(totalBytes: total, leaves: 460).draws()
            #expect(!draws.isEmpty && draws.count <= 460)
            #expect(draws == Array(Set(draws)).sorted())
            #expect(draws.allSatisfy { $0 % 1024 == 0 && $0 < total })
        }
        #expect(try challenge(totalBytes: 1024, leaves: 460).draws() == [0])
        #expect(try challenge(totalBytes: 0, leaves: 460).draws().isEmpty)
    }

    @Test func manyDrawsIncludeTheFew() throws {
        for seed: UInt64 in 1...20 {
            let many = try Set(challenge(totalBytes: 1 << 34, leaves: 460, seed: seed).draws())
            for leaves: UInt32 in [1, 32, 459] {
                let few = try challenge(totalBytes: 1 << 34, leaves: leaves, seed: seed).draws()
                #expect(many.isSuperset(of: few))
            }
        }
    }

    @Test func everyFieldButTheirNumberChangesTheDraws() throws {
        var custody = try Custody()
        try custody.add(leaves: [4096, 4000])
        let first = try custody.challenge(epoch: 500_001, leaves: 64)
        let next = try custody.challenge(epoch: 500_002, leaves: 64)
        #expect(first.draws() != next.draws())
        let fields = try challenge(totalBytes: 1 << 34, leaves: 64)
        let other = try challenge(totalBytes: 1 << 34, leaves: 64, seed: 2)
        func draws(
            order: OrderID,
            provider: NodeID,
            epoch: Epoch,
            beacon: Digest,
            root: Digest,
            count: UInt64
        ) -> [UInt64] {
            Challenge(
                order: order,
                provider: provider,
                epoch: epoch,
                beacon: beacon,
                sequence: 3,
                commitment: Commitment(root: root, totalBytes: 1 << 34, count: count),
                leaves: 64
            ).draws()
        }
        let root = fields.commitment.root
        let count = fields.commitment.count
        let (a, b) = (fields, other)
        let all = [
            draws(
                order: a.order,
                provider: a.provider,
                epoch: a.epoch,
                beacon: a.beacon,
                root: root,
                count: count
            ),
            draws(
                order: b.order,
                provider: a.provider,
                epoch: a.epoch,
                beacon: a.beacon,
                root: root,
                count: count
            ),
            draws(
                order: a.order,
                provider: b.provider,
                epoch: a.epoch,
                beacon: a.beacon,
                root: root,
                count: count
            ),
            draws(
                order: a.order,
                provider: a.provider,
                epoch: Epoch(1),
                beacon: a.beacon,
                root: root,
                count: count
            ),
            draws(
                order: a.order,
                provider: a.provider,
                epoch: a.epoch,
                beacon: b.beacon,
                root: root,
                count: count
            ),
            draws(
                order: a.order,
                provider: a.provider,
                epoch: a.epoch,
                beacon: a.beacon,
                root: b.commitment.root,
                count: count
            ),
            draws(
                order: a.order,
                provider: a.provider,
                epoch: a.epoch,
                beacon: a.beacon,
                root: root,
                count: count + 1
            ),
        ]
        #expect(Set(all).count == all.count)
        #expect(all[0] == fields.draws())
    }

    /// Shards of 1, 2, 4 and 9 parts of the bytes are drawn in these proportions.
    ///
    /// Of 16,384 draws the chi-square statistic with three degrees of freedom is below 30 but once
    /// in a million.
    @Test func drawsAreWeightedByBytes() throws {
        let parts: [UInt64] = [1, 2, 4, 9]
        let part: UInt64 = 1 << 36
        var counts = [0.0, 0, 0, 0]
        var all = 0.0
        for seed: UInt64 in 100..<108 {
            let draws = try challenge(totalBytes: 16 * part, leaves: 2048, seed: seed).draws()
            for draw in draws {
                var end: UInt64 = 0
                let index = parts.firstIndex { size in
                    end += size * part
                    return draw < end
                }
                counts[try #require(index)] += 1
                all += 1
            }
        }
        let statistic = zip(parts, counts).reduce(0) { sum, pair in
            let expected = all * Double(pair.0) / 16
            return sum + (pair.1 - expected) * (pair.1 - expected) / expected
        }
        #expect(statistic < 30, "\(counts)")
    }

    /// The draws of `Tests/Golden/proofs/challenge.hex`, computed by another program.
    @Test func drawsAreAsWrittenDown() throws {
        let challenge = try Samples().proof.challenge
        let text = challenge.draws().map { "\($0)" }.joined(separator: " ")
        try Golden.expect(
            Array(text.utf8),
            "proofs/draws.hex",
            "The draws of challenge.hex, as text"
        )
    }
}
