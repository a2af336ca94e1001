package import Primitives

/// What a file's own inode tells of its content.
package struct FileStamp: Hashable, Sendable {
    /// Bytes to the end of the file, holes included.
    package let size: UInt64
    /// When its bytes changed last, by the clock of the kernel.
    ///
    /// Changes a few milliseconds apart may share a time, and stores to a mapped page that was
    /// changed before leave it as it is.
    package let modified: Timestamp
    /// Bytes that it occupies on its disk.
    package let allocatedBytes: UInt64

    package init(size: UInt64, modified: Timestamp, allocatedBytes: UInt64) {
        self.size = size
        self.modified = modified
        self.allocatedBytes = allocatedBytes
    }
}
