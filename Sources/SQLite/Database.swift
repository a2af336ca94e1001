import CSQLite
import Synchronization

/// One connection to a SQLite database.
///
/// Not `Sendable`, and opened without SQLite's own locks: put it into a `Mutex`, or keep it on one
/// thread. Another connection to the same file may live on another thread.
package final class Database {
    /// How a connection is opened.
    package enum Access: Sendable {
        case readOnly
        case readWrite
        /// Reads and writes, and makes an empty database if there is none.
        case create
    }

    /// When a commit of a WAL database reaches the disk.
    package enum Synchronous: String, Sendable {
        /// Survives a crash of the process; power loss may take the last commits, never order.
        case normal = "NORMAL"
        /// Survives power loss: the log is synced at every commit.
        case full = "FULL"
    }

    /// What a checkpoint may wait for.
    package enum CheckpointMode: Sendable {
        /// Moves what it can without waiting for anyone.
        case passive
        /// Waits for writers and readers and moves all, so that the next commit writes the log
        /// from its beginning. Busy if one of them outlasts the connection's timeout.
        case restart
        /// Waits for writers and readers, moves all, and cuts the log to 0 bytes.
        case truncate
    }

    /// Prepared statements kept for `execute` and `query`.
    ///
    /// SQL comes from our own source and not from users, so this many different texts never occur;
    /// more are prepared each time.
    package static let cachedStatementsMax = 128

    /// Names the file system (SQLite calls it a VFS) of a connection, asked at its opening; `nil`
    /// is the system's.
    ///
    /// A struct, because a bare closure in a `Mutex` gets one more thunk around it at each look.
    private struct FileSystemChoice {
        let name: @Sendable () -> String?
    }

    private static let fileSystem = Mutex<FileSystemChoice?>(nil)

    package let path: String
    let connection: OpaquePointer
    private var statements: [String: Statement] = [:]
    /// Written by the log's hook, which knows no Swift object.
    private let logFramesSeen: UnsafeMutablePointer<Int32>
    private var interruption: Interruption?

    /// What a running statement asks whether it must stop.
    private final class Interruption {
        let mustStop: () -> Bool
        init(_ mustStop: @escaping () -> Bool) { self.mustStop = mustStop }
    }

    /// Instructions of SQLite's machine between two looks at `mustStop`: about a millisecond.
    private static let interruptionStride: Int32 = 100_000

    /// Opens the database.
    ///
    /// `busyTimeout`: how long a statement waits for another connection's lock.
    package init(
        path: String,
        access: Access = .create,
        busyTimeout: Duration = .seconds(5)
    ) throws(SQLiteError) {
        let mode =
            switch access {
            case .readOnly: SQLITE_OPEN_READONLY
            case .readWrite: SQLITE_OPEN_READWRITE
            case .create: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
            }
        var opened: OpaquePointer?
        let status = sqlite3_open_v2(
            path,
            &opened,
            mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
            Self.fileSystem.withLock { $0 }?.name()
        )
        guard status == SQLITE_OK, let opened else {
            let reason = String(cString: sqlite3_errstr(status))
            sqlite3_close_v2(opened)
            throw SQLiteError(extendedCode: status, message: "opening \(path): \(reason)")
        }
        self.path = path
        connection = opened
        logFramesSeen = .allocate(capacity: 1)
        logFramesSeen.pointee = 0
        let (seconds, attoseconds) = busyTimeout.components
        let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
        sqlite3_busy_timeout(opened, Int32(clamping: milliseconds))
    }

    deinit {
        sqlite3_wal_hook(connection, nil, nil)
        sqlite3_progress_handler(connection, 0, nil, nil)
        // Waits for nothing: the connection goes when its last statement does.
        sqlite3_close_v2(connection)
        logFramesSeen.deallocate()
    }

    /// From now on `choice`, called at each opening on the opening thread, names the file system;
    /// it must be registered with SQLite.
    ///
    /// For simulations, which live beside the real world in one process.
    package static func chooseFileSystem(_ choice: @escaping @Sendable () -> String?) {
        fileSystem.withLock { $0 = FileSystemChoice(name: choice) }
    }

    /// Turns the write-ahead log on and says when its commits are synced.
    ///
    /// `checkpointPages`: log size at which a commit moves the log into the database
    ///   (SQLite's default is 1000 pages of 4 KiB); 0 if the caller checkpoints by itself.
    package func useWriteAheadLog(
        synchronous: Synchronous,
        checkpointPages: Int32 = 1000
    ) throws(SQLiteError) {
        let mode = try query("PRAGMA journal_mode=WAL") { $0.text(0) }.first
        guard mode == "wal" else {
            throw SQLiteError(
                extendedCode: SQLITE_CANTOPEN,
                message: "\(path): this file system cannot hold a write-ahead log"
            )
        }
        try execute("PRAGMA synchronous=\(synchronous.rawValue)")
        guard checkpointPages == 0 else {
            sqlite3_wal_autocheckpoint(connection, checkpointPages)
            return
        }
        // Takes the place of the hook that checkpoints by itself.
        sqlite3_wal_hook(
            connection,
            { context, _, _, frames in
                context?.assumingMemoryBound(to: Int32.self).pointee = frames
                return SQLITE_OK
            },
            logFramesSeen
        )
    }

    /// Frames (pages) in the write-ahead log after the last commit of this connection.
    ///
    /// Known only if `useWriteAheadLog` was called with `checkpointPages: 0`, else 0.
    package var logFrames: Int { Int(logFramesSeen.pointee) }

    /// From now on statements fail (SQLITE_INTERRUPT) soon after `mustStop` says so, which is asked
    /// on the thread that runs them.
    package func interrupt(when mustStop: @escaping () -> Bool) {
        let interruption = Interruption(mustStop)
        self.interruption = interruption
        sqlite3_progress_handler(
            connection,
            Self.interruptionStride,
            { context in
                guard let context else { return 0 }
                // SAFETY: kept by the connection's object until the handler is taken away.
                let interruption = Unmanaged<Interruption>.fromOpaque(context)
                return interruption.takeUnretainedValue().mustStop() ? 1 : 0
            },
            Unmanaged.passUnretained(interruption).toOpaque()
        )
    }

    /// Prepares a statement for the caller to keep.
    package func prepare(_ sql: String) throws(SQLiteError) -> Statement {
        try Statement(sql, in: self)
    }

    /// Runs one statement, prepared once and kept, ignoring its rows.
    package func execute(_ sql: String, _ values: Value...) throws(SQLiteError) {
        let statement = try cached(sql)
        try statement.bind(all: values)
        try statement.run()
    }

    /// Runs one statement, prepared once and kept, and gives what `row` makes of each row.
    ///
    /// `row` must not run the same SQL again.
    package func query<T>(
        _ sql: String,
        _ values: Value...,
        row: (Statement) throws(SQLiteError) -> T
    ) throws(SQLiteError) -> [T] {
        let statement = try cached(sql)
        defer { statement.reset() }
        try statement.bind(all: values)
        var rows: [T] = []
        while try statement.step() {
            rows.append(try row(statement))
        }
        return rows
    }

    /// The first column of the first row, or `nil` if there is no row.
    package func value(_ sql: String, _ values: Value...) throws(SQLiteError) -> Value? {
        let statement = try cached(sql)
        defer { statement.reset() }
        try statement.bind(all: values)
        // Not a bare nil, which would be `Value.null`: a row that is there, holding NULL.
        return try statement.step() ? .some(statement.value(0)) : Optional.none
    }

    /// The first column of the first row as an integer; 0 if there is none.
    package func integer(_ sql: String, _ values: Value...) throws(SQLiteError) -> Int64 {
        let statement = try cached(sql)
        defer { statement.reset() }
        try statement.bind(all: values)
        return try statement.step() ? statement.integer(0) : 0
    }

    /// Runs several statements at once, as a schema; nothing is kept.
    package func executeScript(_ sql: String) throws(SQLiteError) {
        let status = sqlite3_exec(connection, sql, nil, nil, nil)
        guard status == SQLITE_OK else { throw SQLiteError(status, "a script", on: connection) }
    }

    /// Runs `body` in one write transaction: all of it happens, or, if it throws, nothing.
    package func transaction<T>(_ body: () throws -> T) throws -> T {
        try execute("BEGIN IMMEDIATE")
        do {
            let result = try body()
            try execute("COMMIT")
            return result
        } catch {
            rollback()
            throw error
        }
    }

    /// Undoes the open transaction, if there is one.
    package func rollback() {
        // SQLite rolls back by itself on some errors (disk full); then there is nothing to undo.
        guard isInTransaction else { return }
        sqlite3_exec(connection, "ROLLBACK", nil, nil, nil)
    }

    package var isInTransaction: Bool { sqlite3_get_autocommit(connection) == 0 }

    /// Rows changed by the last INSERT, UPDATE or DELETE.
    package var changes: Int { Int(sqlite3_changes64(connection)) }

    package var lastInsertedRow: Int64 { sqlite3_last_insert_rowid(connection) }

    /// Moves the write-ahead log into the database.
    ///
    /// - Returns: Frames in the log and frames of it moved; equal if all is moved.
    @discardableResult
    package func checkpoint(
        _ mode: CheckpointMode
    ) throws(SQLiteError) -> (logFrames: Int, movedFrames: Int) {
        var logFrames: Int32 = 0
        var movedFrames: Int32 = 0
        let status = sqlite3_wal_checkpoint_v2(
            connection,
            nil,
            mode.number,
            &logFrames,
            &movedFrames
        )
        guard status == SQLITE_OK else { throw SQLiteError(status, "checkpoint", on: connection) }
        return (Int(logFrames), Int(movedFrames))
    }

    private func cached(_ sql: String) throws(SQLiteError) -> Statement {
        if let statement = statements[sql] { return statement }
        let statement = try prepare(sql)
        if statements.count < Self.cachedStatementsMax { statements[sql] = statement }
        return statement
    }
}

extension Database.CheckpointMode {
    fileprivate var number: Int32 {
        switch self {
        case .passive: SQLITE_CHECKPOINT_PASSIVE
        case .restart: SQLITE_CHECKPOINT_RESTART
        case .truncate: SQLITE_CHECKPOINT_TRUNCATE
        }
    }
}
