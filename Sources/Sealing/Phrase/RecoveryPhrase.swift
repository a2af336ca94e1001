import Primitives

/// A root seed as 24 English words (BIP-39), to be written on paper.
///
/// The words carry the seed's 256 bits and the first 8 bits of its SHA-256, 11 bits a word, most
/// significant first. The seed is BIP-39's entropy itself; its PBKDF2 step is not used.
package struct RecoveryPhrase: Hashable, Secret {
    /// Words of a phrase.
    package static let wordCount = 24

    package let seed: RootSeed

    package init(seed: RootSeed) { self.seed = seed }

    /// Parses 24 words, in any case, with any white space between them.
    package init(parsing text: String) throws(PhraseError) {
        let words = text.split(whereSeparator: \.isWhitespace).map { $0.lowercased() }
        guard words.count == Self.wordCount else { throw .wrongWordCount(words.count) }
        var bytes = try WordCode.bytes(of: words)
        defer { SecretBytes.wipe(&bytes) }
        let seed = RootSeed(trusted: Array(bytes.dropLast()))
        guard bytes.last == Self.checksum(of: seed) else { throw .wrongChecksum }
        self.seed = seed
    }

    /// The 24 words.
    package var words: [String] {
        var bytes = seed.bytes + [Self.checksum(of: seed)]
        defer { SecretBytes.wipe(&bytes) }
        return WordCode.words(of: bytes)
    }

    private static func checksum(of seed: RootSeed) -> UInt8 {
        SHA256.digest(seed.bytes).bytes[0]
    }
}
