import Lease
import Testing

/// Random worlds in which all goes wrong; `seeds` of them to a test.
@Suite struct LeaseWorldTests {
    static let seeds = 30

    @Test(arguments: 0..<8)
    func neverTwoWritersAndNothingPublishedIsPassedOver(batch: Int) throws {
        var counts = LeaseCounts()
        for seed in batch * Self.seeds..<(batch + 1) * Self.seeds {
            let world = try LeaseWorld(seed: UInt64(seed))
            world.run()
            #expect(world.complaints.isEmpty, "\(world.complaints.joined(separator: "\n"))")
            counts.add(world.counts)
        }
        for key in LeaseCounts.Key.allCases {
            #expect(counts.values[key, default: 0] > 0, "\(key) never happened")
        }
    }

    @Test(arguments: Flaw.allCases.filter { $0 != .none })
    func aBrokenDesignIsSeen(flaw: Flaw) throws {
        let isSeen = try (0..<500).contains { seed in
            let world = try LeaseWorld(seed: UInt64(seed), flaw: flaw)
            world.run()
            return !world.complaints.isEmpty
        }
        #expect(isSeen)
    }

    @Test func aSeedDecidesAll() throws {
        let worlds = try (0..<2).map { _ in try LeaseWorld(seed: 3) }
        for world in worlds { world.run() }
        #expect(worlds[0].counts.values == worlds[1].counts.values)
    }
}
