import Primitives
import Sealing
import Testing

/// Keys of a volume that was given another one.
struct VolumeKeyGenerationTests {
    private let root: RootSeed
    private let volume: VolumeID
    private let first: VolumeKey
    private let second: VolumeKey
    private let ino = InodeNumber(258)
    private let nonce = sequence(from: 0x90, count: 12)

    init() throws {
        root = RootSeed(trusted: sequence(from: 0x40, count: 32))
        volume = try #require(VolumeID(bytes: sequence(from: 0x80, count: 16)))
        first = VolumeKey(trusted: sequence(from: 0x20, count: 32))
        second = try #require(first.next(sequence(from: 0xb0, count: 32)))
    }

    @Test func wrappedGenerationsAreAsWrittenDown() throws {
        let golden = try GoldenFile.bytes("wrapped-volume-key-2")
        #expect(try root.wrap(second, for: volume, nonce: nonce) == golden)
        let read = try root.unwrap(golden, for: volume)
        #expect(read == second)
        #expect(read.generation == 1)
        #expect(read.bytes == second.bytes)
        #expect(read.older.map(\.generation) == [0])
        #expect(WrappedVolumeKey.generation(of: golden) == 1)
    }

    @Test func generationZeroIsWrittenAsBefore() throws {
        let wrapped = try root.wrap(first, for: volume, nonce: nonce)
        #expect(wrapped == (try GoldenFile.bytes("wrapped-volume-key")))
        #expect(WrappedVolumeKey.generation(of: wrapped) == 0)
        #expect(WrappedVolumeKey.generation(of: []) == nil)
        let what = "the wrapped key of volume \(volume.short)"
        #expect(throws: SealingError.destroyed(what)) { try root.unwrap([], for: volume) }
        #expect(WrappedVolumeKey.generation(of: [1, 2, 3]) == nil)
        #expect(WrappedVolumeKey.generation(of: [2, 0, 0, 0, 0]) == nil)
    }

    /// Every shard's mask is as it was, or nothing placed could be read any more.
    @Test func repairAndCheckpointKeysStay() throws {
        let shard = try #require(ShardID(bytes: sequence(from: 0x70, count: 16)))
        var key = first
        for _ in 0..<5 {
            key = try #require(key.next())
            let read = try root.unwrap(root.wrap(key, for: volume), for: volume)
            #expect(read.repairKey == first.repairKey)
            #expect(read.maskKey(for: shard) == first.maskKey(for: shard))
            #expect(read.checkpointKey == first.checkpointKey)
        }
    }

    @Test func fileKeysOfEveryGenerationOpenAndAreWrappedAnew() throws {
        let third = try #require(second.next())
        let file = FileKey.random()
        for key in [first, second] {
            let wrapped = try key.wrap(file, for: ino)
            #expect(try third.unwrap(wrapped, for: ino) == file)
            let anew = try #require(try third.rewrap(wrapped, for: ino))
            #expect(try third.rewrap(anew, for: ino) == nil)
            #expect(try VolumeKey(trusted: third.bytes).unwrap(anew, for: ino) == file)
            // Whoever had the key before has nothing of what was wrapped since.
            #expect(throws: SealingError.self) { try key.unwrap(anew, for: ino) }
        }
        let foreign = try VolumeKey.random().wrap(file, for: ino)
        #expect(throws: SealingError.corrupt("the wrapped key of inode 258")) {
            try third.unwrap(foreign, for: ino)
        }
        #expect(throws: SealingError.self) { try third.rewrap(foreign, for: ino) }
    }

    @Test func theMostGenerationsFitARegistration() throws {
        var key = first
        while let next = key.next() { key = next }
        #expect(key.generation == 23)
        #expect(key.older.count + 1 == VolumeKey.generationsMax)
        let wrapped = try root.wrap(key, for: volume)
        // A registration takes 1024 bytes.
        #expect(wrapped.count == 929)
        #expect(try root.unwrap(wrapped, for: volume) == key)
    }

    @Test func everyBitFlipAndTruncationIsRefused() throws {
        let wrapped = try root.wrap(second, for: volume)
        for bit in 0..<wrapped.count * 8 {
            var flipped = wrapped
            flipped[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: SealingError.self) { try root.unwrap(flipped, for: volume) }
        }
        for count in 0..<wrapped.count {
            #expect(throws: SealingError.self) {
                try root.unwrap(Array(wrapped[..<count]), for: volume)
            }
        }
        #expect(throws: SealingError.self) { try root.unwrap(wrapped + [0], for: volume) }
        let other = try #require(VolumeID(bytes: sequence(from: 0x81, count: 16)))
        #expect(throws: SealingError.self) { try root.unwrap(wrapped, for: other) }
    }

    @Test func olderKeysAreNotPrinted() {
        var text = ""
        dump(second, to: &text)
        dump(second.older, to: &text)
        #expect(!text.contains("32, 33, 34") && !text.contains("176"))
    }
}
