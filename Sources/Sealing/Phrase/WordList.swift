/// BIP-39's 2048 English words, in alphabetical order; no two share their first four letters.
enum WordList {
    /// Bits one word stands for.
    static let bitsPerWord = 11

    static let words: [String] = PackageResources.english_txt
        .split(separator: UInt8(ascii: "\n"))
        .map { String(decoding: $0, as: UTF8.self) }

    private static let indices = Dictionary(
        words.enumerated().map { ($1, $0) },
        uniquingKeysWith: { first, _ in first }
    )

    static func index(of word: String) -> Int? { indices[word] }

    /// The word that a misspelt one was meant to be, going by its first four letters.
    static func suggestion(for word: String) -> String? {
        guard word.count >= 4 else { return nil }
        return words.first { $0.hasPrefix(word.prefix(4)) }
    }
}
