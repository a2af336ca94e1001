import Placement
import Primitives
import Testing

private let fourPlusTwo = ErasureCode(k: 4, m: 2) ?? { preconditionFailure() }()

private func node(_ number: Int) -> NodeID {
    var generator = SeededGenerator(seed: UInt64(number))
    return NodeID(bytes: generator.bytes(32)) ?? { preconditionFailure() }()
}

private func stripe(_ number: Int) -> StripeID {
    var generator = SeededGenerator(seed: 1 << 40 | UInt64(number))
    return StripeID(bytes: generator.bytes(16)) ?? { preconditionFailure() }()
}

private func candidate(
    _ number: Int,
    domain: String? = nil,
    free: UInt64 = 1 << 40,
    weight: Double = 1
) -> Candidate {
    Candidate(
        id: node(number),
        domain: domain ?? "node-\(number)",
        freeBytes: free,
        weight: weight
    )
}

private func choose(
    _ count: Int,
    stripe number: Int = 0,
    from candidates: [Candidate],
    holding: [Candidate] = []
) throws(PlacementError) -> [Candidate] {
    try Placement.choose(
        count,
        shardBytes: 4 << 20,
        code: fourPlusTwo,
        stripe: stripe(number),
        from: candidates,
        holding: holding
    )
}

struct PlacementTests {
    @Test func shardsOfAStripeGoToDifferentProviders() throws {
        let candidates = (0..<6).map { candidate($0) }
        for number in 0..<100 {
            let chosen = try choose(6, stripe: number, from: candidates)
            #expect(Set(chosen.map(\.id)).count == 6)
        }
    }

    @Test func providerListedTwiceIsOneProvider() throws {
        let candidates = (0..<6).map { candidate($0) }
        let chosen = try choose(6, from: candidates + candidates)
        #expect(Set(chosen.map(\.id)).count == 6)
        #expect(throws: PlacementError.self) {
            try choose(6, from: Array(candidates[..<5]) + candidates[..<5])
        }
    }

    @Test func orderOfCandidatesDoesNotMatter() throws {
        var generator = SeededGenerator(seed: 9)
        let candidates = (0..<20).map { candidate($0) }
        let chosen = try choose(6, from: candidates)
        for _ in 0..<10 {
            #expect(try choose(6, from: candidates.shuffled(using: &generator)) == chosen)
        }
    }

    @Test func equalWeightsShareEqually() throws {
        let candidates = (0..<12).map { candidate($0) }
        let counts = try load(of: candidates, stripes: 4000)
        // 2000 expected each, standard deviation about 32.
        for candidate in candidates {
            #expect((1850...2150).contains(counts[candidate.id, default: 0]))
        }
    }

    @Test func firstChoiceFollowsTheWeights() throws {
        let candidates = (0..<4).map { candidate($0, weight: Double($0 + 1)) }
        var counts: [NodeID: Int] = [:]
        for number in 0..<10_000 {
            counts[try choose(1, stripe: number, from: candidates)[0].id, default: 0] += 1
        }
        for (index, candidate) in candidates.enumerated() {
            let expected = 1000 * (index + 1)
            #expect(abs(counts[candidate.id, default: 0] - expected) < 200)
        }
    }

    @Test func departureMovesOnlyWhatWasLost() throws {
        let candidates = (0..<30).map { candidate($0) }
        for number in 0..<300 {
            let before = Set(try choose(6, stripe: number, from: candidates).map(\.id))
            let after = Set(
                try choose(6, stripe: number, from: Array(candidates.dropFirst())).map(\.id)
            )
            #expect(before.subtracting(after).isSubset(of: [candidates[0].id]))
        }
    }

    @Test func arrivalTakesItsShareAndMovesNothingElse() throws {
        let candidates = (0..<29).map { candidate($0) }
        let newcomer = candidate(29)
        var moved = 0
        for number in 0..<1000 {
            let before = Set(try choose(6, stripe: number, from: candidates).map(\.id))
            let after = Set(
                try choose(6, stripe: number, from: candidates + [newcomer]).map(\.id)
            )
            #expect(after.subtracting(before).isSubset(of: [newcomer.id]))
            moved += after.contains(newcomer.id) ? 1 : 0
        }
        // A fifth of the stripes, 200, standard deviation about 13.
        #expect((140...260).contains(moved))
    }

    @Test func departureUnderCapsMovesOneShardAtMost() throws {
        let candidates = (0..<30).map { candidate($0, domain: "site-\($0 % 4)") }
        for number in 0..<300 {
            let before = Set(try choose(6, stripe: number, from: candidates).map(\.id))
            for gone in candidates.prefix(10) {
                let after = Set(
                    try choose(
                        6,
                        stripe: number,
                        from: candidates.filter { $0.id != gone.id }
                    ).map(\.id)
                )
                #expect(before.subtracting(after).subtracting([gone.id]).count <= 1)
            }
        }
    }

    @Test func noDomainGetsMoreThanParityCovers() throws {
        let candidates = (0..<30).map { candidate($0, domain: "site-\($0 % 3)") }
        for number in 0..<200 {
            let chosen = try choose(6, stripe: number, from: candidates)
            let domains = Dictionary(grouping: chosen, by: \.domain)
            #expect(domains.values.allSatisfy { $0.count == 2 })
        }
    }

    @Test func whatADomainHoldsCountsAgainstIt() throws {
        let holding = [candidate(100, domain: "home"), candidate(101, domain: "home")]
        let candidates = [candidate(0, domain: "home"), candidate(1, domain: "away")]
        #expect(try choose(1, from: candidates, holding: holding).map(\.domain) == ["away"])
        #expect(throws: PlacementError.self) { try choose(2, from: candidates, holding: holding) }
    }

    @Test func holderGetsNoSecondShard() throws {
        let candidates = (0..<6).map { candidate($0) }
        for number in 0..<50 {
            let holding = Array(try choose(5, stripe: number, from: candidates))
            let chosen = try choose(1, stripe: number, from: candidates, holding: holding)
            #expect(!holding.map(\.id).contains(chosen[0].id))
        }
    }

    @Test func providerWithoutRoomIsPassedOver() throws {
        let small = candidate(0, free: (4 << 20) - 1, weight: 1000)
        let exact = candidate(1, free: 4 << 20)
        #expect(try choose(1, from: [small, exact]) == [exact])
    }

    @Test(arguments: [0, -1, -Double.infinity, Double.nan])
    func providerWithoutWeightIsPassedOver(weight: Double) throws {
        let none = candidate(0, weight: weight)
        #expect(try choose(1, from: [none, candidate(1)]) == [candidate(1)])
        #expect(throws: PlacementError.self) { try choose(1, from: [none]) }
    }

    @Test func refusalSaysWhatToAdd() {
        let full = (0..<3).map { candidate($0, free: 0) }
        let home = (3..<7).map { candidate($0, domain: "home") }
        #expect(
            throws: PlacementError.tooFew(
                needed: 6,
                available: 2,
                reason: "7 providers are known, 3 have no room, 2 are in failure domains that"
                    + " hold 2 shards, the most for 4+2; add providers in other domains"
            )
        ) { try choose(6, from: full + home) }
        #expect(
            throws: PlacementError.tooFew(
                needed: 1,
                available: 0,
                reason: "0 providers are known; add providers"
            )
        ) { try choose(1, from: []) }
    }

    private func load(of candidates: [Candidate], stripes: Int) throws -> [NodeID: Int] {
        var counts: [NodeID: Int] = [:]
        for number in 0..<stripes {
            for chosen in try choose(6, stripe: number, from: candidates) {
                counts[chosen.id, default: 0] += 1
            }
        }
        return counts
    }
}
