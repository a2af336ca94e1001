import Disk
import Glibc
import Home
import Logging
import Primitives
import Volume

/// Copies what this machine has in no head to plain files, before the volume is replaced by what
/// another machine made of it.
struct ConflictFolder {
    /// Bytes copied at a time.
    private static let chunkBytes = 1 << 20
    /// Folders of one second.
    private static let foldersMax = 1000

    let directory: VolumeDirectory
    let engine: VolumeEngine

    /// Makes a folder of it, durably.
    ///
    /// - Returns: Its path, `nil` if there was nothing to copy.
    /// - Throws: what keeps a file from being read or written; then nothing is to be replaced.
    func fill() throws(FileSystemError) -> String? {
        let draft = directory.conflictsDirectory + "/.draft"
        // Left by a crash.
        try disk { () throws(DiskError) in try Directory.remove(tree: draft) }
        var root: Descriptor?
        try engine.forEachUnpublished { entry throws(FileSystemError) in
            let folder: Descriptor
            if let root {
                folder = root
            } else {
                folder = try begin(draft)
                root = folder
            }
            try copy(entry, into: folder)
        }
        guard let root else { return nil }
        return try disk { () throws(DiskError) in
            try root.syncFilesystem()
            return try name(draft)
        }
    }

    private func begin(_ draft: String) throws(FileSystemError) -> Descriptor {
        try disk { () throws(DiskError) in
            if !Directory.isDirectory(directory.conflictsDirectory) {
                try Directory.make(directory.conflictsDirectory)
            }
            try Directory.make(draft)
            return try Descriptor(opening: draft, .readOnly, .directory)
        }
    }

    /// Gives the folder its lasting name.
    private func name(_ draft: String) throws(DiskError) -> String {
        let time = "\(directory.conflictsDirectory)/\(Clock.now().text)"
        for number in 1..<Self.foldersMax {
            let path = number == 1 ? time : "\(time)-\(number)"
            guard !WholeFile.exists(path) else { continue }
            try Directory.rename(draft, to: path)
            return path
        }
        throw DiskError("rename", draft, errno: EEXIST)
    }

    // MARK: Entries

    private func copy(
        _ entry: UnpublishedEntry,
        into root: Descriptor
    ) throws(FileSystemError) {
        guard let name = entry.path.last else { return }
        var folder = root
        // From one directory to the next: a path may be longer than the kernel takes.
        for name in entry.path.dropLast() { folder = try self.folder(name, in: folder) }
        switch entry.attributes.kind {
        case .directory: _ = try self.folder(name, in: folder)
        case .symbolicLink:
            let target = try engine.readLink(entry.attributes.ino)
            try check("symlink", name) {
                symlinkat(Self.cString(target), folder.fd, Self.cString(name))
            }
        case .regular: try copyFile(entry.attributes, name, in: folder)
        default: break
        }
    }

    private func folder(
        _ name: EntryName,
        in folder: Descriptor
    ) throws(FileSystemError) -> Descriptor {
        let made = mkdirat(folder.fd, Self.cString(name), 0o700)
        guard made == 0 || errno == EEXIST else { throw Self.failure("mkdir", name) }
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        let fd = try check("open", name) { openat(folder.fd, Self.cString(name), flags) }
        return Descriptor(adopting: fd, path: "\(name)")
    }

    private func copyFile(
        _ attributes: Attributes,
        _ name: EntryName,
        in folder: Descriptor
    ) throws(FileSystemError) {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        let fd = try check("create", name) { openat(folder.fd, Self.cString(name), flags, 0o600) }
        let copy = Descriptor(adopting: fd, path: "\(name)")
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Self.chunkBytes,
            alignment: 4096
        )
        defer { buffer.deallocate() }
        var offset: UInt64 = 0
        while offset < attributes.size {
            let count = try engine.read(
                attributes.ino,
                offset: offset,
                into: buffer,
                wait: .allowed
            )
            guard count > 0 else { break }
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            // Holes stay holes.
            if bytes.contains(where: { $0 != 0 }) {
                try disk { () throws(DiskError) in try copy.write(at: offset, from: bytes) }
            }
            offset += UInt64(count)
        }
        try check("truncate", name) { ftruncate(copy.fd, off_t(clamping: attributes.size)) }
        try check("chmod", name) { fchmod(copy.fd, mode_t(attributes.mode & 0o777)) }
    }

    // MARK: System calls

    private static func cString(_ name: EntryName) -> [CChar] { cString(name.bytes) }

    private static func cString(_ bytes: [UInt8]) -> [CChar] {
        bytes.map(CChar.init(bitPattern:)) + [0]
    }

    private static func failure(_ operation: String, _ name: EntryName) -> FileSystemError {
        FileSystemError(DiskError(operation, "conflicts/…/\(name)", errno: errno))
    }

    @discardableResult
    private func check(
        _ operation: String,
        _ name: EntryName,
        _ body: () -> Int32
    ) throws(FileSystemError) -> Int32 {
        let result = body()
        guard result >= 0 else { throw Self.failure(operation, name) }
        return result
    }

    private func disk<T>(_ body: () throws(DiskError) -> T) throws(FileSystemError) -> T {
        do throws(DiskError) {
            return try body()
        } catch {
            throw FileSystemError(error)
        }
    }
}
