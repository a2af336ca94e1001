import Primitives
import Testing
import Wire

/// One value of everything the codec knows.
private struct Sample: Equatable {
    var byte: UInt8 = 0xab
    var word: UInt16 = 0x1234
    var negative: Int32 = -2
    var long: UInt64 = 0x0102_0304_0506_0708
    var blob: [UInt8] = [9, 8, 7]
    var text = "größe"
    var items = 2
    var id: StripeID

    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 64)
        writer.integer(byte)
        writer.integer(word)
        writer.integer(negative)
        writer.integer(long)
        writer.lengthPrefixed(blob)
        writer.string(text)
        writer.integer(UInt32(items))
        writer.id(id)
        writer.raw([0xee])
        return writer.bytes
    }

    init() throws {
        id = try #require(StripeID(hex: "000102030405060708090a0b0c0d0e0f"))
    }

    init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        byte = try reader.integer()
        word = try reader.integer()
        negative = try reader.integer()
        long = try reader.integer()
        blob = Array(try reader.lengthPrefixed("blob", limit: 16))
        text = try reader.string("text", limit: 16)
        items = try reader.count("items", limit: 4)
        id = try reader.id()
        guard try reader.integer(UInt8.self) == 0xee else {
            throw .invalid(field: "end", reason: "not 0xee")
        }
        try reader.finish()
    }
}

struct ByteReaderTests {
    @Test func bytesAreThoseOfTheFormat() throws {
        let golden =
            "ab" + "3412" + "feffffff" + "0807060504030201" + "03000000090807"
            + "070000006772c3b6c39f65" + "02000000" + "000102030405060708090a0b0c0d0e0f" + "ee"
        #expect(Hex.encode(try Sample().encoded()) == golden)
    }

    @Test func valuesComeBack() throws {
        let sample = try Sample()
        #expect(try Sample(decoding: sample.encoded()) == sample)
    }

    @Test func everyTruncationIsRefused() throws {
        let bytes = try Sample().encoded()
        for count in 0..<bytes.count {
            #expect(throws: DecodeError.self) { try Sample(decoding: Array(bytes.prefix(count))) }
        }
    }

    @Test func noBitFlipTraps() throws {
        let bytes = try Sample().encoded()
        let sample = try Sample()
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << (bit % 8)
            let decoded = try? Sample(decoding: flipped)
            #expect(decoded != sample)
        }
    }

    @Test func bytesLeftOverAreRefused() throws {
        let bytes = try Sample().encoded() + [0]
        #expect(throws: DecodeError.trailingBytes(1)) { try Sample(decoding: bytes) }
    }

    @Test func lengthAboveItsLimitIsRefusedBeforeItsBytesAreLookedFor() {
        var reader = ByteReader([0xff, 0xff, 0xff, 0xff])
        #expect(throws: DecodeError.tooLong(field: "blob", value: 0xffff_ffff, limit: 16)) {
            try reader.lengthPrefixed("blob", limit: 16)
        }
    }

    @Test func countAboveItsLimitIsRefused() {
        var reader = ByteReader([5, 0, 0, 0])
        #expect(throws: DecodeError.tooLong(field: "items", value: 5, limit: 4)) {
            try reader.count("items", limit: 4)
        }
    }

    @Test func negativeCountOfBytesIsRefused() {
        var reader = ByteReader([1, 2, 3])
        #expect(throws: DecodeError.self) { try reader.bytes(-1) }
        #expect(reader.remaining == 3)
    }

    @Test func textThatIsNotUTF8IsRefused() {
        var reader = ByteReader([2, 0, 0, 0, 0xc3, 0x28])
        #expect(throws: DecodeError.invalid(field: "text", reason: "not UTF-8")) {
            try reader.string("text", limit: 16)
        }
    }

    @Test func readerOfASliceKeepsItsPlace() throws {
        let bytes: [UInt8] = [0xff, 1, 2, 3, 0xff]
        var reader = ByteReader(bytes[1..<4])
        #expect(try reader.integer(UInt16.self) == 0x0201)
        #expect(Array(try reader.bytes(1)) == [3])
        #expect(reader.remaining == 0)
        #expect(throws: DecodeError.truncated(needed: 1, available: 0)) {
            try reader.integer(UInt8.self)
        }
    }
}
