package import Primitives

/// The volume as it is mounted, for a drill to compare with what came back.
package protocol LiveTree: Sendable {
    /// What is at a path below the root now; `nil` if no regular file is.
    func file(at path: [EntryName]) -> (any LiveFile)?
}

/// A file of the mounted volume.
package protocol LiveFile {
    /// As it is at this moment; `nil` if it cannot be told.
    var state: LiveFileState? { get }

    /// Bytes from `offset` on, fewer than `count` only at the end; `nil` if they cannot be read.
    func read(at offset: UInt64, count: Int) -> [UInt8]?
}

/// By what a file that was not changed is known.
package struct LiveFileState: Hashable, Sendable {
    package let size: UInt64
    package let modified: Timestamp

    package init(size: UInt64, modified: Timestamp) {
        self.size = size
        self.modified = modified
    }
}
