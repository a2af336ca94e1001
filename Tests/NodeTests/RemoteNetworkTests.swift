import Disk
import Network
import Node
import Primitives
import Sealing
import Testing
import Transport

@Suite struct RemoteNetworkTests {
    @Test func providersAreListedWithWhatTheySay() throws {
        try withNetwork(providers: 2) { network, ids in
            let records = try network.owner.providers()
            #expect(Set(records.map(\.id)) == Set(ids))
            for record in records {
                #expect(record.isUp)
                #expect(record.capacityBytes == 1 << 30)
                #expect(record.usedBytes == 0)
                #expect(record.domain == record.id.hex)
                #expect(record.address.host == "127.0.0.1")
            }
        }
    }

    @Test func deadProviderFailsFastAndIsMarkedDown() throws {
        try withNetwork(providers: 2) { network, ids in
            let shard = try TestShard(1)
            try network.put(shard, to: ids[0])
            network.providers[0].stop()
            let start = Clock.monotonic()
            for _ in 0..<50 {
                let code = failure { () throws(NetworkError) in try network.get(shard, from: ids[0])
                }
                #expect(code == .unreachable || code == .closed)
            }
            #expect(Clock.monotonic() - start < .seconds(5))
            #expect(eventually { network.record(ids[0])?.isUp == false })
            #expect(network.record(ids[1])?.isUp == true)
        }
    }

    @Test func requestsUnderWayEndWhenTheProviderDoes() throws {
        try withNetwork { network, ids in
            let shards = try (0..<24).map { try TestShard(UInt64($0), count: 2 << 20) }
            let puts = shards.map { network.startPut($0, to: ids[0]) }
            network.providers[0].stop()
            for put in puts {
                let code = failure { () throws(NetworkError) in try put.wait(for: .seconds(20)) }
                #expect(code == nil || code == .closed || code == .unreachable || code == .refused)
            }
        }
    }

    @Test func restartedProviderIsUsedAgainWithItsShards() throws {
        try withNetwork { network, ids in
            let shard = try TestShard(1)
            try network.put(shard, to: ids[0])
            network.providers[0].stop()
            #expect(
                failure { () throws(NetworkError) in try network.get(shard, from: ids[0]) } != nil
            )
            // On another port, since nobody promised the old one.
            let again = ProviderServer(
                configuration: try network.configuration(0),
                logger: network.log.logger
            )
            _ = try again.start()
            defer { again.stop() }
            #expect(again.id == ids[0])
            #expect(eventually { network.record(ids[0])?.isUp == true })
            #expect(eventually { (try? network.get(shard, from: ids[0])) == shard.bytes })
        }
    }

    @Test func readsGoOnWithoutTheKeeper() throws {
        try withScratch { path in
            let network = try TestNetwork(path, directoryCache: path + "/directory")
            defer { network.stop() }
            let id = try network.addProvider()
            let shard = try TestShard(1)
            try network.put(shard, to: id)
            network.keeper.stop()
            #expect(try network.owner.providers().map(\.id) == [id])
            #expect(try network.get(shard, from: id) == shard.bytes)
            // And by a program that starts only now.
            let later = try RemoteNetwork(
                file: network.file,
                identity: try Samples.key(50),
                logger: network.log.logger,
                directoryCache: path + "/directory"
            )
            defer { later.close() }
            #expect(try later.providers().map(\.id) == [id])
            let bytes = try later.get(shard.id, from: id, offset: 0, count: shard.bytes.count)
                .wait(for: .seconds(60))
            #expect(bytes == shard.bytes)
        }
    }

    @Test func damagedDirectoryFileIsNotUsed() throws {
        try withScratch { path in
            let network = try TestNetwork(path, directoryCache: path + "/directory")
            defer { network.stop() }
            let id = try network.addProvider()
            #expect(eventually { WholeFile.exists(path + "/directory") })
            var bytes = try WholeFile.read(path + "/directory")
            bytes[60] ^= 1
            try WholeFile.replace(path + "/directory", with: bytes)
            let later = try RemoteNetwork(
                file: network.file,
                identity: try Samples.key(50),
                logger: network.log.logger,
                directoryCache: path + "/directory"
            )
            defer { later.close() }
            #expect(network.log.contains("directory is not used"))
            #expect(try later.providers().map(\.id) == [id])
        }
    }

    @Test func noKeeperAndNoListIsAnError() throws {
        try withScratch { path in
            let network = try TestNetwork(path)
            network.stop()
            let owner = try RemoteNetwork(
                file: network.file,
                identity: try Samples.key(50),
                logger: network.log.logger
            )
            defer { owner.close() }
            let error = #expect(throws: NetworkError.self) { try owner.providers() }
            #expect(error?.code == .unreachable)
            #expect(error?.message.contains("\(network.keeperAddress)") == true)
        }
    }

    @Test func unknownProviderIsUnreachable() throws {
        try withNetwork { network, _ in
            let shard = try TestShard(1)
            let nobody = try Samples.key(99).publicKey.nodeID
            let error = #expect(throws: NetworkError.self) { try network.get(shard, from: nobody) }
            #expect(error?.code == .unreachable)
            #expect(error?.message.contains("not in the network's directory") == true)
        }
    }
}
