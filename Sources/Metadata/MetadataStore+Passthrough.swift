package import Primitives

/// A file to which the kernel writes without telling: its cache file knows more than the metadata.
package struct Passthrough: Hashable, Sendable {
    package let ino: InodeNumber
    /// Whether a sync made the whole cache file durable since it began.
    ///
    /// Then the cache file tells after a power cut what the file holds.
    package let isSynced: Bool
    /// When the cache file was modified last, as the file's own times know it; if it was modified
    /// since, that is the time of the file too.
    package let modified: Timestamp

    package init(ino: InodeNumber, isSynced: Bool, modified: Timestamp) {
        self.ino = ino
        self.isSynced = isSynced
        self.modified = modified
    }
}

/// Files whose size, times and blocks are to be learnt from their cache files after a crash.
extension MetadataStore {
    /// Notes that the kernel may write to the inode's cache file from now on, or what has become
    /// of that.
    ///
    /// Of a file that existed before the first note is committed before a program can write.
    package func notePassthrough(_ row: Passthrough) throws(FileSystemError) {
        try change { state throws(FileSystemError) in state.setPassthrough(row) }
    }

    /// Notes that the metadata knows all that was written.
    package func endPassthrough(of ino: InodeNumber) throws(FileSystemError) {
        try change(isFreeing: true) { state throws(FileSystemError) in
            state.removePassthrough(ino)
        }
    }

    /// The files that were being written when the store was last in use, or are now.
    package func passthroughs() throws(FileSystemError) -> [Passthrough] {
        try scan { reader throws(FileSystemError) in try reader.passthroughs() }
    }
}
