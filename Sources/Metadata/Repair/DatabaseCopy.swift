import Disk
import Primitives

/// Copies of a database that nobody has open, with its log.
enum DatabaseCopy {
    /// Bytes copied at once.
    private static let partBytes = 1 << 20
    /// What belongs to a database besides the file itself.
    private static let log = "-wal"

    /// Makes `target` a copy of the database at `path`, durably, in the place of an earlier one.
    ///
    /// The log first: a copy is one only when its database is there.
    static func make(of path: String, at target: String) throws(FileSystemError) {
        remove(target)
        try onDisk { () throws(DiskError) in
            for suffix in [log, ""] where WholeFile.exists(path + suffix) {
                let temporary = target + suffix + ".new"
                try WholeFile.remove(temporary)
                try copy(path + suffix, to: temporary)
                try Directory.replace(target + suffix, with: temporary)
            }
            try Directory.sync(Directory.parent(of: target))
        }
    }

    /// Removes a copy, if there is one.
    static func remove(_ path: String) {
        for suffix in ["", log, "-shm", ".new", log + ".new"] {
            try? WholeFile.remove(path + suffix)
        }
    }

    private static func copy(_ path: String, to target: String) throws(DiskError) {
        let source = try Descriptor(opening: path)
        // Names are nobody else's business.
        let copy = try Descriptor(
            opening: target,
            .readWrite,
            [.create, .exclusive],
            permissions: 0o600
        )
        var offset: UInt64 = 0
        while true {
            let part = try source.read(at: offset, count: partBytes)
            guard !part.isEmpty else { break }
            try copy.write(at: offset, part)
            offset += UInt64(part.count)
        }
        try copy.sync()
    }
}
