import Control
import Disk
import Sealing

extension RecoveryPhrase {
    /// The longest file that is looked at for a phrase.
    private static let fileBytesMax = 4096

    /// Reads the phrase from a file; `-` is the standard input.
    init(readingFrom path: String) throws {
        let place = path == "-" ? "/dev/stdin" : path
        let bytes = try WholeFile.read(place, limit: Self.fileBytesMax)
        do throws(PhraseError) {
            self = try RecoveryPhrase(parsing: String(decoding: bytes, as: UTF8.self))
        } catch {
            throw ControlFailure(.wrongSecret, "\(path): \(error)")
        }
    }
}
