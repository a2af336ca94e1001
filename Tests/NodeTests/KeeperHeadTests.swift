import Disk
import Network
import Node
import Primitives
import Sealing
import Testing
import Wire
import Transport

@Suite struct KeeperHeadTests {
    /// What a keeper says to a head; `nil` if it takes it.
    private func refusal(
        of head: VolumeHead,
        at keeper: TestKeeper
    ) -> NetworkError? {
        do throws(NetworkError) {
            _ = try keeper.ask(PutHead(head: head))
            return nil
        } catch {
            return error
        }
    }

    private func newest(at keeper: TestKeeper, volume: UInt8 = 5) throws -> HeadList {
        try keeper.ask(GetHead(volume: try Samples.volumeID(volume)))
    }

    @Test func theNewestHeadIsKept() throws {
        try withKeeper { keeper in
            try keeper.client.register(try Samples.volume(5))
            #expect(try newest(at: keeper) == HeadList(head: nil, term: 0))
            let first = try Samples.head()
            let second = try Samples.head(2, term: 3, after: first)
            for head in [first, second, second] {
                #expect(refusal(of: head, at: keeper) == nil)
                #expect(try newest(at: keeper) == HeadList(head: head, term: head.term))
            }
        }
    }

    @Test func headsSurviveARestart() throws {
        try withKeeper { keeper in
            try keeper.client.register(try Samples.volume(5))
            let head = try Samples.head(7)
            #expect(refusal(of: head, at: keeper) == nil)
            try keeper.restart()
            #expect(try newest(at: keeper).head == head)
            #expect(refusal(of: try Samples.head(6), at: keeper)?.code == .conflict)
        }
    }

    @Test func aHeadOfAVolumeThatIsNotRegisteredIsRefused() throws {
        try withKeeper { keeper in
            let head = try Samples.head()
            #expect(refusal(of: head, at: keeper)?.code == .notFound)
            #expect(try newest(at: keeper).head == nil)
        }
    }

    @Test func nobodyPublishesForAnother() throws {
        try withKeeper { keeper in
            try keeper.client.register(try Samples.volume(5))
            let stranger = try keeper.user(8)
            defer { stranger.close() }
            for head in [try Samples.head(), try Samples.head(owner: 8)] {
                let code = failure { () throws(NetworkError) in
                    try stranger.ask(PutHead(head: head)).wait(for: .seconds(60))
                }
                #expect(code == (head.owner == stranger.owner ? .notFound : .unauthorized))
            }
            // The owner's connection does not make a stranger's signature good.
            #expect(
                refusal(of: try Samples.head(owner: 8), at: keeper)?.code == .unauthorized
            )
            var bytes = try Samples.head().encoded
            bytes[bytes.count - 1] ^= 1
            #expect(
                refusal(of: try VolumeHead(decoding: bytes), at: keeper)?.code == .unauthorized
            )
        }
    }

    @Test func nobodySeesTheHeadOfAnother() throws {
        try withKeeper { keeper in
            try keeper.client.register(try Samples.volume(5))
            #expect(refusal(of: try Samples.head(term: 2), at: keeper) == nil)
            let stranger = try keeper.user(8)
            defer { stranger.close() }
            let list = try stranger.ask(GetHead(volume: try Samples.volumeID()))
                .wait(for: .seconds(60))
            #expect(list == HeadList(head: nil, term: 0))
        }
    }

    @Test func aForkIsRefusedAndLogged() throws {
        try withKeeper { keeper in
            try keeper.client.register(try Samples.volume(5))
            let head = try Samples.head(4)
            #expect(refusal(of: head, at: keeper) == nil)
            let fork = try Samples.head(4, body: [])
            #expect(refusal(of: fork, at: keeper)?.code == .conflict)
            #expect(try newest(at: keeper).head == head)
            #expect(keeper.log.contains("fork of volume"))
        }
    }

    @Test func databaseOfVersion2KeepsItsVolumes() throws {
        try withScratch { path in
            try Directory.make(path + "/keeper")
            try WholeFile.create(
                path + "/keeper/keeper.db",
                with: try Golden.bytes("keeper/database-2")
            )
            let keeper = try TestKeeper(path)
            defer { keeper.stop() }
            #expect(try keeper.client.registrations() == [try Samples.volume(5)])
            #expect(refusal(of: try Samples.head(), at: keeper) == nil)
        }
    }

    // MARK: Many keepers

    @Test func aHeadIsGivenToAllKeepersAndAskedOfAll() throws {
        try withKeepers(3) { cluster in
            let network = cluster.way()
            try cluster.owner.register(try Samples.volume(5))
            let first = try Samples.head()
            let registration = HeadRegister.register(first, at: network)
            #expect(registration.taken == 3)
            #expect(registration.of == 3)
            #expect(registration.isByMajority)
            network.cut([1])
            let second = try Samples.head(2, after: first)
            let partial = HeadRegister.register(second, at: network)
            #expect(partial.taken == 2)
            #expect(partial.refusals.map(\.keeper) == [network.keeperIDs[1]])
            network.cut([])
            let survey = HeadRegister.newest(
                of: try Samples.volumeID(),
                owner: try Samples.owner(),
                at: network
            )
            #expect(survey.newest == second)
            #expect(survey.findings.map(\.finding) == [.current, .behind(1), .current])
            // What was away takes a head that leaves one out.
            let third = try Samples.head(3, after: second)
            #expect(HeadRegister.register(third, at: network).taken == 3)
        }
    }

    @Test func aKeeperThatServesAnOldHeadIsNamed() throws {
        try withKeepers(3) { cluster in
            let network = cluster.way()
            try cluster.owner.register(try Samples.volume(5))
            let first = try Samples.head()
            let second = try Samples.head(2, after: first)
            for head in [first, second] {
                #expect(HeadRegister.register(head, at: network).taken == 3)
            }
            network.lie([0: HeadList(head: first, term: 0)])
            let volume = try Samples.volumeID()
            let owner = try Samples.owner()
            let survey = HeadRegister.newest(of: volume, owner: owner, at: network)
            #expect(survey.newest == second)
            #expect(survey.findings.map(\.finding) == [.behind(1), .current, .current])
            #expect(!survey.isRolledBack)
            // Alone it is found out by what this machine has seen.
            network.cut([1, 2])
            let alone = HeadRegister.newest(of: volume, owner: owner, at: network, atLeast: 2)
            #expect(alone.newest == first)
            #expect(alone.isRolledBack)
        }
    }

    @Test func aHeadThatMostKeepersRefuseIsRefusedForGood() throws {
        let ids = try (1...3).map { try Samples.key($0).publicKey.nodeID }
        func registration(_ codes: [NetworkError.Code]) -> HeadRegistration {
            HeadRegistration(
                of: 3,
                refusals: zip(ids, codes).map {
                    HeadRegistration.Refusal(keeper: $0, error: NetworkError($1, "no"))
                }
            )
        }
        #expect(registration([.superseded]).isByMajority)
        #expect(!registration([.superseded, .unreachable]).isByMajority)
        #expect(!registration([.superseded, .unreachable]).isRefusedForGood)
        #expect(!registration([.unreachable, .unreachable, .timedOut]).isRefusedForGood)
        #expect(registration([.superseded, .conflict]).isRefusedForGood)
        #expect(registration([.superseded, .conflict, .closed]).isRefusedForGood)
    }
}
