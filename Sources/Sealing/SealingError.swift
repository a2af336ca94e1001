/// Why something could not be sealed, opened, signed or derived.
package enum SealingError: Error, Hashable, Sendable, CustomStringConvertible {
    /// `what` has not the length that its format gives it.
    case wrongLength(of: String, expected: Int, actual: Int)
    /// `what` is of a version or codec that this program does not know.
    case unknownFormat(of: String, value: UInt8)
    /// `what` was changed, or was sealed under another key or for another place.
    case corrupt(String)
    /// The library refused, for want of memory or of an algorithm.
    case libraryFailed(String)
    /// `what` was destroyed by its owner: there are no bytes of it.
    case destroyed(String)
    /// There is not the memory that the operation needs.
    case outOfMemory(String)

    package var description: String {
        switch self {
        case .wrongLength(let what, let expected, let actual):
            "\(what) has \(actual) bytes and should have \(expected)"
        case .unknownFormat(let what, let value):
            "\(what) is of format \(value), which this program does not know; update it"
        case .corrupt(let what):
            "\(what) is corrupt, or belongs to another key"
        case .libraryFailed(let operation):
            "\(operation) failed in libcrypto; check that memory is left and OpenSSL 3 installed"
        case .destroyed(let what):
            "\(what) was destroyed by its owner; nothing opens it any more"
        case .outOfMemory(let operation):
            "\(operation) needs more memory than this machine gives"
        }
    }
}
