/// Why shares do not give a seed; `docs/formats.md` says what a share is.
package enum ShareError: Error, Hashable, Sendable, CustomStringConvertible {
    case wrongWordCount(Int)
    case word(PhraseError)
    case wrongChecksum
    case unknownVersion(UInt8)
    /// The checksum is right, and yet there is no such share.
    case impossible
    /// Shares of two splittings, or of two seeds.
    case mixed
    /// One share more than once.
    case repeated(Int)
    case tooFew(Int, needed: Int)
    /// More shares than needed were given, and one of them belongs to another seed.
    case contradictory

    package var description: String {
        switch self {
        case .wrongWordCount(let count):
            "a share has \(SeedShare.wordCount) words, these are \(count)"
        case .word(let error): "\(error)"
        case .wrongChecksum:
            "all words are known, but they do not belong together; check their order and spelling"
        case .unknownVersion(let version):
            "the share is of version \(version), which this program does not know; update it"
        case .impossible: "the words are no share that this program makes"
        case .mixed: "the shares are not of one set"
        case .repeated(let number): "share \(number) was given twice"
        case .tooFew(let count, let needed):
            "the seed takes \(needed) shares, and \(count) \(count == 1 ? "was" : "were") given"
        case .contradictory: "the shares contradict each other; one of them is not genuine"
        }
    }
}
