import Primitives
import Sealing
import Testing

/// A sealer over arrays.
private struct ArraySealer {
    let sealer: SegmentSealer

    init() throws { sealer = try SegmentSealer() }

    func seal(_ plain: [UInt8], index: Int = 0, key: BlockKey) throws -> [UInt8] {
        let room = SegmentSealer.sealedBytesMax(plainBytes: plain.count)
        return try [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            count = try plain.withUnsafeBytes {
                try sealer.seal($0, index: index, key: key, into: .init(buffer))
            }
        }
    }

    func open(
        _ sealed: [UInt8],
        plainBytes: Int,
        index: Int = 0,
        key: BlockKey
    ) throws -> [UInt8] {
        var plain = [UInt8](repeating: 0xa5, count: plainBytes)
        try sealed.withUnsafeBytes { source in
            try plain.withUnsafeMutableBytes {
                try sealer.open(source, index: index, key: key, into: $0)
            }
        }
        return plain
    }
}

private let line = Array("All work and no play makes Jack a dull boy.\n".utf8)
private let text = [[UInt8]](repeating: line, count: 100).flatMap { $0 }

struct SegmentSealerTests {
    private let arrays: ArraySealer
    private let key: BlockKey

    init() throws {
        arrays = try ArraySealer()
        let fileKey = try #require(FileKey(bytes: sequence(from: 0, count: 32)))
        let stripe = try #require(StripeID(bytes: sequence(from: 0x60, count: 16)))
        key = fileKey.blockKey(stripe: stripe, offset: 0x0102_0304)
    }

    @Test func sealedBytesAreAsWrittenDown() throws {
        #expect(
            try arrays.seal(Array("m".utf8), index: 0, key: key)
                == (try GoldenFile.bytes("segment-one-byte"))
        )
        #expect(
            try arrays.seal(Array("mefs".utf8), index: 3, key: key)
                == (try GoldenFile.bytes("segment-raw"))
        )
    }

    @Test func writtenDownBytesOpen() throws {
        let raw = try GoldenFile.bytes("segment-raw")
        #expect(
            try arrays.open(raw, plainBytes: 4, index: 3, key: key) == Array("mefs".utf8)
        )
        let compressed = try GoldenFile.bytes("segment-zstd")
        #expect(compressed[0] == 1)
        #expect(try arrays.open(compressed, plainBytes: 4400, index: 15, key: key) == text)
    }

    @Test(arguments: [1, 2, 15, 16, 17, 63, 64, 1023, 4096, 65_535, 65_536])
    func segmentsOfAllKindsComeBack(count: Int) throws {
        var generator = SeededGenerator(seed: UInt64(count))
        let random = generator.bytes(count)
        let repeated = (0..<count).map { line[$0 % line.count] }
        let ones = [UInt8](repeating: 0xff, count: count)
        for plain in [random, repeated, ones] {
            let sealed = try arrays.seal(plain, key: key)
            #expect(sealed.count <= SegmentSealer.sealedBytesMax(plainBytes: count))
            #expect(try arrays.open(sealed, plainBytes: count, key: key) == plain)
        }
    }

    @Test func textIsCompressedAndNoiseIsNot() throws {
        let sealedText = try arrays.seal(text, key: key)
        #expect(sealedText[0] == 1)
        #expect(sealedText.count < text.count / 10)
        var generator = SeededGenerator(seed: 31)
        let noise = generator.bytes(Geometry.segmentBytes)
        let sealedNoise = try arrays.seal(noise, key: key)
        #expect(sealedNoise[0] == 0)
        #expect(sealedNoise.count == noise.count + 17)
    }

    /// A 16th must be saved: of 64 KiB, 61,440 bytes may be left.
    @Test func compressionThatSavesLittleIsNotUsed() throws {
        var generator = SeededGenerator(seed: 32)
        let noise = generator.bytes(Geometry.segmentBytes)
        for zeros in [3000, 3500, 4000, 4095] {
            let plain = [UInt8](repeating: 0, count: zeros) + noise.dropFirst(zeros)
            #expect(try arrays.seal(plain, key: key)[0] == 0, "\(zeros) zeros")
        }
        let plain = [UInt8](repeating: 0, count: 4600) + noise.dropFirst(4600)
        let sealed = try arrays.seal(plain, key: key)
        #expect(sealed[0] == 1)
        #expect(sealed.count <= 61_440 + 17)
    }

    /// Even bytes that are no noise: the sample must not keep them from the compressor.
    @Test(arguments: [1, 3, 64, 255])
    func rampIsCompressed(step: Int) throws {
        let ramp = (0..<Geometry.segmentBytes).map { UInt8(truncatingIfNeeded: $0 * step) }
        #expect(try arrays.seal(ramp, key: key)[0] == 1)
        let counters = (0..<UInt32(Geometry.segmentBytes / 4)).flatMap { number in
            (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
        }
        #expect(try arrays.seal(counters, key: key)[0] == 1)
    }

    @Test(arguments: [0, 1, 4096, 65_536])
    func zerosAreNoBytes(count: Int) throws {
        let zeros = [UInt8](repeating: 0, count: count)
        #expect(try arrays.seal(zeros, key: key) == [])
        #expect(try arrays.open([], plainBytes: count, key: key) == zeros)
    }

    @Test func oneByteBesideZerosIsSealed() throws {
        for position in [0, 1, 65_534, 65_535] {
            var plain = [UInt8](repeating: 0, count: Geometry.segmentBytes)
            plain[position] = 1
            let sealed = try arrays.seal(plain, key: key)
            #expect(!sealed.isEmpty)
            #expect(try arrays.open(sealed, plainBytes: plain.count, key: key) == plain)
        }
    }

    @Test(arguments: [Array("mefs".utf8), text])
    func everyTruncationAndExtensionIsRefused(plain: [UInt8]) throws {
        let sealed = try arrays.seal(plain, key: key)
        for count in 1..<sealed.count {
            #expect(throws: SealingError.self) {
                try arrays.open(Array(sealed[..<count]), plainBytes: plain.count, key: key)
            }
        }
        #expect(throws: SealingError.self) {
            try arrays.open(sealed + [0], plainBytes: plain.count, key: key)
        }
    }

    @Test(arguments: [Array("mefs".utf8), text])
    func everyBitFlipIsRefused(plain: [UInt8]) throws {
        let sealed = try arrays.seal(plain, key: key)
        for bit in 0..<sealed.count * 8 {
            var flipped = sealed
            flipped[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: SealingError.self) {
                try arrays.open(flipped, plainBytes: plain.count, key: key)
            }
        }
    }

    @Test func bitFlipsAndTruncationsOfAWholeSegmentAreRefused() throws {
        var generator = SeededGenerator(seed: 33)
        let plain = generator.bytes(Geometry.segmentBytes)
        let sealed = try arrays.seal(plain, key: key)
        for bit in stride(from: 0, to: sealed.count * 8, by: 4999) {
            var flipped = sealed
            flipped[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: SealingError.self) {
                try arrays.open(flipped, plainBytes: plain.count, key: key)
            }
        }
        for count in stride(from: 1, to: sealed.count, by: 4999) {
            #expect(throws: SealingError.self) {
                try arrays.open(Array(sealed[..<count]), plainBytes: plain.count, key: key)
            }
        }
    }

    @Test func segmentOpensOnlyInItsPlace() throws {
        let sealed = try arrays.seal(text, index: 2, key: key)
        #expect(throws: SealingError.corrupt("segment 3")) {
            try arrays.open(sealed, plainBytes: text.count, index: 3, key: key)
        }
        for plainBytes in [0, 1, text.count - 1, text.count + 1, Geometry.segmentBytes] {
            #expect(throws: SealingError.corrupt("segment 2")) {
                try arrays.open(sealed, plainBytes: plainBytes, index: 2, key: key)
            }
        }
        #expect(throws: SealingError.corrupt("segment 2")) {
            try arrays.open(sealed, plainBytes: text.count, index: 2, key: .random())
        }
        #expect(try arrays.open(sealed, plainBytes: text.count, index: 2, key: key) == text)
    }

    @Test func refusedSegmentLeavesNothingUnauthenticated() throws {
        var sealed = try arrays.seal(Array("secret, but forged".utf8), key: key)
        sealed[5] ^= 1
        var plain = [UInt8](repeating: 0xa5, count: 18)
        let bytes = sealed
        #expect(throws: SealingError.corrupt("segment 0")) {
            try bytes.withUnsafeBytes { source in
                try plain.withUnsafeMutableBytes {
                    try arrays.sealer.open(source, index: 0, key: key, into: $0)
                }
            }
        }
        #expect(plain == [UInt8](repeating: 0, count: 18))
    }

    @Test func unknownCodecIsNamed() throws {
        var sealed = try arrays.seal(text, key: key)
        sealed[0] = 7
        #expect(throws: SealingError.unknownFormat(of: "segment 0", value: 7)) {
            try arrays.open(sealed, plainBytes: text.count, key: key)
        }
    }

    /// Frames that are authentic and lie about what they hold: expansion never leaves the buffer.
    @Test(arguments: ["bomb", "short", "garbage", "two-frames"])
    func authenticFrameOfAnotherLengthIsRefused(name: String) throws {
        let sealed = try GoldenFile.bytes("hostile-segment-\(name)")
        let guardByte: UInt8 = 0x5a
        var buffer = [UInt8](repeating: guardByte, count: 3 * 4096)
        #expect(throws: SealingError.corrupt("segment 0")) {
            try sealed.withUnsafeBytes { source in
                try buffer.withUnsafeMutableBytes {
                    let middle = UnsafeMutableRawBufferPointer(rebasing: $0[4096..<8192])
                    try arrays.sealer.open(source, index: 0, key: key, into: middle)
                }
            }
        }
        #expect(buffer[..<4096].allSatisfy { $0 == guardByte })
        #expect(buffer[8192...].allSatisfy { $0 == guardByte })
    }

    @Test func sealerGoesOnAfterARefusal() throws {
        let other = BlockKey.random()
        let sealed = try arrays.seal(text, key: key)
        for _ in 0..<3 {
            #expect(throws: SealingError.self) {
                try arrays.open(sealed, plainBytes: text.count, key: other)
            }
            #expect(try arrays.open(sealed, plainBytes: text.count, key: key) == text)
            #expect(try arrays.seal(text, key: other) != sealed)
            #expect(try arrays.seal(text, key: key) == sealed)
        }
    }
}
