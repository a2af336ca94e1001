import Disk
import Glibc
import Network
import Node
import Primitives
import Proofs
import Sealing
import Synchronization
import Testing
import Transport
import Wire

@Suite struct KeeperBeaconTests {
    @Test func everyEpochHasOneBlockThatFollowsTheLast() throws {
        try withKeeper { keeper in
            let first = try keeper.newestBeacon()
            #expect(first.epoch == Epoch(1_700_000_000 / 3600))
            #expect(first.epochSeconds == 3600)
            #expect(first.keeperKey == keeper.client.file.keepers.first?.publicKey)
            #expect(first.isSignatureValid)
            keeper.clock.pass(3000)
            let same = try keeper.newestBeacon()
            keeper.clock.pass(3600)
            let next = try keeper.newestBeacon()
            #expect(next.follows(same))
            #expect(next.epoch.rawValue == same.epoch.rawValue + 1)
        }
    }

    @Test func chainGoesOnAfterARestartAndLinksOverTheGap() throws {
        try withKeeper { keeper in
            let first = try keeper.newestBeacon()
            try keeper.restart()
            #expect(try keeper.newestBeacon() == first)
            keeper.clock.pass(10 * 3600)
            try keeper.restart()
            let later = try keeper.newestBeacon()
            #expect(later.follows(first))
            #expect(later.epoch.rawValue == first.epoch.rawValue + 10)
            let all = try keeper.ask(FetchBeacons(from: Epoch(0))).blocks
            #expect(all == [first, later])
            let tail = try keeper.ask(FetchBeacons(from: later.epoch)).blocks
            #expect(tail == [later])
            let newest = try keeper.ask(FetchBeacons(newest: 2)).blocks
            #expect(newest == [first, later])
        }
    }

    @Test func clockThatGoesBackMakesNoBlockForAnEarlierEpoch() throws {
        try withKeeper { keeper in
            let block = try keeper.newestBeacon()
            keeper.clock.pass(-7200)
            #expect(try keeper.newestBeacon() == block)
            try keeper.restart()
            #expect(try keeper.newestBeacon() == block)
            #expect(try keeper.ask(FetchBeacons(from: Epoch(0))).blocks == [block])
            #expect(keeper.log.contains("the clock is behind the newest beacon"))
        }
    }

    @Test func manyWhoAskAtOnceGetTheSameBlocks() throws {
        try withKeeper(epochSeconds: 1) { keeper in
            var answers: [Pending<BeaconList>] = []
            for _ in 0..<40 {
                keeper.clock.pass(1)
                for _ in 0..<5 { answers.append(keeper.client.ask(FetchBeacons(newest: 1))) }
            }
            var seen: [Epoch: BeaconBlock] = [:]
            for answer in answers {
                for block in try answer.wait(for: .seconds(60)).blocks {
                    #expect(seen[block.epoch] ?? block == block)
                    seen[block.epoch] = block
                }
            }
            let chain = try keeper.ask(FetchBeacons(from: Epoch(0))).blocks
            for (before, after) in zip(chain, chain.dropFirst()) { #expect(after.follows(before)) }
            #expect(Set(seen.values).isSubset(of: Set(chain)))
        }
    }

    @Test func killedKeeperNeverGivesASecondBlockForAnEpoch() async throws {
        let path = "/tmp/mefs-node-" + Hex.encode(SecureRandom.bytes(8))
        try Directory.make(path)
        defer { try? Directory.remove(tree: path) }
        for round in 0..<6 {
            // The keeper is killed right after it has given out a block of this epoch.
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [path = path as String, round = round as Int] in
                let clock = TestClock(seconds: 1_700_000_000 + Int64(round / 2))
                let keeper = try TestKeeper(path, clock: clock, epochSeconds: 1)
                let block = try keeper.newestBeacon()
                try WholeFile.replace("\(path)/given-\(round)", with: block.encoded)
                kill(getpid(), SIGKILL)
            }
        }
        let clock = TestClock(seconds: 1_700_000_002)
        let keeper = try TestKeeper(path, clock: clock, epochSeconds: 1)
        defer { keeper.stop() }
        let chain = try keeper.ask(FetchBeacons(from: Epoch(0))).blocks
        #expect(chain.count == 3)
        for (before, after) in zip(chain, chain.dropFirst()) { #expect(after.follows(before)) }
        for round in 0..<6 {
            let given = try BeaconBlock(decoding: WholeFile.read("\(path)/given-\(round)"))
            #expect(given == chain[round / 2])
        }
    }

    @Test func flippedBitInTheChainIsRefused() throws {
        try withScratch { path in
            let keeper = try TestKeeper(path)
            let first = try keeper.newestBeacon()
            keeper.clock.pass(3600)
            _ = try keeper.newestBeacon()
            keeper.stop()
            let database = path + "/keeper/keeper.db"
            var bytes = try WholeFile.read(database)
            let place = try #require(
                bytes.indices.first { bytes[$0...].starts(with: first.encoded) }
            )
            bytes[place + first.encoded.count - 1] ^= 1
            try WholeFile.replace(database, with: bytes)
            let error = #expect(throws: NodeError.self) { try keeper.restart() }
            #expect(error?.code == .corrupt)
            #expect(error?.description.contains("chain of beacons is damaged") == true)
        }
    }

    @Test func databaseThatWasPutBackIsRefused() throws {
        try withScratch { path in
            let keeper = try TestKeeper(path)
            _ = try keeper.newestBeacon()
            keeper.stop()
            let database = path + "/keeper/keeper.db"
            let old = try WholeFile.read(database)
            try keeper.restart()
            keeper.clock.pass(3600)
            _ = try keeper.newestBeacon()
            keeper.stop()
            try WholeFile.replace(database, with: old)
            let error = #expect(throws: NodeError.self) { try keeper.restart() }
            #expect(error?.code == .corrupt)
            // The file lost alone is no harm.
            try WholeFile.remove(path + "/keeper/beacon")
            try keeper.restart()
            keeper.stop()
            #expect(WholeFile.exists(path + "/keeper/beacon"))
        }
    }

    @Test func lengthOfEpochsStaysAsItWas() throws {
        try withScratch { path in
            let keeper = try TestKeeper(path, epochSeconds: 60)
            #expect(keeper.server.epochSeconds == 60)
            try keeper.restart(epochSeconds: 60)
            try keeper.restart()
            #expect(keeper.server.epochSeconds == 60)
            let error = #expect(throws: NodeError.self) { try keeper.restart(epochSeconds: 61) }
            #expect(error?.description.contains("epochs are 60 s long") == true)
        }
    }

    @Test(arguments: [0, 86_401] as [UInt32])
    func lengthOutOfBoundsIsRefused(seconds: UInt32) throws {
        try withScratch { path in
            let error = #expect(throws: NodeError.self) {
                try TestKeeper(path, epochSeconds: seconds)
            }
            #expect(error?.description.contains("1 to 86400 seconds") == true)
        }
    }
}
