import Primitives
import Testing

struct ErasureCodeTests {
    @Test(arguments: [(0, 1), (1, 0), (-1, 2), (200, 56), (256, 1), (1, 255)])
    func shapesOutsideTheFieldAreRefused(k: Int, m: Int) {
        #expect(ErasureCode(k: k, m: m) == nil)
    }

    @Test(arguments: [(1, 1), (4, 2), (254, 1), (1, 254), (29, 51)])
    func shapesInsideAreTaken(k: Int, m: Int) throws {
        let code = try #require(ErasureCode(k: k, m: m))
        #expect(code.n == k + m)
        #expect(ErasureCode(code.description) == code)
    }

    @Test(arguments: ["", "4", "4+", "+2", "4+2+1", "4-2", "4 + 2", "a+b", "4+0"])
    func otherTextIsNoCode(text: String) {
        #expect(ErasureCode(text) == nil)
    }

    @Test(arguments: [
        (0, 1024), (1, 1024), (4096, 1024), (4097, 2048), (16 << 20, 4 << 20),
        ((16 << 20) - 1, 4 << 20),
    ])
    func shardsAreWholeLeaves(payloadBytes: Int, shardBytes: Int) throws {
        let code = try #require(ErasureCode(k: 4, m: 2))
        #expect(code.shardBytes(payloadBytes: payloadBytes) == shardBytes)
        #expect(code.stripeBytesMax == 16 << 20)
    }
}
