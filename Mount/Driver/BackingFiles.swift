import Disk
import FUSE
import Primitives
import Synchronization

/// The backing files that the kernel has just now: one an inode, counted by its openings.
///
/// The kernel demands that all openings of an inode name the same one.
final class BackingFiles: Sendable {
    private struct Entry {
        let file: BackingFile
        var openings: Int
    }

    private let entries = Mutex<[InodeNumber: Entry]>([:])

    /// Counts an opening; `give` has the kernel take the file if it has none of the inode.
    func open(
        _ ino: InodeNumber,
        _ give: () throws(Session.Failure) -> BackingFile
    ) throws(Session.Failure) -> BackingFile {
        try entries.withLock { entries throws(Session.Failure) in
            if let known = entries[ino] {
                entries[ino]?.openings += 1
                return known.file
            }
            let file = try give()
            entries[ino] = Entry(file: file, openings: 1)
            return file
        }
    }

    /// Takes an opening back.
    ///
    /// - Returns: The file that nobody has open any more, for the kernel to give back.
    func close(_ ino: InodeNumber) -> BackingFile? {
        entries.withLock { entries in
            guard let entry = entries[ino] else { return nil }
            entries[ino] =
                entry.openings > 1
                ? Entry(file: entry.file, openings: entry.openings - 1) : nil
            return entry.openings > 1 ? nil : entry.file
        }
    }
}
