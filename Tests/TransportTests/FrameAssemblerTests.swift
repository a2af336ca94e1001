import Primitives
import Testing
import Transport
import Wire

@Suite struct FrameAssemblerTests {
    private let frames = [
        Frame(operation: 1, id: 1, body: []),
        Frame(operation: 0x7f, id: .max, body: [1, 2, 3]),
        Frame(operation: 0x10, id: 3, body: Array(repeating: 9, count: 300_000)),
        Frame(operation: 2, id: 4, body: [0]),
    ]

    private var stream: [UInt8] {
        frames.flatMap {
            Frame.requestHeader(operation: $0.operation, id: $0.id, bodyBytes: $0.body.count)
                + $0.body
        }
    }

    private func assemble(
        _ bytes: [UInt8],
        _ direction: Frame.Direction = .requests,
        pieces: () -> Int
    ) throws(DecodeError) -> [Frame] {
        var assembler = FrameAssembler(direction)
        var found: [Frame] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = Array(rest.prefix(max(1, pieces())))
            rest = rest.dropFirst(piece.count)
            let result = piece.withUnsafeBytes { bytes -> Result<Void, DecodeError> in
                do throws(DecodeError) {
                    try assembler.append(bytes) { found.append($0) }
                    return .success(())
                } catch {
                    return .failure(error)
                }
            }
            try result.get()
        }
        return found
    }

    @Test(arguments: [1, 2, 12, 13, 14, 1000, 1 << 20])
    func framesComeOutOfPiecesOfAnySize(size: Int) throws {
        #expect(try assemble(stream) { size } == frames)
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func framesComeOutOfRandomPieces(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let found = try assemble(stream) {
            let most = [3, 20, 70_000][Int(random.next() % 3)]
            return Int.random(in: 1...most, using: &random)
        }
        #expect(found == frames)
    }

    @Test func repliesHaveTheirStatus() throws {
        let bytes =
            Frame.replyHeader(operation: 5, id: 6, status: 4, bodyBytes: 2) + [7, 8]
        let found = try assemble(bytes, .replies) { 5 }
        #expect(found == [Frame(operation: 5, id: 6, status: 4, body: [7, 8])])
    }

    @Test func headersAreTheseBytes() {
        #expect(
            Frame.requestHeader(operation: 0x10, id: 0x0102_0304_0506_0708, bodyBytes: 3)
                == [12, 0, 0, 0, 0x10, 8, 7, 6, 5, 4, 3, 2, 1]
        )
        #expect(
            Frame.replyHeader(operation: 0x10, id: 2, status: 5, bodyBytes: 256)
                == [10, 1, 0, 0, 0x90, 2, 0, 0, 0, 0, 0, 0, 0, 5]
        )
    }

    @Test func lengthAboveTheLimitIsRefusedBeforeAnythingElseComes() {
        var writer = ByteWriter()
        writer.integer(UInt32(Frame.lengthMax + 1))
        #expect(throws: DecodeError.self) { try assemble(writer.bytes) { 4 } }
        #expect(throws: DecodeError.self) { try assemble([0xff, 0xff, 0xff, 0xff]) { 1 } }
    }

    @Test func lengthBelowTheHeaderIsRefused() {
        for length in 0..<9 as Range<UInt8> {
            #expect(throws: DecodeError.self) { try assemble([length, 0, 0, 0]) { 4 } }
        }
        #expect(throws: DecodeError.self) { try assemble([9, 0, 0, 0], .replies) { 4 } }
    }

    @Test func operationsOfTheOtherDirectionAreRefused() {
        let request = Frame.requestHeader(operation: 1, id: 1, bodyBytes: 1) + [0]
        #expect(throws: DecodeError.self) { try assemble(request, .replies) { 100 } }
        let reply = Frame.replyHeader(operation: 1, id: 1, status: 0, bodyBytes: 0)
        #expect(throws: DecodeError.self) { try assemble(reply) { 100 } }
        let none = Frame.requestHeader(operation: 0, id: 1, bodyBytes: 0)
        #expect(throws: DecodeError.self) { try assemble(none) { 100 } }
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func randomBytesNeverTrap(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var bytes = random.bytes(200)
        // Half of them with a possible length, so that more than the length is looked at.
        if seed.isMultiple(of: 2) { bytes.replaceSubrange(0..<4, with: [20, 0, 0, 0]) }
        _ = try? assemble(bytes, seed.isMultiple(of: 3) ? .replies : .requests) {
            Int.random(in: 1...40, using: &random)
        }
    }
}
