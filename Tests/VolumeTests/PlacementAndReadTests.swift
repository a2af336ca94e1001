import Primitives
import Testing
import Volume

@Suite(.serialized)
struct PlacementAndReadTests {
    @Test(arguments: [1, 1024, 65_536, 65_537, 1 << 20, (1 << 20) + 1, 5_000_000])
    func placedBytesComeBackAfterTheCacheIsDropped(size: Int) throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: UInt64(size))
            let bytes = random.bytes(size)
            try fixture.open { engine in
                let ino = try engine.makeFile("a")
                try engine.write(bytes, at: 0, to: ino)
                #expect(try engine.state(of: ino) == "local")
                try engine.place()
                #expect(try engine.state(of: ino) == "placed")
                #expect(try engine.dropCache() > 0)
                #expect(try engine.read(ino, 0..<size) == bytes)
            }
        }
    }

    @Test func everyPairOfProvidersMayBeLost() throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: 15)
            let bytes = random.bytes(3_000_000)
            try fixture.open { engine in
                let ino = try engine.makeFile("a")
                try engine.write(bytes, at: 0, to: ino)
                try engine.place()
                for first in 0..<6 {
                    for second in first + 1..<6 {
                        let lost = [fixture.network.ids[first], fixture.network.ids[second]]
                        for id in lost { fixture.network.change(id) { $0.isUp = false } }
                        _ = try engine.dropCache()
                        #expect(try engine.read(ino, 0..<bytes.count) == bytes)
                        for id in lost { fixture.network.change(id) { $0.isUp = true } }
                    }
                }
            }
        }
    }

    @Test func fullStripesSurviveTwoLostProviders() throws {
        try VolumeFixture.with { fixture in
            var random = SeededGenerator(seed: 22)
            let bytes = random.bytes(40_000_000)
            try fixture.open { engine in
                let ino = try engine.makeFile("a")
                try engine.write(bytes, at: 0, to: ino)
                try engine.place()
                for id in fixture.network.ids.prefix(2) {
                    fixture.network.change(id) { $0.isUp = false }
                }
                _ = try engine.dropCache()
                for start in stride(from: 0, to: bytes.count, by: 1 << 20) {
                    let range = start..<min(bytes.count, start + 1 << 20)
                    #expect(try engine.read(ino, range) == Array(bytes[range]))
                }
            }
        }
    }

    @Test func threeLostProvidersGiveAnErrorAndNeverWrongBytes() throws {
        try VolumeFixture.with { fixture in
            try fixture.open { engine in
                let ino = try engine.makeFile("a")
                var random = SeededGenerator(seed: 16)
                let bytes = random.bytes(4_000_000)
                try engine.write(bytes, at: 0, to: ino)
                try engine.place()
                _ = try engine.dropCache()
                for id in fixture.network.ids.prefix(3) {
                    fixture.network.change(id) { $0.isUp = false }
                }
                #expect(throws: FileSystemError.self) { _ = try engine.read(ino, 0..<bytes.count) }
                for id in fixture.network.ids { fixture.network.change(id) { $0.isUp = true } }
                #expect(try engine.read(ino, 0..<bytes.count) == bytes)
            }
        }
    }

    @Test(arguments: 0..<6)
    func rottenShardsAreReadAroundAndReported(rotten: Int) throws {
        try VolumeFixture.with { fixture in
            try fixture.open { engine in
                let ino = try engine.makeFile("a")
                var random = SeededGenerator(seed: 17)
                let bytes = random.bytes(2_500_000)
                try engine.write(bytes, at: 0, to: ino)
                try engine.place()
                _ = try engine.dropCache()
                fixture.network.rot(fixture.network.ids[rotten]) { $0 / 3 }
                #expect(try engine.read(ino, 0..<bytes.count) == bytes)
            }
        }
    }

    /// A small stripe: its one block lies in all four data shards, so both wrong ones may be among
    /// those that hold the bytes.
    @Test func everyPairOfShardsMayBeRotten() throws {
        try VolumeFixture.with { fixture in
            try fixture.open { engine in
                let ino = try engine.makeFile("a")
                var random = SeededGenerator(seed: 19)
                let bytes = random.bytes(1_000_000)
                try engine.write(bytes, at: 0, to: ino)
                try engine.place()
                for first in fixture.network.ids.indices {
                    for second in fixture.network.ids.indices.dropFirst(first + 1) {
                        let rotten = [fixture.network.ids[first], fixture.network.ids[second]]
                        for id in rotten { fixture.network.rot(id) { $0 / 3 } }
                        _ = try engine.dropCache()
                        #expect(try engine.read(ino, 0..<bytes.count) == bytes)
                        // The same bits again: whole.
                        for id in rotten { fixture.network.rot(id) { $0 / 3 } }
                    }
                }
            }
        }
    }

    @Test func tenThousandSmallFilesShareFewStripes() throws {
        try VolumeFixture.with { fixture in
            try fixture.open { engine in
                var random = SeededGenerator(seed: 18)
                let seed = random.bytes(4096)
                for number in 0..<10_000 {
                    let ino = try engine.makeFile("f\(number)")
                    var bytes = seed
                    bytes[0] = UInt8(truncatingIfNeeded: number)
                    bytes[1] = UInt8(truncatingIfNeeded: number >> 8)
                    try engine.write(bytes, at: 0, to: ino)
                }
                try engine.place()
                #expect(fixture.network.shardCount <= 10 * 6)
                _ = try engine.dropCache()
                for number in stride(from: 0, to: 10_000, by: 997) {
                    let bytes = try engine.read(engine.find("f\(number)"), 0..<4096)
                    #expect(bytes[0] == UInt8(truncatingIfNeeded: number))
                    #expect(bytes[1] == UInt8(truncatingIfNeeded: number >> 8))
                    #expect(bytes[2...] == seed[2...])
                }
            }
        }
    }

    @Test func aProviderThatDiesDuringUploadIsReplaced() throws {
        try VolumeFixture.with(providers: 8) { fixture in
            try fixture.open { engine in
                let ino = try engine.makeFile("a")
                var random = SeededGenerator(seed: 19)
                let bytes = random.bytes(40_000_000)
                try engine.write(bytes, at: 0, to: ino)
                fixture.network.change(fixture.network.ids[0]) { $0.putsLeft = 0 }
                fixture.network.change(fixture.network.ids[1]) { $0.putsLeft = 1 }
                try engine.place()
                for id in fixture.network.ids.prefix(2) {
                    fixture.network.change(id) { $0.isUp = false }
                }
                _ = try engine.dropCache()
                for start in stride(from: 0, to: bytes.count, by: 1 << 20) {
                    let range = start..<min(bytes.count, start + 1 << 20)
                    #expect(try engine.read(ino, range) == Array(bytes[range]))
                }
            }
        }
    }

    @Test func tooFewProvidersKeepDataDirtyAndSayWhy() throws {
        try VolumeFixture.with(providers: 5) { fixture in
            try fixture.open { engine in
                let ino = try engine.makeFile("a")
                try engine.write(Array("hello".utf8), at: 0, to: ino)
                #expect(try engine.shutdown(drainSeconds: 1) > 0)
            }
            try fixture.open { engine in
                let ino = try engine.find("a")
                #expect(try engine.state(of: ino) == "local")
                #expect(try engine.read(ino, 0..<10) == Array("hello".utf8))
            }
        }
    }

    @Test func deletedFilesFreeTheirShards() throws {
        try VolumeFixture.with { fixture in
            try fixture.open { engine in
                var random = SeededGenerator(seed: 20)
                let ino = try engine.makeFile("a")
                try engine.write(random.bytes(3_000_000), at: 0, to: ino)
                try engine.place()
                #expect(fixture.network.storedBytes > 3_000_000)
                try engine.unlink(EntryName(Array("a".utf8)), in: .root)
                try waitUntil { fixture.network.storedBytes == 0 }
            }
        }
    }

    @Test func sparselyUsedStripesAreRewritten() throws {
        try VolumeFixture.with(dirtyAgeSeconds: 1) { fixture in
            try fixture.open { engine in
                var random = SeededGenerator(seed: 21)
                var kept: [UInt8] = []
                for number in 0..<14 {
                    let ino = try engine.makeFile("f\(number)")
                    let bytes = random.bytes(1 << 20)
                    if number == 5 { kept = bytes }
                    try engine.write(bytes, at: 0, to: ino)
                }
                try engine.place()
                for number in 0..<14 where number != 5 {
                    try engine.unlink(EntryName(Array("f\(number)".utf8)), in: .root)
                }
                try waitUntil { fixture.network.storedBytes < 3 << 20 }
                _ = try engine.dropCache()
                let ino = try engine.find("f5")
                #expect(try engine.read(ino, 0..<1 << 20) == kept)
            }
        }
    }
}
