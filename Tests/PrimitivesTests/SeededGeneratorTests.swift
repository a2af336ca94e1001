import Primitives
import Testing

struct SeededGeneratorTests {
    /// The first outputs of SplitMix64 for seed 1234567, as its authors' C code gives them.
    @Test func sequenceIsThatOfSplitMix64() {
        var generator = SeededGenerator(seed: 1_234_567)
        #expect(generator.next() == 6_457_827_717_110_365_317)
        #expect(generator.next() == 3_203_168_211_198_807_973)
        #expect(generator.next() == 9_817_491_932_198_370_423)
    }

    @Test func equalSeedsGiveEqualBytes() {
        var first = SeededGenerator(seed: 7)
        var second = SeededGenerator(seed: 7)
        var third = SeededGenerator(seed: 8)
        let bytes = first.bytes(100)
        #expect(bytes == second.bytes(100))
        #expect(bytes != third.bytes(100))
    }
}
