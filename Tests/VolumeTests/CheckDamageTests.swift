import Disk
import Metadata
import Primitives
import Testing
import Volume

/// What happens to cache files and shards, and what the check finds of it.
@Suite(.serialized)
struct CheckDamageTests {
    /// Inodes of `VolumeFixture.fill`.
    private static let placed = InodeNumber(5)
    private static let dirty = InodeNumber(7)

    private func expect(
        _ kind: CheckFinding.Kind,
        _ subject: String,
        deep: Bool = false,
        _ harm: (VolumeFixture) throws -> Void
    ) throws {
        try VolumeFixture.with { fixture in
            try fixture.fill()
            let before = try fixture.check(network: fixture.network, deep: true)
            #expect(before.findings == [])
            try harm(fixture)
            let found = try fixture.check(network: fixture.network, deep: deep).findings
            let isFound = found.contains {
                $0.kind == kind && $0.subject.contains(subject)
            }
            #expect(isFound, "found instead: \(found)")
        }
    }

    // MARK: The database and the cache

    @Test func aMissingDatabaseIsFound() throws {
        try expect(.databaseMissing, "volume.db") { fixture in
            try WholeFile.remove(fixture.configuration.metadataPath)
        }
    }

    @Test func anotherCacheIsFoundIfChangesWereInIt() throws {
        try expect(.cacheMissing, "cache") { fixture in
            try WholeFile.replace(fixture.configuration.cacheDirectory + "/id", with: [0x31])
        }
    }

    @Test func anotherCacheWithoutChangesIsNoted() throws {
        try VolumeFixture.with { fixture in
            try fixture.fill()
            try fixture.open { try $0.place() }
            try Directory.remove(tree: fixture.configuration.cacheDirectory)
            let report = try fixture.check(network: fixture.network, deep: true)
            #expect(report.isClean)
            #expect(report.notes.map(\.kind) == [.cacheForgotten])
        }
    }

    @Test func aMissingCacheFileOfAChangedFileIsFound() throws {
        try expect(.cacheFileMissing, "/07/7") { fixture in
            try WholeFile.remove(fixture.cachePath(Self.dirty))
        }
    }

    @Test func aMissingCacheFileOfAPlacedFileIsNoted() throws {
        try VolumeFixture.with { fixture in
            try fixture.fill()
            try WholeFile.remove(fixture.cachePath(Self.placed))
            let report = try fixture.check()
            #expect(report.isClean)
            #expect(report.notes.map(\.kind) == [.clearedResidency])
        }
    }

    @Test func aCutCacheFileOfAChangedFileIsFound() throws {
        try expect(.cacheFileShort, "/07/7") { fixture in
            try Descriptor(opening: fixture.cachePath(Self.dirty), .readWrite).truncate(to: 99)
        }
    }

    @Test func aHoleInCachedBytesIsFound() throws {
        try expect(.cacheHole, "/05/5") { fixture in
            let file = try Descriptor(opening: fixture.cachePath(Self.placed), .readWrite)
            try file.punchHole(1 << 20..<(1 << 20) + 65_536)
        }
    }

    @Test func bytesInAHoleAreFound() throws {
        try expect(.cacheBytesInHole, "/07/7") { fixture in
            let file = try Descriptor(opening: fixture.cachePath(Self.dirty), .readWrite)
            try file.write(at: 5_000, [1])
        }
    }

    @Test func bytesPastTheEndAreFound() throws {
        try expect(.cacheBytesPastEnd, "/05/5") { fixture in
            let file = try Descriptor(opening: fixture.cachePath(Self.placed), .readWrite)
            try file.write(at: 2_500_001, [1])
        }
    }

    @Test func aCacheFileOfNobodyIsFound() throws {
        try expect(.cacheFileOfNobody, "/34/1234") { fixture in
            let path = fixture.cachePath(InodeNumber(0x1234))
            try WholeFile.create(path, with: [1])
        }
    }

    @Test func aCacheFileOfNobodyIsNotedAfterAKill() throws {
        try VolumeFixture.with { fixture in
            try fixture.fill()
            try fixture.run("UPDATE meta SET value=0 WHERE key='clean'")
            try WholeFile.create(fixture.cachePath(InodeNumber(0x1234)), with: [1])
            let file = try Descriptor(opening: fixture.cachePath(Self.dirty), .readWrite)
            try file.write(at: 5_000, [1])
            let report = try fixture.check()
            #expect(report.findings == [])
            let kinds: Set<CheckNote.Kind> = [.uncleanStop, .strayCacheFile, .strayCacheBytes]
            #expect(Set(report.notes.map(\.kind)) == kinds)
            try fixture.open { _ in }
            let after = try fixture.check()
            #expect(after.isClean)
            #expect(after.notes == [])
        }
    }

    @Test func aCacheFileThatCannotBeReadIsFound() throws {
        try expect(.unreadableCacheFile, "/05/5") { fixture in
            try WholeFile.remove(fixture.cachePath(Self.placed))
            try Directory.make(fixture.cachePath(Self.placed))
            try fixture.run("UPDATE meta SET value=1 WHERE key='clean'")
        }
    }

    @Test func otherBytesInTheCacheAreFoundDeep() throws {
        try expect(.wrongCacheBytes, "/05/5", deep: true) { fixture in
            let file = try Descriptor(opening: fixture.cachePath(Self.placed), .readWrite)
            let byte = try file.read(at: 2_000_000, count: 1)
            try file.write(at: 2_000_000, byte.map { $0 ^ 1 })
        }
    }

    @Test func aKeyOfAnotherVolumeIsFoundDeep() throws {
        try expect(.wrongKey, "inode 5", deep: true) { fixture in
            try fixture.run("UPDATE file_key SET wrapped=zeroblob(length(wrapped))")
        }
    }

    // MARK: Shards

    @Test func aMissingShardIsFound() throws {
        try expect(.shardMissing, "of stripe") { fixture in
            fixture.network.change(fixture.network.ids[1]) { $0.shards = [:] }
        }
    }

    @Test func aWrongByteInAShardIsFoundDeep() throws {
        try expect(.wrongShard, "of stripe", deep: true) { fixture in
            fixture.network.rot(fixture.network.ids[1]) { $0 / 2 }
        }
    }

    @Test func aStripeBeyondRescueIsFound() throws {
        try expect(.stripeLost, "stripe") { fixture in
            for id in fixture.network.ids.prefix(3) {
                fixture.network.change(id) { $0.shards = [:] }
            }
        }
    }

    @Test func aBlockThatItsKeyDoesNotOpenIsFoundDeep() throws {
        try expect(.unreadableBlock, "block 1 of inode 5", deep: true) { fixture in
            try fixture.run("UPDATE block SET offset=offset+1 WHERE ino=5 AND idx=1")
        }
    }

    @Test func rebuiltBlocksAreComparedToo() throws {
        try VolumeFixture.with { fixture in
            try fixture.fill()
            for id in fixture.network.ids.prefix(2) {
                fixture.network.change(id) { $0.isUp = false }
            }
            let report = try fixture.check(network: fixture.network, deep: true)
            #expect(report.findings == [])
            #expect(report.notes.map(\.kind) == [.unseenShard])
        }
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func randomHarmIsNoTrap(seed: UInt64) throws {
        try VolumeFixture.with { fixture in
            try fixture.fill()
            var random = SeededGenerator(seed: seed)
            let paths = [
                fixture.configuration.metadataPath, fixture.cachePath(Self.placed),
                fixture.cachePath(Self.dirty), fixture.configuration.metadataPath + ".cache-id",
            ]
            for _ in 0..<3 {
                guard let path = paths.randomElement(using: &random) else { continue }
                let file = try Descriptor(opening: path, .readWrite)
                let size = try file.size()
                let offset = UInt64.random(in: 0...size, using: &random)
                if Bool.random(using: &random) {
                    try file.truncate(to: offset)
                } else {
                    try file.write(at: offset, random.bytes(300))
                }
            }
            // It answers, or says why it cannot; nothing else.
            do {
                _ = try fixture.check(network: fixture.network, deep: true)
            } catch let error as FileSystemError {
                #expect([.invalid, .inputOutput].contains(error.code), "\(error)")
            }
        }
    }
}
