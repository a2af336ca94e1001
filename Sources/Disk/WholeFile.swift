import Glibc

/// Files small enough to be read and replaced whole: settings, keys, state.
package enum WholeFile {
    /// Reads all of `path`.
    ///
    /// - Throws: EFBIG if it holds more than `limit` bytes, before they are read.
    package static func read(_ path: String, limit: Int = 16 << 20) throws(DiskError) -> [UInt8] {
        let file = try Descriptor(opening: path)
        let size = try file.size()
        guard size <= UInt64(limit) else { throw DiskError("read", path, errno: EFBIG) }
        var bytes: [UInt8] = []
        // A file of /proc tells no size: it is read in parts until nothing more comes.
        var wanted = size == 0 ? min(firstPart, limit + 1) : Int(size) + 1
        while true {
            let part = try file.read(at: UInt64(bytes.count), count: wanted)
            bytes += part
            guard bytes.count <= limit else { throw DiskError("read", path, errno: EFBIG) }
            // `read` gives less only at the end.
            if part.count < wanted { return bytes }
            wanted = min(bytes.count, limit - bytes.count + 1)
        }
    }

    /// Bytes asked for first of a file that tells no size.
    private static let firstPart = 16 << 10

    /// Makes `path` hold exactly `bytes`, durably, so that a crash at any instant leaves the old
    /// contents or the new, whole.
    ///
    /// Written beside it, synced, renamed over it, and the directory synced. Two writers of one
    /// path at the same time must exclude each other.
    package static func replace(
        _ path: String,
        with bytes: [UInt8],
        permissions: UInt32 = 0o644
    ) throws(DiskError) {
        let temporary = path + ".new"
        do {
            try write(bytes, to: temporary, permissions)
            try Directory.replace(path, with: temporary)
        } catch {
            try? remove(temporary)
            throw error
        }
        try Directory.sync(Directory.parent(of: path))
    }

    private static func write(
        _ bytes: [UInt8],
        to path: String,
        _ permissions: UInt32
    ) throws(DiskError) {
        // Left by a crash, perhaps with other permissions: those of an existing file would stay.
        try? remove(path)
        let file = try Descriptor(
            opening: path,
            .writeOnly,
            [.create, .exclusive],
            permissions: permissions
        )
        try file.write(at: 0, bytes)
        try file.sync()
    }

    /// Makes `path` with `bytes`, durably.
    ///
    /// - Throws: EEXIST if something is there; the file at `path` is whole or absent.
    package static func create(
        _ path: String,
        with bytes: [UInt8],
        permissions: UInt32 = 0o644
    ) throws(DiskError) {
        let temporary = path + ".new"
        do {
            try write(bytes, to: temporary, permissions)
            // link(2) fails where something is, as rename(2) does not.
            try link(temporary, path)
        } catch {
            try? remove(temporary)
            throw error
        }
        try? remove(temporary)
        try Directory.sync(Directory.parent(of: path))
    }

    private static func link(_ path: String, _ newPath: String) throws(DiskError) {
        if let kernel = Simulation.current { return try kernel.files.link(path, newPath) }
        try systemCall("create", newPath) { Glibc.link(path, newPath) }
    }

    /// Removes `path` if it is there; not durable before its directory is synced.
    package static func remove(_ path: String) throws(DiskError) {
        do {
            if let kernel = Simulation.current { return try kernel.files.unlink(path) }
            try systemCall("remove", path) { unlink(path) }
        } catch {
            if !error.isNotFound { throw error }
        }
    }

    /// Whether anything is there, symbolic links followed.
    package static func exists(_ path: String) -> Bool {
        if let kernel = Simulation.current { return kernel.files.exists(path) }
        return access(path, F_OK) == 0
    }
}
