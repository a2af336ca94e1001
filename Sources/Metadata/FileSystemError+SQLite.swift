import Disk
import Primitives
import SQLite

extension FileSystemError {
    /// What a failure of the database means for who asked.
    init(_ error: SQLiteError) {
        let code: Code =
            if error.isFull {
                .noSpace
            } else if error.isCorrupt {
                .corrupt
            } else {
                .inputOutput
            }
        let advice =
            error.isCorrupt
            ? "; the file is damaged: unmount, and 'mefs fsck' repairs it" : ""
        self.init(code, "metadata database: \(error)\(advice)")
    }
}

/// Runs `body`, its SQLite errors turned into those of the file system.
func converting<T>(
    _ body: () throws(SQLiteError) -> T
) throws(FileSystemError) -> T {
    do {
        return try body()
    } catch {
        throw FileSystemError(error)
    }
}

/// Runs `body`, its failures of the disk turned into those of the file system.
func onDisk<T>(_ body: () throws(DiskError) -> T) throws(FileSystemError) -> T {
    do {
        return try body()
    } catch {
        throw FileSystemError(error)
    }
}
