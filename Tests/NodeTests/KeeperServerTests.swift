import Disk
import Network
import Node
import Primitives
import Sealing
import Testing
import Transport

@Suite struct KeeperServerTests {
    @Test func volumeIsFoundByItsOwnerOnly() throws {
        try withNetwork(providers: 0) { network, _ in
            let volume = try Samples.volume(5, owner: 50)
            try network.owner.register(volume)
            #expect(try network.owner.registration(of: volume.id) == volume)
            #expect(try network.owner.registrations() == [volume])
            let stranger = try RemoteNetwork(
                file: network.file,
                identity: try Samples.key(51),
                logger: network.log.logger
            )
            defer { stranger.close() }
            #expect(try stranger.registration(of: volume.id) == nil)
            #expect(try stranger.registrations().isEmpty)
        }
    }

    @Test func nobodyRegistersForAnother() throws {
        try withNetwork(providers: 0) { network, _ in
            let volume = try Samples.volume(5, owner: 51)
            #expect(
                failure { () throws(NetworkError) in try network.owner.register(volume) }
                    == .unauthorized
            )
        }
    }

    @Test func volumeOfAnotherOwnerIsNotReplaced() throws {
        try withNetwork(providers: 0) { network, _ in
            let volume = try Samples.volume(5, owner: 50)
            try network.owner.register(volume)
            let stranger = try RemoteNetwork(
                file: network.file,
                identity: try Samples.key(51),
                logger: network.log.logger
            )
            defer { stranger.close() }
            let other = try Samples.volume(5, owner: 51)
            #expect(failure { () throws(NetworkError) in try stranger.register(other) } == .exists)
            try network.owner.register(volume)
            #expect(try network.owner.registrations() == [volume])
        }
    }

    @Test func restartedKeeperKnowsVolumesAndProviders() throws {
        try withNetwork { network, ids in
            let volume = try Samples.volume(5, owner: 50)
            try network.owner.register(volume)
            network.keeper.stop()
            let again = KeeperServer(
                configuration: KeeperConfiguration(
                    directory: network.path + "/keeper",
                    listen: network.keeperAddress
                ),
                logger: network.log.logger
            )
            _ = try again.start()
            defer { again.stop() }
            #expect(eventually { (try? network.owner.registrations()) == [volume] })
            let fresh = try RemoteNetwork(
                file: network.file,
                identity: try Samples.key(52),
                logger: network.log.logger
            )
            defer { fresh.close() }
            #expect(try fresh.providers().map(\.id) == ids)
            #expect(try fresh.providers().allSatisfy(\.isUp))
        }
    }

    @Test func networkFileIsExportedOverTheWire() throws {
        try withNetwork(providers: 0) { network, _ in
            let file = try FirstContact.exportNetwork(
                named: "friends",
                code: try Samples.code(),
                from: network.keeperAddress,
                as: try Samples.key(60)
            )
            #expect(file.name == "friends")
            #expect(file.keepers == network.file.keepers)
            let unnamed = try FirstContact.exportNetwork(
                code: try Samples.code(),
                from: network.keeperAddress,
                as: try Samples.key(60)
            )
            #expect(unnamed.name == "mefs-\(try #require(network.keeper.id).short)")
        }
    }

    @Test func unreachableKeeperIsNamedInOneLine() throws {
        let error = #expect(throws: NetworkError.self) {
            try FirstContact.exportNetwork(
                code: try Samples.code(),
                from: try Samples.address("127.0.0.1:1"),
                as: try Samples.key(60)
            )
        }
        #expect(error?.message == "cannot reach 127.0.0.1:1: Connection refused")
    }

    @Test func secondKeeperOnOneStateIsRefused() throws {
        try withNetwork(providers: 0) { network, _ in
            let second = KeeperServer(
                configuration: KeeperConfiguration(directory: network.path + "/keeper"),
                logger: network.log.logger
            )
            let error = #expect(throws: NodeError.self) { try second.start() }
            #expect(error?.description.contains("is in use by process") == true)
            #expect(error?.code == .inUse)
        }
    }

    @Test func damagedDatabaseIsAnErrorInOneLine() throws {
        try withScratch { path in
            let network = try TestNetwork(path)
            network.stop()
            for suffix in ["-wal", "-shm"] {
                try WholeFile.remove(path + "/keeper/keeper.db" + suffix)
            }
            try WholeFile.replace(
                path + "/keeper/keeper.db",
                with: [UInt8](repeating: 0x41, count: 8192)
            )
            let again = KeeperServer(
                configuration: KeeperConfiguration(directory: path + "/keeper"),
                logger: network.log.logger
            )
            let error = #expect(throws: NodeError.self) { try again.start() }
            #expect(error?.description.contains("keeper.db") == true)
            #expect(error?.code == .corrupt)
            #expect(error?.description.contains("\n") == false)
        }
    }

    @Test func databaseOfVersion1KeepsItsVolumes() throws {
        try withScratch { path in
            try Directory.make(path + "/keeper")
            try WholeFile.create(
                path + "/keeper/keeper.db",
                with: try Golden.bytes("keeper/database-1")
            )
            let keeper = try TestKeeper(path)
            defer { keeper.stop() }
            #expect(try keeper.client.registrations() == [try Samples.volume(5)])
            #expect(try keeper.client.providers().isEmpty)
            try keeper.beat()
            #expect(eventually { (try? keeper.client.providers().count) == 1 })
        }
    }

    @Test func wildcardAddressIsNotPutIntoANetworkFile() throws {
        try withScratch { path in
            let keeper = KeeperServer(
                configuration: KeeperConfiguration(directory: path + "/k"),
                logger: LogLines().logger
            )
            _ = try keeper.start()
            defer { keeper.stop() }
            let error = #expect(throws: NodeError.self) {
                try keeper.networkFile(code: try Samples.code())
            }
            #expect(error?.description.contains("--advertise HOST:PORT") == true)
        }
    }
}
