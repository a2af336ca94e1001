import Primitives
import Sealing
import Testing

struct KeyHierarchyTests {
    private let root: RootSeed
    private let volumeKey: VolumeKey
    private let fileKey: FileKey
    private let volume: VolumeID
    private let shard: ShardID
    private let stripe: StripeID
    private let ino = InodeNumber(258)
    private let nonce = sequence(from: 0x90, count: 12)

    init() throws {
        root = try #require(RootSeed(bytes: sequence(from: 0x40, count: 32)))
        volumeKey = try #require(VolumeKey(bytes: sequence(from: 0x20, count: 32)))
        fileKey = try #require(FileKey(bytes: sequence(from: 0, count: 32)))
        volume = try #require(VolumeID(bytes: sequence(from: 0x80, count: 16)))
        shard = try #require(ShardID(bytes: sequence(from: 0x70, count: 16)))
        stripe = try #require(StripeID(bytes: sequence(from: 0x60, count: 16)))
    }

    @Test func derivedKeysAreAsWrittenDown() throws {
        #expect(volumeKey.repairKey.bytes == (try GoldenFile.bytes("repair-key")))
        #expect(volumeKey.maskKey(for: shard).bytes == (try GoldenFile.bytes("mask-key")))
        #expect(
            fileKey.blockKey(stripe: stripe, offset: 0x0102_0304).bytes
                == (try GoldenFile.bytes("block-key"))
        )
        let identity = try root.identityKey().publicKey
        #expect(identity.bytes == (try GoldenFile.bytes("identity-public-key")))
        #expect(identity.nodeID.bytes == (try GoldenFile.bytes("identity-node-id")))
    }

    @Test func wrappedKeysAreAsWrittenDown() throws {
        let wrappedVolume = try GoldenFile.bytes("wrapped-volume-key")
        #expect(try root.wrap(volumeKey, for: volume, nonce: nonce) == wrappedVolume)
        #expect(try root.unwrap(wrappedVolume, for: volume) == volumeKey)
        let wrappedFile = try GoldenFile.bytes("wrapped-file-key")
        #expect(try volumeKey.wrap(fileKey, for: ino, nonce: nonce) == wrappedFile)
        #expect(try volumeKey.unwrap(wrappedFile, for: ino) == fileKey)
    }

    @Test func wrappingTwiceGivesDifferentBytesOfOneKey() throws {
        let first = try volumeKey.wrap(fileKey, for: ino)
        let second = try volumeKey.wrap(fileKey, for: ino)
        #expect(first != second)
        #expect(try volumeKey.unwrap(first, for: ino) == fileKey)
        #expect(try volumeKey.unwrap(second, for: ino) == fileKey)
    }

    @Test func everyBitFlipAndTruncationOfAWrappedKeyIsRefused() throws {
        let wrapped = try root.wrap(volumeKey, for: volume)
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
    }

    @Test func wrappedKeyIsForOneThingOnly() throws {
        let wrapped = try root.wrap(volumeKey, for: volume)
        let other = try #require(VolumeID(bytes: sequence(from: 0x81, count: 16)))
        #expect(throws: SealingError.corrupt("the wrapped key of volume \(other.short)")) {
            try root.unwrap(wrapped, for: other)
        }
        #expect(throws: SealingError.self) { try RootSeed.random().unwrap(wrapped, for: volume) }
        let wrappedFile = try volumeKey.wrap(fileKey, for: ino)
        #expect(throws: SealingError.corrupt("the wrapped key of inode 259")) {
            try volumeKey.unwrap(wrappedFile, for: InodeNumber(259))
        }
        #expect(throws: SealingError.self) { try volumeKey.unwrap(wrapped, for: ino) }
    }

    @Test func everyBlockHasAKeyOfItsOwn() throws {
        let other = try #require(StripeID(bytes: sequence(from: 0x61, count: 16)))
        let keys = [
            fileKey.blockKey(stripe: stripe, offset: 0),
            fileKey.blockKey(stripe: stripe, offset: 1),
            fileKey.blockKey(stripe: other, offset: 0),
            FileKey.random().blockKey(stripe: stripe, offset: 0),
        ]
        #expect(Set(keys).count == keys.count)
    }

    @Test func randomKeysDiffer() {
        #expect(RootSeed.random() != RootSeed.random())
        #expect(VolumeKey.random() != VolumeKey.random())
        #expect(FileKey.random() != FileKey.random())
    }

    @Test(arguments: [0, 31, 33])
    func keysHave32Bytes(count: Int) {
        let bytes = [UInt8](repeating: 1, count: count)
        #expect(RootSeed(bytes: bytes) == nil)
        #expect(VolumeKey(bytes: bytes) == nil)
        #expect(FileKey(bytes: bytes) == nil)
        #expect(RepairKey(bytes: bytes) == nil)
    }

    @Test func secretsArePrintedByTypeOnly() throws {
        var text = ""
        let phrase = RecoveryPhrase(seed: root)
        let signer = try root.identityKey()
        for secret: Any in [root, volumeKey, fileKey, phrase, signer] {
            dump(secret, to: &text)
            text += "\(secret) \(String(reflecting: secret))\n"
        }
        #expect(text.contains("RootSeed(secret)"))
        // No number of any key appears, neither as an element nor in hexadecimal.
        #expect(!text.contains("40414243") && !text.contains("64, 65, 66"))
        #expect(!phrase.words.contains { text.contains(" \($0) ") })
    }
}
