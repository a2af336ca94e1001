/// Bytes as words of the list: 11 bits a word, most significant first.
///
/// Only for numbers of bytes whose bits are whole words: 11 bytes are 8 words.
enum WordCode {
    static func words(of bytes: [UInt8]) -> [String] {
        precondition((bytes.count * 8).isMultiple(of: WordList.bitsPerWord))
        var words: [String] = []
        var pending = 0
        var pendingBits = 0
        for byte in bytes {
            pending = pending << 8 | Int(byte)
            pendingBits += 8
            if pendingBits >= WordList.bitsPerWord {
                pendingBits -= WordList.bitsPerWord
                words.append(WordList.words[pending >> pendingBits])
                pending &= 1 << pendingBits - 1
            }
        }
        return words
    }

    /// - Throws: `unknownWord`.
    static func bytes(of words: [String]) throws(PhraseError) -> [UInt8] {
        var bytes: [UInt8] = []
        var pending = 0
        var pendingBits = 0
        for (position, word) in words.enumerated() {
            guard let index = WordList.index(of: word) else {
                throw .unknownWord(
                    word,
                    position: position + 1,
                    suggestion: WordList.suggestion(for: word)
                )
            }
            pending = pending << WordList.bitsPerWord | index
            pendingBits += WordList.bitsPerWord
            while pendingBits >= 8 {
                pendingBits -= 8
                bytes.append(UInt8(truncatingIfNeeded: pending >> pendingBits))
                pending &= 1 << pendingBits - 1
            }
        }
        return bytes
    }
}
