import Glibc
package import Logging
package import Primitives

/// What a failed operation means outside: the number programs get, and how loudly it is logged.
package struct Verdict: Hashable, Sendable {
    /// As in `man 3 errno`.
    package let errno: Int32
    /// `nil` for what programs expect to happen and handle themselves.
    package let level: Logger.Level?

    package init(errno: Int32, level: Logger.Level? = nil) {
        self.errno = errno
        self.level = level
    }
}

extension FileSystemError.Code {
    /// The one place where errors of the engine become errno.
    package var verdict: Verdict {
        switch self {
        case .notFound: Verdict(errno: ENOENT)
        case .stale: Verdict(errno: ESTALE)
        case .exists: Verdict(errno: EEXIST)
        case .notDirectory: Verdict(errno: ENOTDIR)
        case .isDirectory: Verdict(errno: EISDIR)
        case .directoryNotEmpty: Verdict(errno: ENOTEMPTY)
        case .nameTooLong: Verdict(errno: ENAMETOOLONG)
        case .noSpace: Verdict(errno: ENOSPC, level: .warning)
        case .invalid: Verdict(errno: EINVAL)
        case .fileTooLarge: Verdict(errno: EFBIG)
        case .noAttribute: Verdict(errno: ENODATA)
        case .tooManyLinks: Verdict(errno: EMLINK)
        case .notPermitted: Verdict(errno: EPERM)
        case .accessDenied: Verdict(errno: EACCES)
        case .notSupported: Verdict(errno: EOPNOTSUPP)
        case .beyondEnd: Verdict(errno: ENXIO)
        // Only ever seen inside; should it get out, the program may try again.
        case .wouldWait: Verdict(errno: EAGAIN, level: .error)
        case .busy: Verdict(errno: EBUSY)
        case .unavailable: Verdict(errno: EIO, level: .error)
        case .corrupt: Verdict(errno: EIO, level: .critical)
        case .inputOutput: Verdict(errno: EIO, level: .error)
        case .closed: Verdict(errno: EIO)
        }
    }
}

extension FileSystemError {
    /// Why bytes from the kernel are not a name.
    init(_ problem: EntryName.Problem) {
        switch problem {
        case .tooLong: self.init(.nameTooLong, "a name has at most 255 bytes")
        case .empty: self.init(.notFound, "a name has at least one byte")
        case .reserved, .forbiddenByte: self.init(.invalid, "not a name")
        }
    }
}
