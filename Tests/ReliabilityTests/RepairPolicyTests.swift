import Primitives
import Reliability
import Testing

@Suite struct RepairPolicyTests {
    static let codes = ["4+2", "1+1", "2+3", "10+4", "20+20"]
    private let good = ShardHealth(.healthy, lossProbability: 0.003)

    private func suspect(_ seconds: Double) -> ShardHealth {
        ShardHealth(.suspect(since: birth.adding(seconds: seconds)), lossProbability: 0.01)
    }

    private func lost(_ seconds: Double) -> ShardHealth {
        ShardHealth(.lost(since: birth.adding(seconds: seconds)), lossProbability: 1)
    }

    /// A stripe with these shards at its end.
    private func stripe(_ code: ErasureCode, _ missing: [ShardHealth]) -> [ShardHealth] {
        [ShardHealth](repeating: good, count: code.n - missing.count) + missing
    }

    /// When the rebuild begins: now, or at the end of the wait.
    private func end(of decision: RepairPolicy.Decision, at time: Timestamp) -> Timestamp? {
        switch decision {
        case .nothing: nil
        case .wait(let until): until
        case .rebuild: time
        }
    }

    @Test(arguments: codes)
    func nothingIsDoneToTheHealthy(text: String) throws {
        let code = try ErasureCode.of(text)
        for isRebuilding in [false, true] {
            let decision = RepairPolicy().decision(
                code,
                stripe(code, []),
                at: birth,
                isRebuilding: isRebuilding
            )
            #expect(decision == .nothing)
        }
        #expect(RepairPolicy().targets(code, stripe(code, []), at: birth) == [])
    }

    @Test func oneSuspectWaitsForADay() throws {
        let code = try ErasureCode.of("4+2")
        let shards = stripe(code, [suspect(0)])
        let policy = RepairPolicy()
        let until = birth.adding(seconds: day)
        #expect(policy.decision(code, shards, at: birth) == .wait(until: until))
        let before = birth.adding(seconds: day - 1)
        #expect(policy.decision(code, shards, at: before) == .wait(until: until))
        guard case .rebuild = policy.decision(code, shards, at: until) else {
            Issue.record("a day is over")
            return
        }
    }

    @Test func waitsShrinkAsTheTableSays() throws {
        let policy = RepairPolicy(shrink: 8)
        let ten = try ErasureCode.of("10+4")
        let waits = (1...6).map { policy.suspectWaitSeconds(ten, missing: $0) }
        #expect(waits[0] == day)
        #expect(abs(waits[1] - 3 * hour) < 1e-6)
        #expect(abs(waits[2] - 3 * hour / 8) < 1e-6)
        #expect(waits[3...].allSatisfy { $0 == 0 })
        // A wide code is in no hurry while it misses a small part of its parity.
        let wide = try ErasureCode.of("20+20")
        #expect(policy.suspectWaitSeconds(wide, missing: 4) > 6 * hour)
        #expect(policy.suspectWaitSeconds(wide, missing: 19) < 600)
    }

    @Test(arguments: codes)
    func noParityLeftRebuildsNow(text: String) throws {
        let code = try ErasureCode.of(text)
        for missing in code.m...min(code.m + 3, code.n) {
            for shard in [suspect(0), lost(0)] {
                let shards = stripe(code, [ShardHealth](repeating: shard, count: missing))
                guard case .rebuild = RepairPolicy().decision(code, shards, at: birth) else {
                    Issue.record("\(code) with \(missing) missing waits")
                    continue
                }
            }
        }
    }

    @Test func moreTroubleNeverWaitsLonger() throws {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<20_000 {
            let code = try ErasureCode.of(Self.codes[Int(generator.next() % 5)])
            let policy = RepairPolicy(
                wait: .seconds(Int64(generator.next() % 200_000)),
                shrink: Double(generator.next() % 20),
                lostWait: .seconds(Int64(generator.next() % 10_000)),
                isRiskAware: generator.next() % 4 != 0
            )
            var shards = (0..<code.n).map { _ -> ShardHealth in
                let seconds = -Double(generator.next() % 100_000)
                switch generator.next() % 4 {
                case 0: return suspect(seconds)
                case 1 where generator.next() % 4 == 0: return lost(seconds)
                default: return good
                }
            }
            let before = policy.decision(code, shards, at: birth)
            let index = Int(generator.next() % UInt64(code.n))
            switch shards[index].state {
            case .healthy: shards[index] = suspect(-Double(generator.next() % 1000))
            case .suspect(let since):
                shards[index] = ShardHealth(.lost(since: since), lossProbability: 1)
            case .lost: continue
            }
            let after = policy.decision(code, shards, at: birth)
            let (endAfter, endBefore) = (end(of: after, at: birth), end(of: before, at: birth))
            #expect(after != .nothing)
            if let endBefore, let endAfter { #expect(endAfter <= endBefore) }
            if let endAfter {
                let waitMax = Double(policy.wait.components.seconds) + 1
                #expect(endAfter.seconds(since: birth) <= waitMax)
            }
            if case .rebuild(let first) = before, case .rebuild(let second) = after {
                #expect(second >= first)
            }
        }
    }

    @Test func knownLostWaitShortlyForCompany() throws {
        let code = try ErasureCode.of("10+4")
        let policy = RepairPolicy()
        let shards = stripe(code, [lost(0)])
        #expect(
            policy.decision(code, shards, at: birth) == .wait(until: birth.adding(seconds: hour))
        )
        // One more wait is not begun for the second.
        let two = stripe(code, [lost(0), lost(1800)])
        #expect(
            policy.decision(code, two, at: birth.adding(seconds: 1800))
                == .wait(until: birth.adding(seconds: hour))
        )
        let mixed = stripe(code, [lost(0), suspect(0)])
        let end = birth.adding(seconds: hour)
        #expect(policy.decision(code, mixed, at: birth) == .wait(until: end))
        #expect(policy.targets(code, mixed, at: end) == [12, 13])
    }

    @Test func onceBegunAllIsRebuilt() throws {
        let code = try ErasureCode.of("10+4")
        let policy = RepairPolicy()
        let shards = stripe(code, [suspect(0)])
        guard case .rebuild = policy.decision(code, shards, at: birth, isRebuilding: true) else {
            Issue.record("it stopped half-way")
            return
        }
        #expect(policy.targets(code, shards, at: birth) == [13])
    }

    @Test func worstStripesComeFirst() throws {
        let code = try ErasureCode.of("10+4")
        let policy = RepairPolicy(wait: .zero)
        func urgency(_ missing: [ShardHealth]) -> Double {
            guard
                case .rebuild(let urgency) = policy.decision(
                    code,
                    stripe(code, missing),
                    at: birth.adding(seconds: 1)
                )
            else { return -.infinity }
            return urgency
        }
        let order = [
            urgency([suspect(0)]), urgency([lost(0)]), urgency([suspect(0), suspect(0)]),
            urgency([lost(0), suspect(0)]), urgency([lost(0), lost(0)]),
            urgency([lost(0), lost(0), suspect(0)]),
        ]
        #expect(order == order.sorted())
        #expect(Set(order).count == order.count)
    }

    @Test func theFixedRuleWaitsForEachShard() throws {
        let code = try ErasureCode.of("4+2")
        let policy = RepairPolicy(isRiskAware: false)
        let shards = stripe(code, [suspect(0), suspect(-day + 60)])
        #expect(policy.decision(code, shards, at: birth) == .wait(until: birth.adding(seconds: 60)))
        let time = birth.adding(seconds: 60)
        #expect(policy.targets(code, shards, at: time) == [5])
    }

    @Test func unlistedShardsAreRebuiltNow() throws {
        let code = try ErasureCode.of("4+2")
        let shards = [ShardHealth](repeating: good, count: 5)
        guard case .rebuild = RepairPolicy().decision(code, shards, at: birth) else {
            Issue.record("a stripe with no sixth shard waits")
            return
        }
        #expect(RepairPolicy().targets(code, shards, at: birth) == [5])
    }

    @Test func weirdTimesAndParametersNeverTrap() throws {
        let code = try ErasureCode.of("10+4")
        let times = [Int64.min, -1, 0, 1_700_000_000, .max]
        for since in times {
            for now in times {
                for policy in [
                    RepairPolicy(wait: .seconds(Int64.max), shrink: .nan),
                    RepairPolicy(wait: .seconds(-5), shrink: -.infinity),
                    RepairPolicy(wait: .zero, shrink: 0),
                ] {
                    let time = Timestamp(seconds: since, nanoseconds: .max)
                    let shard = ShardHealth(.suspect(since: time), lossProbability: .nan)
                    _ = policy.decision(
                        code,
                        stripe(code, [shard, lost(0)]),
                        at: Timestamp(seconds: now, nanoseconds: 5)
                    )
                }
            }
        }
    }

    @Test func aClockBehindTheOutageStillWaitsNoLongerThanTheWait() throws {
        let code = try ErasureCode.of("4+2")
        let shards = stripe(code, [suspect(1000 * day)])
        #expect(
            RepairPolicy().decision(code, shards, at: birth)
                == .wait(until: birth.adding(seconds: day))
        )
    }
}
