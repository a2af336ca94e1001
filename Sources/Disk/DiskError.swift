import Glibc
package import Primitives

/// A system call that failed: what was tried, on what, and the kernel's reason.
///
/// The description is one line, such as `cannot open /srv/a/volume.json: Permission denied`.
package struct DiskError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was tried, as a verb: `open`, `sync`, `punch a hole in`.
    package let operation: String
    package let path: String
    /// The kernel's error number, as in `man 3 errno`.
    package let errno: Int32

    package init(_ operation: String, _ path: String, errno: Int32) {
        self.operation = operation
        self.path = path
        self.errno = errno
    }

    package var description: String { "cannot \(operation) \(path): \(reason)" }

    /// The kernel's words for the error number.
    package var reason: String { Self.reason(of: errno) }

    /// The disk, or the user's share of it, is full.
    package var isNoSpace: Bool { errno == ENOSPC || errno == EDQUOT }

    /// Nothing is there by that name.
    package var isNotFound: Bool { errno == ENOENT }

    /// Something is there by that name already.
    package var isExists: Bool { errno == EEXIST }

    /// The kernel's words for an error number, thread-safely.
    package static func reason(of errno: Int32) -> String {
        // 256 bytes: the longest message of glibc has 50.
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let start = buffer.baseAddress else { return "error \(errno)" }
            start.initialize(repeating: 0, count: buffer.count)
            guard strerror_r(errno, start, buffer.count) == 0 else { return "error \(errno)" }
            return String(cString: start)
        }
    }
}

extension FileSystemError {
    /// The failure as programs on the volume see it: a full disk stays that, all else is an
    /// input/output error, because a missing cache file is not a missing file of the volume.
    package init(_ error: DiskError) {
        let code: Code =
            if error.isNoSpace {
                .noSpace
            } else if error.errno == EFBIG {
                .fileTooLarge
            } else {
                .inputOutput
            }
        self.init(code, error.description)
    }
}

/// Calls `body` until it is no longer interrupted (EINTR), and throws what else stops it.
@discardableResult
func systemCall<Result: SignedInteger>(
    _ operation: String,
    _ path: String,
    _ body: () -> Result
) throws(DiskError) -> Result {
    while true {
        let result = body()
        if result != -1 { return result }
        let code = errno
        if code != EINTR { throw DiskError(operation, path, errno: code) }
    }
}

/// A file offset as the kernel takes it; EOVERFLOW above 2^63 - 1.
func kernelOffset(
    _ offset: UInt64,
    _ operation: String,
    _ path: String
) throws(DiskError) -> Int {
    guard let value = Int(exactly: offset) else {
        throw DiskError(operation, path, errno: EOVERFLOW)
    }
    return value
}
