import Disk
import Network
import Node
import Primitives
import Sealing
import Testing
import Transport

@Suite struct ProviderServerTests {
    @Test func shardIsPutReadAndDeletedOverTheWire() throws {
        try withNetwork { network, ids in
            let shard = try TestShard(1, count: 4 << 20)
            try network.put(shard, to: ids[0])
            #expect(try network.get(shard, from: ids[0]) == shard.bytes)
            let range = 1_000_000..<1_065_536
            #expect(try network.get(shard, range, from: ids[0]) == Array(shard.bytes[range]))
            let status = try network.owner.storeStatus(of: ids[0])
            #expect(status.shardCount == 1)
            #expect(status.usedBytes == UInt64(SegmentRecord.footprint(length: 4 << 20)))
            try network.owner.delete([shard.id], from: ids[0]).wait(for: .seconds(60))
            try network.owner.delete([shard.id], from: ids[0]).wait(for: .seconds(60))
            #expect(
                failure { () throws(NetworkError) in try network.get(shard, from: ids[0]) }
                    == .notFound
            )
        }
    }

    @Test func manyDeletionsAreSplitIntoFrames() throws {
        try withNetwork { network, ids in
            let shard = try TestShard(1)
            try network.put(shard, to: ids[0])
            var random = SeededGenerator(seed: 3)
            var all = try (0..<9000).map { _ in try #require(ShardID(bytes: random.bytes(16))) }
            all.append(shard.id)
            try network.owner.delete(all, from: ids[0]).wait(for: .seconds(60))
            #expect(
                failure { () throws(NetworkError) in try network.get(shard, from: ids[0]) }
                    == .notFound
            )
        }
    }

    @Test func wrongRootIsRefused() throws {
        try withNetwork { network, ids in
            let shard = try TestShard(1)
            let wrong = try Samples.digest(1)
            #expect(
                failure { () throws(NetworkError) in
                    try network.put(shard, to: ids[0], root: wrong)
                } == .corrupt
            )
            #expect(
                failure { () throws(NetworkError) in try network.get(shard, from: ids[0]) }
                    == .notFound
            )
        }
    }

    @Test func shardOfAnOddLengthIsRefusedBeforeItIsSent() throws {
        try withNetwork { network, ids in
            let shard = try TestShard(1, count: 1000)
            #expect(
                failure { () throws(NetworkError) in try network.put(shard, to: ids[0]) }
                    == .malformed
            )
        }
    }

    @Test func anotherOwnerIsRefused() throws {
        try withNetwork { network, ids in
            let shard = try TestShard(1)
            try network.put(shard, to: ids[0])
            let stranger = try RemoteNetwork(
                file: network.file,
                identity: try Samples.key(51),
                logger: network.log.logger
            )
            defer { stranger.close() }
            #expect(
                failure { () throws(NetworkError) in
                    try stranger.get(shard.id, from: ids[0], offset: 0, count: 1)
                        .wait(for: .seconds(60))
                } == .unauthorized
            )
            #expect(
                failure { () throws(NetworkError) in
                    try stranger.delete([shard.id], from: ids[0]).wait(for: .seconds(60))
                } == .unauthorized
            )
            #expect(try network.get(shard, from: ids[0]) == shard.bytes)
        }
    }

    @Test func fullProviderRefuses() throws {
        try withScratch { path in
            let network = try TestNetwork(path)
            defer { network.stop() }
            let id = try network.addProvider(
                capacity: UInt64(SegmentRecord.footprint(length: 8 << 10))
            )
            try network.put(try TestShard(1), to: id)
            let second = try TestShard(2)
            #expect(failure { () throws(NetworkError) in try network.put(second, to: id) } == .full)
        }
    }

    @Test func keepersOperationsAreRefused() throws {
        try withNetwork { network, ids in
            let loops = EventLoops()
            defer { loops.stop() }
            let pool = try ConnectionPool(identity: try Samples.key(60), loops: loops)
            let address = try #require(network.record(ids[0])).address
            for operation in [Operation.heartbeat, .listProviders, .exportNetwork] {
                let answer = pool.request(
                    operation.rawValue,
                    to: ids[0],
                    at: address,
                    head: [],
                    timeout: .seconds(30)
                )
                #expect(
                    failure { () throws(NetworkError) in try answer.wait(for: .seconds(30)) }
                        == .refused
                )
            }
            let unknown = pool.request(
                0x7e,
                to: ids[0],
                at: address,
                head: [],
                timeout: .seconds(30)
            )
            #expect(
                failure { () throws(NetworkError) in try unknown.wait(for: .seconds(30)) }
                    == .refused
            )
            pool.stop()
        }
    }

    @Test(arguments: 0..<16 as Range<UInt64>)
    func randomRequestsNeverEndTheProvider(seed: UInt64) throws {
        try withNetwork { network, ids in
            let loops = EventLoops()
            defer { loops.stop() }
            let pool = try ConnectionPool(identity: try Samples.key(60), loops: loops)
            let address = try #require(network.record(ids[0])).address
            var random = SeededGenerator(seed: seed)
            var answers: [Pending<[UInt8]>] = []
            for target in [
                (ids[0], address), (try #require(network.keeper.id), network.keeperAddress),
            ] {
                for operation in Operation.allCases {
                    for _ in 0..<4 {
                        let body = random.bytes(Int.random(in: 0...2000, using: &random))
                        answers.append(
                            pool.request(
                                operation.rawValue,
                                to: target.0,
                                at: target.1,
                                head: body,
                                timeout: .seconds(30)
                            )
                        )
                    }
                }
            }
            for answer in answers { _ = try? answer.wait(for: .seconds(60)) }
            pool.stop()
            let shard = try TestShard(seed)
            try network.put(shard, to: ids[0])
            #expect(try network.get(shard, from: ids[0]) == shard.bytes)
        }
    }

    @Test func secondDaemonOnOneStoreIsRefused() throws {
        try withNetwork { network, _ in
            let second = ProviderServer(
                configuration: try network.configuration(0),
                logger: network.log.logger
            )
            let error = #expect(throws: NodeError.self) { try second.start() }
            #expect(error?.description.contains("is in use by process") == true)
            #expect(error?.code == .inUse)
        }
    }

    @Test func keepersDirectoryIsNoStore() throws {
        try withScratch { path in
            let network = try TestNetwork(path)
            network.stop()
            var configuration = try network.configuration(0)
            configuration.directory = path + "/keeper"
            let provider = ProviderServer(configuration: configuration, logger: network.log.logger)
            let error = #expect(throws: NodeError.self) { try provider.start() }
            #expect(error?.description.contains("belongs to a keeper") == true)
        }
    }

    @Test func storeWithAnotherKeyIsRefused() throws {
        try withScratch { path in
            let network = try TestNetwork(path)
            defer { network.stop() }
            try network.addProvider()
            network.providers[0].stop()
            let other = Hex.encode([UInt8](repeating: 9, count: 32))
            try WholeFile.replace(path + "/provider-0/identity", with: Array(other.utf8))
            let again = ProviderServer(
                configuration: try network.configuration(0),
                logger: network.log.logger
            )
            let changed = #expect(throws: NodeError.self) { try again.start() }
            #expect(changed?.description.contains("but its key is of node") == true)
            #expect(changed?.code == .wrongKey)
            try WholeFile.remove(path + "/provider-0/identity")
            let missing = #expect(throws: NodeError.self) { try again.start() }
            #expect(missing?.description.contains("is missing") == true)
            try WholeFile.replace(path + "/provider-0/identity", with: Array("xyz".utf8))
            let rubbish = #expect(throws: NodeError.self) { try again.start() }
            #expect(rubbish?.description.contains("is not a node's key") == true)
        }
    }

    @Test func unreachableKeeperIsNamedAndTriedAgain() throws {
        try withScratch { path in
            let log = LogLines()
            let nowhere = try Samples.address("127.0.0.1:1")
            let provider = ProviderServer(
                configuration: ProviderConfiguration(
                    directory: path + "/p",
                    capacityBytes: 1 << 20,
                    listen: try Samples.address("127.0.0.1:0"),
                    keepers: .firstContact(nowhere)
                ),
                logger: log.logger
            )
            _ = try provider.start()
            #expect(eventually { log.contains("keeper 127.0.0.1:1 is not reached") })
            #expect(log.contains("Connection refused"))
            provider.stop()
        }
    }

    @Test func keeperMetByAddressIsPinned() throws {
        try withScratch { path in
            let network = try TestNetwork(path)
            defer { network.stop() }
            var configuration = try network.configuration(0)
            configuration.keepers = .firstContact(network.keeperAddress)
            let provider = ProviderServer(configuration: configuration, logger: network.log.logger)
            _ = try provider.start()
            let id = try #require(provider.id)
            #expect(eventually { network.record(id)?.isUp == true })
            provider.stop()
            let pin = String(
                decoding: try WholeFile.read(path + "/provider-0/keeper"),
                as: UTF8.self
            )
            let key = try #require(network.file.keepers.first).publicKey
            #expect(pin == "\(network.keeperAddress) \(Hex.encode(key.bytes))\n")
            // Another key at the same address is not accepted any more.
            let other =
                "\(network.keeperAddress) \(Hex.encode(try Samples.key(9).publicKey.bytes))\n"
            try WholeFile.replace(path + "/provider-0/keeper", with: Array(other.utf8))
            let again = ProviderServer(configuration: configuration, logger: network.log.logger)
            _ = try again.start()
            #expect(eventually { network.log.contains("another node than expected") })
            again.stop()
        }
    }

    @Test func portInUseIsNamed() throws {
        try withNetwork { network, ids in
            var configuration = try network.configuration(7)
            configuration.listen = try #require(network.record(ids[0])).address
            let provider = ProviderServer(configuration: configuration, logger: network.log.logger)
            let error = #expect(throws: NodeError.self) { try provider.start() }
            #expect(error?.description.contains("cannot listen on 127.0.0.1") == true)
            // Nothing of it is left: the directory can be used.
            configuration.listen = try Samples.address("127.0.0.1:0")
            let again = ProviderServer(configuration: configuration, logger: network.log.logger)
            _ = try again.start()
            again.stop()
        }
    }
}
