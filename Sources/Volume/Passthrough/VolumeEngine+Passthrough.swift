package import Disk
package import Primitives
import Metadata

/// How a program opens a file, as far as it matters for letting the kernel read and write it.
package struct ContentOpening: Hashable, Sendable {
    package var isForWriting: Bool
    /// Whether it may read, and so map.
    package var isForReading: Bool
    /// Whether it goes around the page cache, at any offset.
    package var isDirect: Bool
    /// Whether each write is to last when it returns.
    package var isSynchronous: Bool
    /// Whether it has made the file.
    package var isNew: Bool
    /// Whether it has made the file for itself alone, for reading and writing: as `mkstemp(3)`
    /// does, whose files are short or gone soon.
    package var isTemporary: Bool
    /// Whether its reads are to be seen: the first one moves the access time.
    package var mustBeSeen: Bool

    package init(
        isForWriting: Bool,
        isForReading: Bool = true,
        isDirect: Bool = false,
        isSynchronous: Bool = false,
        isNew: Bool = false,
        isTemporary: Bool = false,
        mustBeSeen: Bool = false
    ) {
        self.isForWriting = isForWriting
        self.isForReading = isForReading
        self.isDirect = isDirect
        self.isSynchronous = isSynchronous
        self.isNew = isNew
        self.isTemporary = isTemporary
        self.mustBeSeen = mustBeSeen
    }
}

extension VolumeEngine {
    /// Counts an opening of a regular file, and tells which local file the kernel may read and
    /// write for it; `nil` if its reads and writes are to come here.
    ///
    /// Matched by `closeContent`. Only for an opening counted by `open` or `createUnnamed`.
    package func openContent(
        _ ino: InodeNumber,
        _ how: ContentOpening,
        wait: Wait
    ) throws(FileSystemError) -> Descriptor? {
        let file = try passthrough.open(try loaded(ino), how, wait: wait)
        if file != nil, how.isForWriting, how.isForReading, how.isNew { settler.noteMapped() }
        return file
    }

    /// Learns what the kernel wrote by itself so far.
    package func learnWritten() throws(FileSystemError) { try passthrough.harvestAll() }

    /// Takes such an opening back; `passed`: whether there was a file.
    ///
    /// - Returns: Whether the next opening will read a local file, so that nobody needs what the
    ///   kernel keeps of this one.
    @discardableResult
    package func closeContent(_ ino: InodeNumber, isForWriting: Bool, passed: Bool) -> Bool {
        let content = contents.content(of: ino)
        passthrough.close(content, isForWriting: isForWriting, passed: passed)
        if isForWriting, passed { uploader.noteDirty() }
        return !passed && passthrough.willPass(content)
    }

    /// Whether `closeContent` of an opening that may write takes long enough for a thread that may
    /// wait.
    package func closesSlowly(_ ino: InodeNumber) -> Bool { passthrough.takesLong(ino) }

    /// Whether size and times of the inode may change without a request.
    package func mayChangeUnseen(_ ino: InodeNumber) -> Bool {
        passthrough.written.contains(ino)
    }
}
