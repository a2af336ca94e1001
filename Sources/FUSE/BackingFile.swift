/// A file that the kernel reads and writes by itself, as one session knows it.
package struct BackingFile: Hashable, Sendable {
    let number: Int32
}

/// How one opening of a file is served.
package enum Service: Hashable, Sendable {
    /// Reads and writes are requests; without `keepsPages` the kernel drops its cached pages, so
    /// that the next read arrives.
    case requests(keepsPages: Bool)
    /// The kernel reads, writes and maps the backing file.
    case passthrough(BackingFile)
    /// Reads and writes are requests that bypass the kernel's pages; for an opening with O_DIRECT
    /// of a file that others have open with passthrough.
    case directRequests(BackingFile)
}

/// What the release of an opening tells of it.
package struct OpenHandle: Hashable, Sendable {
    package let isForWriting: Bool
    /// Whether it has a backing file.
    package let passesThrough: Bool

    package init(isForWriting: Bool, passesThrough: Bool) {
        self.isForWriting = isForWriting
        self.passesThrough = passesThrough
    }

    init(_ number: UInt64) {
        isForWriting = number & 1 != 0
        passesThrough = number & 2 != 0
    }

    var number: UInt64 { (isForWriting ? 1 : 0) | (passesThrough ? 2 : 0) }
}
