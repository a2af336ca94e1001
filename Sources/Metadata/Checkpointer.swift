import Primitives
import SQLite
import Synchronization

/// The connection that moves the write-ahead log into the database. Its own, so that it can sync
/// both while the writing connection goes on.
final class Checkpointer: Sendable {
    private let database: Mutex<Database>

    init(_ path: String) throws(FileSystemError) {
        let database = try converting { () throws(SQLiteError) in
            let database = try Database(path: path, access: .readWrite)
            // NORMAL is enough: it syncs the log before and the database after the copying.
            try database.useWriteAheadLog(synchronous: .normal, checkpointPages: 0)
            return database
        }
        self.database = Mutex(database)
    }

    /// Moves what no reader or writer stands in the way of, waiting for none.
    ///
    /// - Returns: Pages in the log, and pages of it moved.
    func run() throws(FileSystemError) -> (frames: Int, moved: Int) {
        do throws(SQLiteError) {
            return try database.withLock { database throws(SQLiteError) in
                let (frames, moved) = try database.checkpoint(.passive)
                return (frames, moved)
            }
        } catch {
            throw FileSystemError(error)
        }
    }
}
