/// Why some text is not a recovery phrase.
package enum PhraseError: Error, Hashable, Sendable, CustomStringConvertible {
    case wrongWordCount(Int)
    /// `position` counts from 1; `suggestion` is the only word with the same four first letters.
    case unknownWord(String, position: Int, suggestion: String?)
    case wrongChecksum

    package var description: String {
        switch self {
        case .wrongWordCount(let count):
            "a recovery phrase has \(RecoveryPhrase.wordCount) words, these are \(count)"
        case .unknownWord(let word, let position, let suggestion?):
            "word \(position), '\(word)', is not in the list; did you mean '\(suggestion)'?"
        case .unknownWord(let word, let position, nil):
            "word \(position), '\(word)', is not in the list; check its spelling"
        case .wrongChecksum:
            "all words are known, but they do not belong together; check their order and spelling"
        }
    }
}
