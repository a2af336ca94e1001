import Primitives
import Testing

struct IdentifierTests {
    @Test(arguments: [0, 1, 15, 17, 31, 32, 33])
    func sixteenByteIDTakesNoOtherLength(count: Int) {
        #expect(StripeID(bytes: [UInt8](repeating: 1, count: count)) == nil)
    }

    @Test(arguments: [0, 1, 16, 31, 33, 64])
    func thirtyTwoByteIDTakesNoOtherLength(count: Int) {
        #expect(NodeID(bytes: [UInt8](repeating: 1, count: count)) == nil)
    }

    @Test func bytesComeBackInOrder() throws {
        let sixteen = (0..<16).map { UInt8($0 * 17) }
        #expect(try #require(ShardID(bytes: sixteen)).bytes == sixteen)
        let thirtyTwo = (0..<32).map { UInt8($0 * 7) }
        #expect(try #require(Digest(bytes: thirtyTwo)).bytes == thirtyTwo)
    }

    @Test func hexadecimalFormIsReadBack() throws {
        let id = try #require(VolumeID(hex: "000102030405060708090a0b0c0d0e0f"))
        #expect(id.hex == "000102030405060708090a0b0c0d0e0f")
        #expect(id.short == "00010203")
        #expect("\(id)" == id.hex)
        #expect(VolumeID(hex: "0001") == nil)
        #expect(VolumeID(hex: "zz0102030405060708090a0b0c0d0e0f") == nil)
    }

    @Test func orderIsThatOfTheBytes() throws {
        let low = try #require(StripeID(hex: "00ffffffffffffffffffffffffffffff"))
        let high = try #require(StripeID(hex: "01000000000000000000000000000000"))
        #expect(low < high)
        #expect(!(high < low))
    }

    @Test func blockHoldsItsOffsets() {
        #expect(BlockIndex(containing: 0) == BlockIndex(0))
        #expect(BlockIndex(containing: 1_048_575) == BlockIndex(0))
        #expect(BlockIndex(containing: 1_048_576) == BlockIndex(1))
        #expect(BlockIndex(3).offset == 3_145_728)
    }
}
