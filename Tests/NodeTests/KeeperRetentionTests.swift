import Disk
import Network
import Node
import Primitives
import Sealing
import Testing
import Transport

/// Retained heads: kept until their time, whatever their owner signs later.
@Suite struct KeeperRetentionTests {
    private func list(_ keeper: TestKeeper) throws -> [RetainedHead] {
        try keeper.ask(ListRetained(volume: try Samples.volumeID())).heads
    }

    @Test func noNewerHeadTakesThePlaceOfARetainedOne() throws {
        try withKeeper { keeper in
            try keeper.client.register(try Samples.volume(5))
            let head = try Samples.head(3, body: Array(1...60))
            let now = keeper.clock.now.seconds
            #expect(try keeper.ask(RetainHead(head: head, until: now + 60)).until == now + 60)
            _ = try keeper.ask(PutHead(head: try Samples.head(9, term: 8, body: [])))
            // A head of the same version too stands beside it.
            let other = try Samples.head(3, body: [])
            _ = try keeper.ask(RetainHead(head: other, until: now + 30))
            #expect(try keeper.ask(RetainHead(head: head, until: now + 1)).until == now + 60)
            try keeper.restart()
            let found = try list(keeper)
            #expect(Set(found.map(\.digest)) == [head.digest, other.digest])
            #expect(found.allSatisfy { $0.received.seconds == now && $0.version == 3 })
            let query = FetchRetained(volume: head.volume, digest: head.digest)
            #expect(try keeper.ask(query).head == head)
            keeper.clock.pass(30)
            #expect(try list(keeper).map(\.digest) == [head.digest])
            keeper.clock.pass(30)
            #expect(try list(keeper).isEmpty)
        }
    }

    /// Who has the owner's key registers another wrapped key, so that the phrase opens nothing.
    @Test func theKeyOfARetainedHeadStays() throws {
        try withKeeper { keeper in
            let volume = try Samples.volume(5)
            try keeper.client.register(volume)
            let head = try Samples.head(3)
            let until = keeper.clock.now.seconds + 60
            _ = try keeper.ask(RetainHead(head: head, until: until))
            let key = try Samples.key(7)
            let garbage = try VolumeRegistration(
                id: volume.id,
                code: volume.code,
                wrappedKey: Array(repeating: 9, count: 60),
                created: volume.created,
                signedBy: key
            )
            try keeper.client.register(garbage)
            let query = FetchRetained(volume: head.volume, digest: head.digest)
            #expect(try keeper.ask(query).registration == volume)
            let shredding = try VolumeRegistration(
                shredding: volume.id,
                code: volume.code,
                created: volume.created,
                signedBy: key
            )
            let code = failure { () throws(NetworkError) in try keeper.client.register(shredding) }
            #expect(code == .retained)
            #expect(try keeper.client.registrations() == [garbage])
            keeper.clock.pass(60)
            try keeper.client.register(shredding)
        }
    }

    @Test func headsOfOthersAreNeitherTakenNorShown() throws {
        try withKeeper { keeper in
            let head = try Samples.head()
            let until = keeper.clock.now.seconds + 60
            let query = RetainHead(head: head, until: until)
            let code = failure { () throws(NetworkError) in try keeper.ask(query) }
            #expect(code == .notFound)
            try keeper.client.register(try Samples.volume(5))
            _ = try keeper.ask(query)
            let stranger = try keeper.user(8)
            defer { stranger.close() }
            let taken = failure { () throws(NetworkError) in
                try stranger.ask(query).wait(for: .seconds(60))
            }
            #expect(taken == .unauthorized)
            let fetch = FetchRetained(volume: head.volume, digest: head.digest)
            let shown = failure { () throws(NetworkError) in
                try stranger.ask(fetch).wait(for: .seconds(60))
            }
            #expect(shown == .notFound)
            let seen = try stranger.ask(ListRetained(volume: head.volume)).wait(for: .seconds(60))
            #expect(seen.heads.isEmpty)
        }
    }

    @Test func theRoomOfAVolumeIsBounded() throws {
        try withKeeper { keeper in
            try keeper.client.register(try Samples.volume(5))
            let until = keeper.clock.now.seconds + 60
            for version in 1...UInt64(RetainedHeads.headsMax) {
                _ = try keeper.ask(RetainHead(head: try Samples.head(version), until: until))
            }
            let one = RetainHead(head: try Samples.head(1000), until: until)
            #expect(failure { () throws(NetworkError) in try keeper.ask(one) } == .full)
            // What is there can be kept for longer, and gives way when its time is over.
            _ = try keeper.ask(RetainHead(head: try Samples.head(1), until: until + 60))
            #expect(try list(keeper).count == RetainedHeads.headsMax)
            keeper.clock.pass(60)
            _ = try keeper.ask(RetainHead(head: try Samples.head(1000), until: until + 60))
            #expect(try list(keeper).map(\.version) == [1, 1000])
        }
    }

    @Test func allKeepersAreAskedForWhatTheyRetain() throws {
        try withKeepers(3) { cluster in
            let owner = cluster.owner
            try owner.register(try Samples.volume(5))
            let head = try Samples.head(4)
            let until = Clock.now().seconds + 60
            let keepers = owner.keeperIDs
            for (keeper, lasting) in zip(keepers.prefix(2), [Int64(0), 30]) {
                _ = try owner.ask(RetainHead(head: head, until: until + lasting), ofKeeper: keeper)
                    .wait(for: .seconds(60))
            }
            let found = try RetainedRegister.list(of: head.volume, at: owner)
            #expect(found.map(\.digest) == [head.digest])
            #expect(found.first?.keepers == Array(keepers.prefix(2)))
            #expect(found.first?.until == until + 30)
            let first = try #require(found.first)
            let content = try RetainedRegister.fetch(first, of: head.volume, at: owner)
            #expect(content.head == head)
        }
    }
}
