import Disk
import Primitives
import SQLite

/// Makes the database of an empty volume.
enum NewDatabase {
    /// Written under another name and renamed, so that a crash leaves nothing at `path`, or all.
    static func create(at path: String, root: InodeRow) throws(FileSystemError) {
        guard !WholeFile.exists(path) else {
            throw FileSystemError(.exists, "there is a metadata database at \(path) already")
        }
        let temporary = path + ".new"
        try onDisk { () throws(DiskError) in
            // Left by a crash.
            for suffix in ["", "-wal", "-shm", "-journal"] {
                try WholeFile.remove(temporary + suffix)
            }
            // Names are nobody else's business; SQLite gives the log the same permissions.
            _ = try Descriptor(
                opening: temporary,
                .readWrite,
                [.create, .exclusive],
                permissions: 0o600
            )
        }
        try converting { () throws(SQLiteError) in try write(root, to: temporary) }
        try onDisk { () throws(DiskError) in
            try Descriptor(opening: temporary, .readWrite).sync()
            try Directory.replace(path, with: temporary)
            try Directory.sync(Directory.parent(of: path))
        }
    }

    /// All in the one file: the log and its index go when the connection closes.
    private static func write(_ root: InodeRow, to path: String) throws(SQLiteError) {
        let database = try Database(path: path)
        try database.useWriteAheadLog(synchronous: .full, checkpointPages: 0)
        try database.execute("BEGIN IMMEDIATE")
        try database.executeScript(Schema.text)
        let inode = try database.prepare(InodeRow.insertion)
        try root.bind(to: inode)
        try inode.run()
        for (key, value) in [
            (MetaKey.nextInode, Value.integer(Int64(InodeNumber.root.rawValue + 1))),
            (MetaKey.clean, 1),
            (MetaKey.bootID, ""),
        ] {
            try database.execute("INSERT INTO meta(key, value) VALUES(?, ?)", .text(key), value)
        }
        try database.execute("PRAGMA application_id=\(Schema.applicationID)")
        try database.execute("PRAGMA user_version=\(Schema.version)")
        try database.execute("COMMIT")
        try database.checkpoint(.truncate)
    }
}
