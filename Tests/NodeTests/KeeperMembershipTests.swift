import Disk
import Network
import Node
import Primitives
import Sealing
import Testing
import Transport

/// Keepers that belong to one network, and its file.
@Suite struct KeeperMembershipTests {
    private func endpoint(_ keeper: TestKeeper) throws -> KeeperEndpoint {
        try #require(keeper.client.file.keepers.first)
    }

    private func export(_ keeper: TestKeeper, name: String = "") throws -> NetworkFile {
        try FirstContact.exportNetwork(
            named: name,
            code: try Samples.code(),
            from: try endpoint(keeper).address,
            as: try Samples.key(60)
        )
    }

    /// Two keepers, each in a directory of its own, and the ways to their network.
    private func withTwo(
        _ body: ([TestKeeper], [KeeperMembership], [KeeperEndpoint]) throws -> Void
    ) throws {
        try withScratch { path in
            let paths = ["\(path)/a", "\(path)/b"]
            for path in paths { try Directory.make(path) }
            let keepers = try paths.map { try TestKeeper($0) }
            defer { for keeper in keepers { keeper.stop() } }
            try body(
                keepers,
                paths.map { KeeperMembership(directory: $0 + "/keeper") },
                try keepers.map(endpoint)
            )
        }
    }

    @Test func allKeepersGiveOutTheFileThatOneHasSigned() throws {
        try withTwo { keepers, memberships, endpoints in
            let alone = try export(keepers[0])
            #expect(alone.keepers == [endpoints[0]])
            // The one that signs comes first, wherever it was named.
            let file = try memberships[0].found(
                named: "friends",
                code: try Samples.code(),
                keepers: endpoints.reversed()
            )
            #expect(file.keepers == endpoints)
            #expect(try export(keepers[0]) == file)
            #expect(try export(keepers[1]).keepers == [endpoints[1]])
            try memberships[1].join(file)
            #expect(try export(keepers[1]) == file)
            try memberships[1].join(file)
            #expect(try export(keepers[1], name: "friends") == file)
            let error = #expect(throws: NetworkError.self) { try export(keepers[1], name: "foes") }
            #expect(error?.code == .exists)
        }
    }

    @Test func keepersOfANetworkDoNotChange() throws {
        try withTwo { keepers, memberships, endpoints in
            let code = try Samples.code()
            let file = try memberships[0].found(named: "a", code: code, keepers: endpoints)
            let error = #expect(throws: NodeError.self) {
                try memberships[0].found(named: "a", code: code, keepers: [endpoints[0]])
            }
            #expect(error?.code == .inUse)
            #expect(try export(keepers[0]) == file)
        }
    }

    @Test func whoIsNotNamedNeitherSignsNorJoins() throws {
        try withTwo { _, memberships, endpoints in
            let code = try Samples.code()
            let stranger = #expect(throws: NodeError.self) {
                try memberships[0].found(named: "a", code: code, keepers: [endpoints[1]])
            }
            #expect(stranger?.code == .usage)
            let other = try memberships[0].found(named: "a", code: code, keepers: [endpoints[0]])
            let guest = #expect(throws: NodeError.self) { try memberships[1].join(other) }
            #expect(guest?.code == .usage)
            let nobody = #expect(throws: NodeError.self) {
                try KeeperMembership(directory: "/nonexistent").join(other)
            }
            #expect(nobody?.description.contains("/nonexistent") == true)
        }
    }

    @Test func aDamagedFileIsNotGivenOut() throws {
        try withTwo { keepers, memberships, endpoints in
            _ = try memberships[0].found(
                named: "a",
                code: try Samples.code(),
                keepers: endpoints
            )
            try WholeFile.replace("\(keepers[0].path)/keeper/network.json", with: [1, 2, 3])
            let error = #expect(throws: NetworkError.self) { try export(keepers[0]) }
            #expect(error?.message.contains("network.json") == true)
        }
    }

    @Test func firstContactTellsOfAKeeperAndItsEpochs() throws {
        try withTwo { keepers, _, endpoints in
            let met = try FirstContact.keeper(at: endpoints[0].address, as: try Samples.key(60))
            #expect(met.endpoint == endpoints[0])
            #expect(met.epochSeconds == keepers[0].server.epochSeconds)
        }
    }
}
