import Primitives
import Testing

struct HexTests {
    @Test func everyByteSurvives() {
        let bytes = (0...255).map { UInt8($0) }
        #expect(Hex.decode(Hex.encode(bytes)) == bytes)
        #expect(Hex.decode(Hex.encode(bytes).uppercased()) == bytes)
    }

    @Test func emptyTextIsNoBytes() {
        #expect(Hex.encode([]) == "")
        #expect(Hex.decode("") == [])
    }

    @Test(arguments: ["0", "000", "0g", " 00", "0x", "0\u{0}", "é"])
    func otherTextIsRefused(text: String) {
        #expect(Hex.decode(text) == nil)
    }
}
