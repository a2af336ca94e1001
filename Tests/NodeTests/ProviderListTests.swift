import Network
import Primitives
import Sealing
import Testing
import Transport

/// What several keepers say of providers, made one list.
@Suite struct ProviderListTests {
    private func provider(
        _ number: UInt8,
        isUp: Bool = true,
        at address: String = "192.0.2.1:4750"
    ) throws -> ProviderRecord {
        ProviderRecord(
            id: try Samples.key(number).publicKey.nodeID,
            address: try Samples.address(address),
            domain: "house",
            capacityBytes: 1 << 40,
            usedBytes: 1,
            isUp: isUp,
            lastSeen: Samples.time
        )
    }

    @Test func aKeeperThatKnowsNobodyHidesNobody() throws {
        let one = try provider(1)
        let two = try provider(2)
        let merged = KeeperClient.merged([[], [one, two], [one]])
        #expect(Set(merged) == [one, two])
        #expect(KeeperClient.merged([[], []]).isEmpty)
    }

    @Test func aProviderIsUpIfOneKeeperHasItSo() throws {
        let up = try provider(1)
        let down = try provider(1, isUp: false)
        #expect(KeeperClient.merged([[down], [up], [down]]) == [up])
        #expect(KeeperClient.merged([[down], [down]]) == [down])
    }

    @Test func anAddressThatMostKeepersNameCounts() throws {
        let old = try provider(1, at: "192.0.2.9:1")
        let moved = try provider(1)
        #expect(KeeperClient.merged([[old], [moved], [moved]]) == [moved])
        #expect(KeeperClient.merged([[old], [moved]]) == [old])
        // Where it is down it is not asked for.
        let gone = try provider(1, isUp: false, at: "192.0.2.9:1")
        #expect(KeeperClient.merged([[gone], [gone], [moved]]) == [moved])
    }
}
