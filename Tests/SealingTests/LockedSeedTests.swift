import Primitives
import Sealing
import Testing

struct LockedSeedTests {
    /// The least work that is allowed.
    private let cheap: PassphraseCost
    private let seed: RootSeed
    private let volume: VolumeID
    private let passphrase: Passphrase

    init() throws {
        cheap = try #require(PassphraseCost(passes: 1, memoryKiB: 8))
        seed = RootSeed(trusted: sequence(from: 0x40, count: 32))
        volume = try #require(VolumeID(bytes: sequence(from: 0x80, count: 16)))
        passphrase = try #require(Passphrase(bytes: "correct horse ü".utf8))
    }

    @Test func lockedSeedIsAsWrittenDown() throws {
        let golden = try GoldenFile.bytes("locked-seed")
        let cost = try #require(PassphraseCost(passes: 2, memoryKiB: 64))
        let made = try LockedSeed(
            sealing: seed,
            under: passphrase,
            for: volume,
            cost: cost,
            salt: sequence(from: 0xa0, count: 16),
            nonce: sequence(from: 0x90, count: 12)
        )
        #expect(made.bytes == golden)
        let read = try LockedSeed(parsing: golden)
        #expect(read == made)
        #expect(read.cost == cost)
        #expect(try read.open(with: passphrase, for: volume) == seed)
    }

    @Test func onlyItsOwnPassphraseOpensIt() throws {
        let locked = try LockedSeed(
            sealing: seed,
            under: passphrase,
            for: volume,
            cost: cheap
        )
        for wrong in ["correct horse u", "correct horse ü ", "Correct horse ü", "x"] {
            let other = try #require(Passphrase(bytes: wrong.utf8))
            #expect(throws: SealingError.corrupt("the locked key")) {
                try locked.open(with: other, for: volume)
            }
        }
        let other = try #require(VolumeID(bytes: sequence(from: 0x81, count: 16)))
        #expect(throws: SealingError.corrupt("the locked key")) {
            try locked.open(with: passphrase, for: other)
        }
    }

    @Test func lockingTwiceGivesDifferentBytes() throws {
        let first = try LockedSeed(sealing: seed, under: passphrase, for: volume, cost: cheap)
        let second = try LockedSeed(sealing: seed, under: passphrase, for: volume, cost: cheap)
        #expect(first.bytes.suffix(77).elementsEqual(second.bytes.suffix(77)) == false)
    }

    /// The top bits of the cost ask for more than is allowed, which is seen before any work.
    @Test func everyBitFlipAndTruncationIsRefused() throws {
        let bytes = try LockedSeed(sealing: seed, under: passphrase, for: volume, cost: cheap).bytes
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: SealingError.self, "bit \(bit)") {
                let locked = try LockedSeed(parsing: flipped)
                // Memory of up to 1 GiB is allowed; trying it here shows nothing more.
                guard locked.cost.memoryKiB <= 1 << 12 else { throw SealingError.corrupt("cost") }
                _ = try locked.open(with: passphrase, for: volume)
            }
        }
        for count in 0..<bytes.count {
            #expect(throws: SealingError.self) { try LockedSeed(parsing: Array(bytes[..<count])) }
        }
        #expect(throws: SealingError.self) { try LockedSeed(parsing: bytes + [0]) }
    }

    @Test(arguments: [
        (passes: 0, memoryKiB: 64), (17, 64), (.max, 64), (1, 7), (1, 0), (1, 1 << 20 + 1),
        (1, 1 << 30), (1, .max),
    ])
    func hostileCostsAreRefusedBeforeAnyWork(passes: UInt32, memoryKiB: UInt32) throws {
        #expect(PassphraseCost(passes: passes, memoryKiB: memoryKiB) == nil)
        var bytes = try LockedSeed(sealing: seed, under: passphrase, for: volume, cost: cheap).bytes
        for shift in 0..<4 {
            bytes[1 + shift] = UInt8(truncatingIfNeeded: passes >> (8 * shift))
            bytes[5 + shift] = UInt8(truncatingIfNeeded: memoryKiB >> (8 * shift))
        }
        #expect(throws: SealingError.self) { try LockedSeed(parsing: bytes) }
    }

    @Test func namedCostsAreAllowed() {
        for cost in [PassphraseCost.interactive, .moderate, .sensitive] {
            #expect(PassphraseCost(passes: cost.passes, memoryKiB: cost.memoryKiB) == cost)
        }
    }

    @Test func passphrasesHave1To1024Bytes() {
        #expect(Passphrase(bytes: []) == nil)
        #expect(Passphrase(bytes: [UInt8](repeating: 65, count: 1025)) == nil)
        #expect(Passphrase(bytes: [UInt8](repeating: 65, count: 1024))?.copy().count == 1024)
    }

    @Test func passphrasesAreNotPrinted() throws {
        var text = ""
        dump(passphrase, to: &text)
        text += "\(passphrase) \(String(reflecting: passphrase))"
        #expect(text.contains("Passphrase(secret)"))
        #expect(!text.contains("horse") && !text.contains("99, 111"))
    }

    @Test func wipedBytesAreGone() {
        var bytes: [UInt8] = [1, 2, 3]
        SecretBytes.wipe(&bytes)
        #expect(bytes.isEmpty)
        SecretBytes.wipe(&bytes)
        #expect(bytes.isEmpty)
    }
}
