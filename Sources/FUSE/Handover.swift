import CFuse
import Glibc
import Synchronization

/// A request on its way to another thread.
///
/// A `~Copyable` request cannot be captured by an escaping closure; this box can. One that is
/// dropped before its request was taken answers EIO.
package final class Handover: Sendable {
    /// A `fuse_req_t`; libfuse lets any thread reply to a request.
    private struct Raw: @unchecked Sendable {
        // SAFETY: a request is plain memory of libfuse that nobody else touches until the one
        // reply, and `take` gives it out once.
        let pointer: OpaquePointer
    }

    private let raw: Mutex<Raw?>

    init(_ pointer: OpaquePointer) { raw = Mutex(Raw(pointer: pointer)) }

    deinit {
        guard let left = takeRaw() else { return }
        fuse_reply_err(left.pointer, EIO)
    }

    /// The request; to be taken once only.
    package func take() -> Request {
        guard let taken = takeRaw() else { preconditionFailure("a request is taken only once") }
        return Request(taken.pointer)
    }

    private func takeRaw() -> Raw? {
        raw.withLock { raw in
            defer { raw = nil }
            return raw
        }
    }
}
