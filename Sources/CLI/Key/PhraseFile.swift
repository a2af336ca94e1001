import Control
import Disk
import Sealing

/// Recovery phrases in files.
enum PhraseFile {
    /// The longest file that is looked at.
    private static let bytesMax = 4096

    /// The phrase in the file of an option, - for the standard input, or `nil` if the option is not
    /// given.
    static func read(_ path: String?) throws -> RecoveryPhrase? {
        guard let path else { return nil }
        var bytes = try WholeFile.read(path == "-" ? "/dev/stdin" : path, limit: bytesMax)
        defer { SecretBytes.wipe(&bytes) }
        do throws(PhraseError) {
            return try RecoveryPhrase(parsing: String(decoding: bytes, as: UTF8.self))
        } catch {
            throw ControlFailure(.wrongSecret, "\(path): \(error)")
        }
    }

    /// Writes it to a new file that nobody else can read.
    static func write(_ phrase: RecoveryPhrase, to path: String) throws {
        let text = phrase.words.joined(separator: " ") + "\n"
        try WholeFile.create(path, with: Array(text.utf8), permissions: 0o600)
    }
}
