import Disk
import Home
import Lease
import Network
import Primitives
import Sealing
import Testing

/// What the directory of a volume keeps of who writes it.
struct HandOverTests {
    private func volume(in home: Home) throws -> VolumeDirectory {
        try VolumeDirectory.create(
            "photos",
            in: home,
            network: .local,
            code: try #require(ErasureCode("4+2")),
            seed: RootSeed(trusted: [UInt8](repeating: 7, count: 32))
        )
    }

    @Test func theNextMountKnowsTheHolderThatWasGrantedTheLease() throws {
        try withHome { home in
            let volume = try volume(in: home)
            let first = try volume.chooseHolders()
            #expect(first.predecessor == nil)
            try volume.confirm(first.present)
            let second = try volume.chooseHolders()
            #expect(second.predecessor == first.present)
            #expect(second.present != first.present)
        }
    }

    @Test func aHolderThatMayHaveTheLeaseIsUsedAgain() throws {
        try withHome { home in
            let volume = try volume(in: home)
            let first = try volume.chooseHolders()
            try volume.confirm(first.present)
            let killed = try volume.chooseHolders()
            let next = try volume.chooseHolders()
            #expect(next == killed)
            #expect(next.predecessor == first.present)
        }
    }

    @Test func anIncomingDatabaseTakesThePlaceOfTheOldState() throws {
        try withHome { home in
            let volume = try volume(in: home)
            let old = ["", "-wal", "-shm", ".cache-id"].map { volume.metadataPath + $0 }
            for path in old { try WholeFile.create(path, with: [1]) }
            try WholeFile.create(volume.cacheDirectory + "/id", with: [1])
            try WholeFile.create(volume.auditPath, with: [3])
            try WholeFile.create(volume.incomingMetadataPath, with: [2])

            // As after a kill when some of the old was gone.
            try WholeFile.remove(old[1])
            try volume.lock(mountPoint: "/mnt").release()

            #expect(try WholeFile.read(volume.metadataPath) == [2])
            #expect(old.dropFirst().allSatisfy { !WholeFile.exists($0) })
            #expect(try Directory.list(volume.cacheDirectory) == [])
            #expect(try WholeFile.read(volume.auditPath) == [3])
            #expect(!WholeFile.exists(volume.incomingMetadataPath))

            try volume.lock(mountPoint: "/mnt").release()
            #expect(try WholeFile.read(volume.metadataPath) == [2])
        }
    }
}
