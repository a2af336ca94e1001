import Disk
import Primitives
import SQLite
import Synchronization

/// The connection that moves the write-ahead log into the database.
///
/// Its own, so that it can sync both while the writing connection goes on.
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
    /// - Returns: Whether that was all.
    func moveWhatIsFree() throws(FileSystemError) -> Bool {
        let isMoved = try converting { () throws(SQLiteError) in
            let (frames, moved) = try database.withLock { database throws(SQLiteError) in
                try database.checkpoint(.passive)
            }
            return frames == moved
        }
        DurableStep.note(.logMoved)
        return isMoved
    }

    /// Moves all, so that the next commit writes the log from its beginning.
    ///
    /// The caller keeps commits out; reads that began before are waited for, 5 s at most.
    func moveAll() throws(FileSystemError) {
        try converting { () throws(SQLiteError) in
            _ = try database.withLock { database throws(SQLiteError) in
                try database.checkpoint(.restart)
            }
        }
        DurableStep.note(.logMoved)
    }
}
