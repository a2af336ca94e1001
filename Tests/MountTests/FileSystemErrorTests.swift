import Glibc
import Mount
import Primitives
import Testing

struct FileSystemErrorTests {
    /// Every code once, with what programs see.
    static let table: [(FileSystemError.Code, Int32)] = [
        (.notFound, ENOENT), (.stale, ESTALE), (.exists, EEXIST), (.notDirectory, ENOTDIR),
        (.isDirectory, EISDIR), (.directoryNotEmpty, ENOTEMPTY),
        (.nameTooLong, ENAMETOOLONG), (.noSpace, ENOSPC),
        (.invalid, EINVAL), (.fileTooLarge, EFBIG), (.noAttribute, ENODATA),
        (.tooManyLinks, EMLINK), (.notPermitted, EPERM), (.accessDenied, EACCES),
        (.notSupported, EOPNOTSUPP), (.busy, EBUSY),
        (.beyondEnd, ENXIO), (.wouldWait, EAGAIN), (.unavailable, EIO), (.corrupt, EIO),
        (.inputOutput, EIO), (.closed, EIO),
    ]

    @Test func everyCodeHasItsErrno() {
        #expect(Set(Self.table.map(\.0)) == Set(FileSystemError.Code.allCases))
        for (code, errno) in Self.table {
            #expect(code.verdict.errno == errno, "\(code)")
        }
    }

    @Test func whatProgramsHandleThemselvesIsNotLogged() {
        for code in FileSystemError.Code.allCases {
            let isTrouble = code.verdict.errno == EIO && code != .closed
            let isFull = code == .noSpace
            // Nobody outside ever sees this one, or else it is a bug to be told of.
            let isOurBug = code == .wouldWait
            #expect((code.verdict.level != nil) == (isTrouble || isFull || isOurBug), "\(code)")
        }
    }
}
