import Disk
import Metadata
import Primitives
import Synchronization

/// Files that the kernel may be writing to just now, for everyone who tells sizes and times.
final class WrittenFiles: Sendable {
    private struct Known {
        let file: Descriptor
        /// The cache file as the metadata knows it.
        var stamp: FileStamp
    }

    private let files = Mutex<[InodeNumber: Known]>([:])
    /// Spares the lock where nothing passes through.
    private let count = Atomic(0)

    func insert(_ ino: InodeNumber, _ file: Descriptor, _ stamp: FileStamp) {
        files.withLock { files in
            files[ino] = Known(file: file, stamp: stamp)
            count.store(files.count, ordering: .releasing)
        }
    }

    func remove(_ ino: InodeNumber) {
        files.withLock { files in
            files[ino] = nil
            count.store(files.count, ordering: .releasing)
        }
    }

    /// The cache file as the metadata knows it; `nil` if nobody writes to it.
    func known(_ ino: InodeNumber) -> FileStamp? { files.withLock { $0[ino]?.stamp } }

    func contains(_ ino: InodeNumber) -> Bool {
        guard !isEmpty else { return false }
        return files.withLock { $0[ino] != nil }
    }

    var isEmpty: Bool { count.load(ordering: .acquiring) == 0 }

    var inodes: [InodeNumber] {
        files.withLock { $0.keys.sorted { $0.rawValue < $1.rawValue } }
    }

    /// The attributes with the size and times that the cache file has by now.
    func current(_ attributes: Attributes) -> Attributes {
        guard !isEmpty, attributes.kind == .regular else { return attributes }
        let known = files.withLock { $0[attributes.ino] }
        guard let known, let now = try? known.file.stamp() else { return attributes }
        var current = attributes
        current.size = now.size
        current.blocks512 = now.allocatedBytes / 512
        if now.differs(from: known.stamp) {
            current.modified = now.modified
            current.changed = max(current.changed, now.modified)
            current.mode = Self.written(current.mode)
        }
        return current
    }

    /// The mode after a write that nobody checked: without the bits that a stranger's write takes
    /// away (`man 2 write`; set-group-id without group execution means something else).
    private static func written(_ mode: UInt16) -> UInt16 {
        mode & ~(mode & 0o0010 != 0 ? 0o6000 : 0o4000)
    }

    /// Has the metadata learn size and times, if they are news.
    func record(_ ino: InodeNumber, in metadata: MetadataStore) throws(FileSystemError) {
        guard !isEmpty, let known = files.withLock({ $0[ino] }) else { return }
        let now = try onDisk { () throws(DiskError) in try known.file.stamp() }
        guard now.differs(from: known.stamp) else { return }
        set(ino, now)
        do throws(FileSystemError) {
            let before = try metadata.recordWrite(
                ino,
                growingTo: now.size,
                now: now.modified
            )
            let mode = Self.written(before.mode)
            if mode != before.mode {
                var change = AttributeChange()
                change.mode = mode
                _ = try metadata.setAttributes(change, of: ino, now: now.modified)
            }
        } catch {
            set(ino, known.stamp)
            throw error
        }
    }

    /// Takes the cache file as it is now for what the metadata knows: it was changed by a request.
    func accept(_ ino: InodeNumber) throws(FileSystemError) {
        guard !isEmpty, let known = files.withLock({ $0[ino] }) else { return }
        set(ino, try onDisk { () throws(DiskError) in try known.file.stamp() })
    }

    private func set(_ ino: InodeNumber, _ stamp: FileStamp) {
        files.withLock { $0[ino]?.stamp = stamp }
    }
}
