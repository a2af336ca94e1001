import CLinux
import Glibc

/// Directories of the local disk.
package enum Directory {
    /// Makes `path` and the missing directories above it; one that is there stays as it is.
    ///
    /// Durable, if `durably`: each new directory's parent is synced.
    package static func make(
        _ path: String,
        permissions: UInt32 = 0o700,
        durably: Bool = true
    ) throws(DiskError) {
        if isDirectory(path) { return }
        let parent = parent(of: path)
        if parent != path { try make(parent, permissions: permissions, durably: durably) }
        do {
            if let kernel = Simulation.current {
                try kernel.files.makeDirectory(path)
            } else {
                try systemCall("make directory", path) { mkdir(path, permissions) }
            }
        } catch {
            // Another thread or process made it meanwhile.
            guard error.isExists, isDirectory(path) else { throw error }
        }
        if durably { try sync(parent) }
    }

    /// Has directories that will be made in `path` lie far from each other on the disk, where the
    /// filesystem can do so.
    ///
    /// ext4 (attribute T of `chattr(1)`) then looks for free inodes in as many places: else each
    /// new file passes over all inodes freed in the last minutes, for up to half a millisecond.
    package static func spreadDirectories(in path: String) throws(DiskError) {
        guard Simulation.current == nil else { return }
        let directory = try Descriptor(opening: path, .readOnly, .directory)
        // Others refuse; nothing is lost.
        _ = clinux_spread_directories(directory.fd)
    }

    package static func isDirectory(_ path: String) -> Bool {
        if let kernel = Simulation.current { return kernel.files.isDirectory(path) }
        var result = stat()
        return stat(path, &result) == 0 && result.st_mode & S_IFMT == S_IFDIR
    }

    /// Names in the directory, sorted, without "." and ".."; names that are not UTF-8 are left
    /// out, since we make none.
    package static func list(_ path: String) throws(DiskError) -> [String] {
        if let kernel = Simulation.current { return try kernel.files.list(path) }
        guard let stream = opendir(path) else { throw DiskError("list", path, errno: errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                let code = errno
                if code != 0 { throw DiskError("list", path, errno: code) }
                return names.sorted()
            }
            if let name = name(of: entry), name != ".", name != ".." { names.append(name) }
        }
    }

    private static func name(of entry: UnsafeMutablePointer<dirent>) -> String? {
        withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
            String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    /// Makes what was created, renamed or removed in the directory durable: `man 2 fsync`.
    package static func sync(_ path: String) throws(DiskError) {
        try Descriptor(opening: path, .readOnly, .directory).sync()
    }

    /// Removes `path` and everything below it, never following a symbolic link.
    ///
    /// Nothing happens if it is missing. Not durable before the parent is synced.
    package static func remove(tree path: String) throws(DiskError) {
        do {
            try removeEntry(path)
        } catch {
            if !error.isNotFound { throw error }
        }
    }

    private static func removeEntry(_ path: String) throws(DiskError) {
        let kernel = Simulation.current
        guard try isDirectoryItself(path, kernel) else {
            if let kernel { return try kernel.files.unlink(path) }
            try systemCall("remove", path) { unlink(path) }
            return
        }
        for name in try list(path) { try removeEntry(path + "/" + name) }
        if let kernel { return try kernel.files.removeDirectory(path) }
        try systemCall("remove directory", path) { rmdir(path) }
    }

    /// Whether a directory is there and not a symbolic link to one.
    private static func isDirectoryItself(
        _ path: String,
        _ kernel: (any SimulatedKernel)?
    ) throws(DiskError) -> Bool {
        if let kernel { return kernel.files.isDirectory(path) }
        var result = stat()
        try systemCall("remove", path) { lstat(path, &result) }
        return result.st_mode & S_IFMT == S_IFDIR
    }

    /// Gives the file or directory at `path` the name `newPath`, durably if both are in one
    /// directory.
    ///
    /// - Throws: EEXIST if something is at `newPath`; nothing is replaced.
    package static func rename(_ path: String, to newPath: String) throws(DiskError) {
        if let kernel = Simulation.current {
            try kernel.files.rename(path, newPath, replaces: false)
        } else {
            try systemCall("rename", path) { clinux_rename_no_replace(path, newPath) }
        }
        try sync(parent(of: newPath))
    }

    /// Gives the file at `source` the name `path` in one step, in place of what is there; not
    /// durable before the directory is synced.
    package static func replace(_ path: String, with source: String) throws(DiskError) {
        if let kernel = Simulation.current {
            return try kernel.files.rename(source, path, replaces: true)
        }
        try systemCall("replace", path) { Glibc.rename(source, path) }
    }

    /// The directory that holds `path`'s last part: "/a" of "/a/b", "." of "b".
    package static func parent(of path: String) -> String {
        var bytes = path.utf8[...]
        while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        var parent = bytes[..<slash]
        while parent.last == UInt8(ascii: "/") { parent.removeLast() }
        return parent.isEmpty ? "/" : String(Substring(parent))
    }

    /// The absolute path without symbolic links; the last part must exist.
    package static func resolve(_ path: String) throws(DiskError) -> String {
        if let kernel = Simulation.current { return try kernel.files.resolve(path) }
        guard let resolved = realpath(path, nil) else {
            throw DiskError("resolve", path, errno: errno)
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
