import Primitives
import Testing

struct EntryNameTests {
    @Test func bytesOfNoEncodingAreAName() throws {
        let bytes: [UInt8] = [0xff, 0xfe, 0x20, 0x0a]
        #expect(try EntryName(bytes).bytes == bytes)
    }

    @Test func dotsAloneAreReserved() throws {
        #expect(throws: EntryName.Problem.reserved) { try EntryName(Array(".".utf8)) }
        #expect(throws: EntryName.Problem.reserved) { try EntryName(Array("..".utf8)) }
        #expect(try EntryName(Array("...".utf8)).description == "...")
    }

    @Test func lengthIsOneTo255() throws {
        #expect(throws: EntryName.Problem.empty) { try EntryName([]) }
        #expect(try EntryName([UInt8](repeating: 0x61, count: 255)).bytes.count == 255)
        #expect(throws: EntryName.Problem.tooLong) {
            try EntryName([UInt8](repeating: 0x61, count: 256))
        }
    }

    @Test(arguments: ["a/b", "/", "a\u{0}"])
    func slashAndZeroAreForbidden(text: String) {
        #expect(throws: EntryName.Problem.forbiddenByte) { try EntryName(Array(text.utf8)) }
    }

    @Test func equalBytesAreOneName() throws {
        let name = try EntryName(Array("name".utf8))
        #expect(Set([name, try EntryName(Array("name".utf8))]).count == 1)
        #expect(try EntryName(Array("Name".utf8)) != name)
    }
}
