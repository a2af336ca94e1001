import Disk
import Metadata
import Primitives
import SQLite
import Testing
import Volume

/// What a killed process and a power cut leave of a volume, opened again.
@Suite(.serialized)
struct CrashTests {
    /// What becomes of the host between two openings.
    private enum Stop {
        /// Only the process: everything written is in the page cache.
        case kill
        /// The host: of cache files only what was synced is sure, here as little as can be.
        case powerCut(losing: [InodeNumber])
    }

    /// Copies the files while the engine runs, as a stop at this moment would leave them, and
    /// opens the copy.
    private func stop(
        _ fixture: VolumeFixture,
        by stop: Stop,
        before: (String) throws -> Void = { _ in },
        _ body: (VolumeEngine) throws -> Void
    ) throws {
        let image = fixture.directory + "/image"
        try? Directory.remove(tree: image)
        try Directory.make(image + "/cache")
        for name in ["volume.db", "volume.db-wal", "volume.db.cache-id", "cache/id"] {
            try copy(fixture.directory + "/" + name, to: image + "/" + name)
        }
        for bucket in try Directory.list(fixture.directory + "/cache")
        where bucket.count == 2 && bucket != "id" {
            try Directory.make(image + "/cache/" + bucket)
            for file in try Directory.list(fixture.directory + "/cache/" + bucket) {
                let path = "/cache/" + bucket + "/" + file
                try copy(fixture.directory + path, to: image + path)
            }
        }
        if case .powerCut(let lost) = stop {
            let database = try Database(path: image + "/volume.db")
            try database.execute("UPDATE meta SET value='another boot' WHERE key='boot_id'")
            for ino in lost {
                let hex = String(ino.rawValue, radix: 16)
                let path = "/cache/" + (hex.count < 2 ? "0" + hex : String(hex.suffix(2)))
                let file = try Descriptor(opening: image + path + "/" + hex, .readWrite)
                try file.truncate(to: 0)
            }
        }
        var configuration = fixture.configuration
        configuration.metadataPath = image + "/volume.db"
        configuration.cacheDirectory = image + "/cache"
        try before(configuration.metadataPath)
        let copied = VolumeFixture(
            directory: image,
            network: fixture.network,
            configuration: configuration
        )
        try copied.open(body)
    }

    private func copy(_ source: String, to target: String) throws {
        try WholeFile.replace(target, with: try WholeFile.read(source, limit: 64 << 20))
    }

    @Test func aKillKeepsWhatWasWrittenAndCommitted() throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: 31)
            let bytes = random.bytes(3_000_000)
            try fixture.open { engine in
                let ino = try engine.makeFile("a")
                try engine.write(bytes, at: 0, to: ino)
                try engine.sync(ino, dataOnly: false, wait: .allowed)
                try stop(fixture, by: .kill) { again in
                    let found = try again.find("a")
                    #expect(try again.state(of: found) == "local")
                    #expect(try again.read(found, 0..<bytes.count) == bytes)
                    try again.place()
                    _ = try again.dropCache()
                    #expect(try again.read(found, 0..<bytes.count) == bytes)
                }
            }
        }
    }

    @Test func aPowerCutBringsBackThePlacedVersionOfAnUnsyncedChange() throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: 32)
            let bytes = random.bytes(3_000_000)
            try fixture.open { engine in
                let ino = try engine.makeFile("a")
                let other = try engine.makeFile("b")
                try engine.write(bytes, at: 0, to: ino)
                try engine.place()
                _ = try engine.dropCache()
                try engine.write(Array("change".utf8), at: 1_500_000, to: ino)
                // Another file's sync makes the dirty mark durable, not these bytes.
                try engine.sync(other, dataOnly: false, wait: .allowed)
                try stop(fixture, by: .powerCut(losing: [ino])) { again in
                    let found = try again.find("a")
                    #expect(try again.state(of: found) == "placed")
                    #expect(try again.read(found, 0..<bytes.count) == bytes)
                }
            }
        }
    }

    @Test func aStartThatIsKilledWhileItRecoversHidesNoPowerCut() throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: 38)
            let bytes = random.bytes(2_000_000)
            try fixture.open { engine in
                let ino = try engine.makeFile("a")
                try engine.write(bytes, at: 0, to: ino)
                try engine.place()
                let interrupted = { (path: String) in
                    // As far as a start comes before it recovers; dropped as by SIGKILL.
                    let store = try MetadataStore(opening: path)
                    #expect(store.bootIDAtLastOpen == "another boot")
                }
                try stop(fixture, by: .powerCut(losing: [ino]), before: interrupted) { again in
                    let found = try again.read(ino, 0..<bytes.count)
                    #expect(found == bytes)
                }
            }
        }
    }

    @Test func aPowerCutKeepsASyncedChange() throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: 33)
            var bytes = random.bytes(3_000_000)
            try fixture.open { engine in
                let ino = try engine.makeFile("a")
                try engine.write(bytes, at: 0, to: ino)
                try engine.place()
                _ = try engine.dropCache()
                let change = Array("change".utf8)
                try engine.write(change, at: 1_500_000, to: ino)
                bytes.replaceSubrange(1_500_000..<1_500_006, with: change)
                try engine.sync(ino, dataOnly: false, wait: .allowed)
                try stop(fixture, by: .powerCut(losing: [])) { again in
                    let found = try again.find("a")
                    #expect(try again.state(of: found) == "local")
                    #expect(try again.read(found, 0..<bytes.count) == bytes)
                }
            }
        }
    }

    /// Has to hold whatever of the cache a power cut takes that was not synced; what `rename`
    /// synced is told by the cache file's blocks being noted as durable.
    @Test func aFileThatIsRenamedOverAnotherIsSyncedBefore() throws {
        try VolumeFixture.with { fixture in
            try fixture.open { engine in
                let old = try engine.makeFile("a")
                try engine.write([1, 2, 3], at: 0, to: old)
                let new = try engine.makeFile("a.new")
                try engine.write([4, 5, 6], at: 0, to: new)
                let name = try EntryName(Array("a.new".utf8))
                let over = try EntryName(Array("a".utf8))
                func rename(_ wait: Wait) throws {
                    try engine.rename(
                        name,
                        in: .root,
                        to: over,
                        in: .root,
                        mode: .replace,
                        wait: wait
                    )
                }
                // It has to wait for the disk.
                #expect(throws: FileSystemError.self) { try rename(.never) }
                try rename(.allowed)
                #expect(try engine.find("a") == new)
                // Nothing is left to sync: it would not wait again.
                let third = try engine.makeFile("b")
                try engine.write([7], at: 0, to: third)
                try engine.rename(
                    over,
                    in: .root,
                    to: try EntryName(Array("b".utf8)),
                    in: .root,
                    mode: .replace,
                    wait: .never
                )
            }
        }
    }

    @Test("host-5") func aChangeThatNobodySyncsIsSafeFromAPowerCutAfterAWhile() throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: 39)
            var bytes = random.bytes(2_000_000)
            var configuration = fixture.configuration
            configuration.settleSeconds = 0.1
            let settling = VolumeFixture(
                directory: fixture.directory,
                network: fixture.network,
                configuration: configuration
            )
            try settling.open { engine in
                let ino = try engine.makeFile("a")
                try engine.write(bytes, at: 0, to: ino)
                try engine.place()
                _ = try engine.dropCache()
                let change = Array("change".utf8)
                try engine.write(change, at: 1_500_000, to: ino)
                bytes.replaceSubrange(1_500_000..<1_500_006, with: change)
                try waitUntil {
                    var isThere = false
                    try stop(fixture, by: .powerCut(losing: [])) { again in
                        isThere = try again.read(ino, 0..<bytes.count) == bytes
                    }
                    return isThere
                }
            }
        }
    }

    @Test func cuttingWhatAnEarlierRunAcknowledgedWaitsForTheDisk() throws {
        try VolumeFixture.with { fixture in
            try fixture.open { engine in
                let ino = try engine.makeFile("a")
                try engine.write([1, 2, 3], at: 0, to: ino)
                try engine.sync(ino, dataOnly: false, wait: .allowed)
            }
            try fixture.open { engine in
                let ino = try engine.find("a")
                var cut = AttributeChange()
                cut.size = 1
                // Else a power cut could bring the old size back without the bytes.
                #expect(throws: FileSystemError.self) {
                    _ = try engine.setAttributes(cut, of: ino, wait: .never)
                }
                let after = try engine.setAttributes(cut, of: ino, wait: .allowed)
                #expect(after.size == 1)
            }
        }
    }

    @Test func placedBytesComeBackAfterTheCacheDirectoryIsDeleted() throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: 35)
            let bytes = random.bytes(2_000_000)
            try fixture.open { engine in
                try engine.write(bytes, at: 0, to: try engine.makeFile("a"))
                try engine.place()
            }
            try Directory.remove(tree: fixture.directory + "/cache")
            try fixture.open { engine in
                let ino = try engine.find("a")
                #expect(try engine.read(ino, 0..<bytes.count) == bytes)
            }
        }
    }

    @Test func changesLostWithTheCacheAreSaidAndNeverReadAsZeros() throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: 36)
            let bytes = random.bytes(2_000_000)
            try fixture.open { engine in
                let ino = try engine.makeFile("a")
                try engine.write(bytes, at: 0, to: ino)
                try engine.place()
                try engine.write(Array("change".utf8), at: 10, to: ino)
                try engine.write(Array("new".utf8), at: 0, to: try engine.makeFile("b"))
            }
            try Directory.remove(tree: fixture.directory + "/cache")
            #expect(throws: FileSystemError.self) { try fixture.open { _ in } }
            var configuration = fixture.configuration
            configuration.discardsLostChanges = true
            let discarding = VolumeFixture(
                directory: fixture.directory,
                network: fixture.network,
                configuration: configuration
            )
            try discarding.open { engine in
                let ino = try engine.find("a")
                #expect(try engine.read(ino, 0..<bytes.count) == bytes)
            }
        }
    }

    @Test func aMissingDatabaseIsNotReplacedByAnEmptyVolume() throws {
        try VolumeFixture.with { fixture in
            try fixture.open { engine in
                try engine.write(Array("new".utf8), at: 0, to: try engine.makeFile("a"))
            }
            try WholeFile.remove(fixture.directory + "/volume.db")
            #expect(throws: FileSystemError.self) { try fixture.open { _ in } }
        }
    }

    @Test func aMissingCacheFileIsFetchedAgainOrAnError() throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: 37)
            let bytes = random.bytes(2_000_000)
            var inos: [InodeNumber] = []
            try fixture.open { engine in
                inos = [try engine.makeFile("a"), try engine.makeFile("b")]
                try engine.write(bytes, at: 0, to: inos[0])
                try engine.place()
                try engine.write(bytes, at: 0, to: inos[1])
            }
            for ino in inos {
                let hex = String(ino.rawValue, radix: 16)
                let bucket = hex.count < 2 ? "0" + hex : String(hex.suffix(2))
                try WholeFile.remove(fixture.directory + "/cache/" + bucket + "/" + hex)
            }
            try fixture.open { engine in
                let found = try engine.read(inos[0], 0..<bytes.count)
                #expect(found == bytes)
                #expect(throws: FileSystemError.self) {
                    _ = try engine.read(inos[1], 0..<bytes.count)
                }
            }
        }
    }

    @Test func aPowerCutForgetsCleanBlocksOfTheCache() throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: 34)
            let bytes = random.bytes(2_000_000)
            try fixture.open { engine in
                let ino = try engine.makeFile("a")
                try engine.write(bytes, at: 0, to: ino)
                try engine.place()
                try stop(fixture, by: .powerCut(losing: [ino])) { again in
                    let found = try again.read(ino, 0..<bytes.count)
                    #expect(found == bytes)
                }
            }
        }
    }
}
