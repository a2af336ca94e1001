import Primitives
import Sealing
import Testing

/// The 256-bit vectors of BIP-39's reference implementation.
private let vectors = [
    (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon"
            + " abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon"
            + " abandon abandon art"
    ),
    (
        "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
        "legal winner thank year wave sausage worth useful legal winner thank year wave sausage"
            + " worth useful legal winner thank year wave sausage worth title"
    ),
    (
        "8080808080808080808080808080808080808080808080808080808080808080",
        "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount"
            + " doctor acoustic avoid letter advice cage absurd amount doctor acoustic bless"
    ),
    (
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo"
            + " zoo vote"
    ),
    (
        "68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c",
        "hamster diagram private dutch cause delay private meat slide toddler razor book happy"
            + " fancy gospel tennis maple dilemma loan word shrug inflict delay length"
    ),
    (
        "9f6a2878b2520799a44ef18bc7df394e7061a224d2c33cd015b157d746869863",
        "panda eyebrow bullet gorilla call smoke muffin taste mesh discover soft ostrich alcohol"
            + " speed nation flash devote level hobby quick inner drive ghost inside"
    ),
    (
        "066dca1a2bb7e8a1db2832148ce9933eea0f3ac9548d793112d9a95c9407efad",
        "all hour make first leader extend hole alien behind guard gospel lava path output census"
            + " museum junior mass reopen famous sing advance salt reform"
    ),
    (
        "f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f",
        "void come effort suffer camp survey warrior heavy shoot primary clutch crush open amazing"
            + " screen patrol group space point ten exist slush involve unfold"
    ),
]

struct RecoveryPhraseTests {
    @Test(arguments: vectors)
    func wordsAreThoseOfTheStandard(entropy: String, words: String) throws {
        let seed = try #require(RootSeed(bytes: hex(entropy)))
        #expect(RecoveryPhrase(seed: seed).words.joined(separator: " ") == words)
        #expect(try RecoveryPhrase(parsing: words).seed == seed)
    }

    @Test func randomSeedsComeBack() throws {
        for _ in 0..<50 {
            let seed = RootSeed.random()
            let words = RecoveryPhrase(seed: seed).words
            #expect(words.count == RecoveryPhrase.wordCount)
            #expect(try RecoveryPhrase(parsing: words.joined(separator: " ")).seed == seed)
        }
    }

    @Test func caseAndSpacingDoNotMatter() throws {
        let (entropy, words) = vectors[4]
        let spread = "\n  " + words.uppercased().split(separator: " ").joined(separator: "\t \r\n")
        #expect(try RecoveryPhrase(parsing: spread).seed.bytes == (try hex(entropy)))
    }

    @Test(arguments: [0, 1, 12, 23, 25])
    func otherNumberOfWordsIsRefused(count: Int) {
        let text = [String](repeating: "abandon", count: count).joined(separator: " ")
        #expect(throws: PhraseError.wrongWordCount(count)) { try RecoveryPhrase(parsing: text) }
    }

    @Test func unknownWordIsNamedWithItsPlace() {
        var words = [String](repeating: "abandon", count: 24)
        words[2] = "hamsters"
        #expect(
            throws: PhraseError.unknownWord("hamsters", position: 3, suggestion: "hamster")
        ) { try RecoveryPhrase(parsing: words.joined(separator: " ")) }
        words[2] = "größe"
        #expect(throws: PhraseError.unknownWord("größe", position: 3, suggestion: nil)) {
            try RecoveryPhrase(parsing: words.joined(separator: " "))
        }
        let error = PhraseError.unknownWord("hamsters", position: 3, suggestion: "hamster")
        #expect(
            error.description == "word 3, 'hamsters', is not in the list; did you mean 'hamster'?"
        )
    }

    @Test func wordsThatDoNotBelongTogetherAreRefused() {
        let words = vectors[4].1.split(separator: " ").map(String.init)
        var swapped = words
        swapped.swapAt(0, 1)
        #expect(throws: PhraseError.wrongChecksum) {
            try RecoveryPhrase(parsing: swapped.joined(separator: " "))
        }
        let all = [String](repeating: "abandon", count: 24).joined(separator: " ")
        #expect(throws: PhraseError.wrongChecksum) { try RecoveryPhrase(parsing: all) }
    }
}
