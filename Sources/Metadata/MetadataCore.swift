import Disk
import Primitives
import SQLite
import Synchronization

/// An open database with its two locks; what the store and its threads share.
///
/// Locks, in the order in which they are taken:
/// 1. `writer`, the commit lock: the writing connection. Held while a batch is written.
/// 2. `state`, the namespace lock: memory and the reading connection. Held while what memory
///    lacks is read, never while anything is written or synced.
///
/// `scanner` and `checkpointer` are locks of their own.
final class MetadataCore: Sendable {
    /// What the last use of the database left.
    struct Past: Sendable {
        let wasCleanlyClosed: Bool
        let bootID: String
    }

    let path: String
    let past: Past
    let writer: Mutex<MetadataWriter>
    let state: Mutex<MetadataState>
    let checkpointer: Checkpointer
    let bell = ChangeBell()
    /// The connection for scans, which may take long.
    private let scanner: Mutex<MetadataReader>
    private let logSync: LogSync
    private let lock: FileLock
    private let limits: MetadataLimits
    /// Whether nothing is left of a crash before this opening.
    private let isRecovered: Atomic<Bool>

    /// Inode numbers skipped after a crash.
    ///
    /// Those handed out since the last sync may be in use outside the database, as names of cache
    /// files. The log is synced whenever it is moved, so it has hardly more than 16,384 pages of 4
    /// KiB that are not; an inode and its entry take more than 128 bytes of them; so the numbers
    /// are fewer than this.
    static let inodesSkippedAfterCrash: UInt64 = 1 << 20

    init(opening path: String, limits: MetadataLimits) throws(FileSystemError) {
        self.path = path
        self.limits = limits
        lock = try Self.lock(path)
        guard WholeFile.exists(path) else {
            throw FileSystemError(.notFound, "there is no metadata database at \(path)")
        }
        let writer = try Self.writer(path)
        writer.logFramesAllowed = limits.logFramesMax
        let reader = try Self.reader(path)
        past = try Self.past(reader)
        isRecovered = Atomic(past.wasCleanlyClosed)
        let state = try MetadataState(reader: reader, limits: limits)
        if !past.wasCleanlyClosed { state.skipInodes(Self.inodesSkippedAfterCrash) }
        try state.abandonInterrupted()
        writer.keepsJournal = state.openVersion > 0
        checkpointer = try Checkpointer(path)
        scanner = Mutex(try Self.reader(path))
        logSync = try Self.begin(writer, path, past)
        self.writer = Mutex(writer)
        self.state = Mutex(state)
    }

    // MARK: Opening

    private static func lock(_ path: String) throws(FileSystemError) -> FileLock {
        do throws(FileLock.Failure) {
            return try FileLock(path + ".lock", note: "metadata of a mounted volume")
        } catch {
            switch error {
            case .held(_, let holder):
                throw FileSystemError(
                    .invalid,
                    "metadata database \(path) is in use by \(holder); "
                        + "a volume can be mounted once at a time"
                )
            case .disk(let error): throw FileSystemError(error)
            }
        }
    }

    private static func writer(_ path: String) throws(FileSystemError) -> MetadataWriter {
        let (database, application, version) = try converting { () throws(SQLiteError) in
            let database = try Database(path: path, access: .readWrite)
            return (
                database, try database.integer("PRAGMA application_id"),
                try database.integer("PRAGMA user_version")
            )
        }
        try check(path, application: application, version: version)
        return try converting { () throws(SQLiteError) in
            try upgrade(database, from: version)
            try database.useWriteAheadLog(synchronous: .normal, checkpointPages: 0)
            // What is removed, wrapped keys above all, is overwritten and not only forgotten.
            try database.execute("PRAGMA secure_delete=ON")
            return try MetadataWriter(database)
        }
    }

    /// Gives an older database what later versions have more, in one transaction.
    static func upgrade(
        _ database: Database,
        from version: Int64
    ) throws(SQLiteError) {
        guard version < Schema.version else { return }
        try database.execute("BEGIN IMMEDIATE")
        do {
            for older in version..<Schema.version {
                if let script = Schema.upgrades[older] { try database.executeScript(script) }
            }
            try database.execute("PRAGMA user_version=\(Schema.version)")
            try database.execute("COMMIT")
        } catch {
            database.rollback()
            throw error
        }
    }

    static func reader(_ path: String) throws(FileSystemError) -> MetadataReader {
        try converting { () throws(SQLiteError) in
            try MetadataReader(try Database(path: path, access: .readWrite))
        }
    }

    static func check(
        _ path: String,
        application: Int64,
        version: Int64
    ) throws(FileSystemError) {
        guard application == Schema.applicationID else {
            throw FileSystemError(.invalid, "\(path) is a database of another program")
        }
        guard version == Schema.version || Schema.upgrades[version] != nil else {
            throw FileSystemError(
                .invalid,
                "metadata database \(path) has format \(version), and this program knows "
                    + "\(Schema.version); use the version of the program that made it"
            )
        }
    }

    private static func past(_ reader: MetadataReader) throws(FileSystemError) -> Past {
        let clean = try reader.meta(MetaKey.clean)
        guard case .text(let bootID)? = try reader.meta(MetaKey.bootID) else {
            return Past(wasCleanlyClosed: clean == 1, bootID: "")
        }
        return Past(wasCleanlyClosed: clean == 1, bootID: bootID)
    }

    /// Notes that the database is in use, and makes sure that its log can be relied on.
    private static func begin(
        _ writer: MetadataWriter,
        _ path: String,
        _ past: Past
    ) throws(FileSystemError) -> LogSync {
        // After a crash the boot id stays until `noteRecovered`: whoever is killed while it makes
        // good what a power cut left must not hide from the next that there was one.
        var rows: [(key: String, value: Value)] = [(MetaKey.clean, 0)]
        if past.wasCleanlyClosed { rows.append((MetaKey.bootID, .text(try bootID()))) }
        try converting { () throws(SQLiteError) in try writer.setMeta(rows) }
        return try onDisk { () throws(DiskError) in
            // That commit has made the log if it was missing. SQLite keeps the file until the
            // last connection closes, so this descriptor stays that of the log. What a process
            // before us has committed but not synced becomes durable here too.
            let log = try Descriptor(opening: path + "-wal", .readWrite)
            try log.syncData()
            // Once: a new file that is not in its directory is lost at a power cut.
            try Directory.sync(Directory.parent(of: path))
            return LogSync(log, synced: writer.sequence)
        }
    }

    private static func bootID() throws(FileSystemError) -> String {
        try onDisk { () throws(DiskError) in try Host.bootID() }
    }

    /// Notes that nothing is left to make good of a crash before this opening.
    func noteRecovered() throws(FileSystemError) {
        _ = try saveChanges()
        let bootID = try Self.bootID()
        try writer.withLock { writer throws(FileSystemError) in
            try converting { () throws(SQLiteError) in
                try writer.setMeta([(MetaKey.bootID, .text(bootID))])
            }
        }
        isRecovered.store(true, ordering: .releasing)
    }

    // MARK: Saving

    /// Saves what is unsaved, so that it survives a crash of the process.
    ///
    /// - Returns: The number of the last commit, which holds every operation before the call, and
    ///   the pages in the log.
    func saveChanges() throws(FileSystemError) -> (sequence: UInt64, logFrames: Int) {
        var isNews = false
        // Outside the lock: who wakes takes it.
        defer { if isNews { bell.ring() } }
        return try writer.withLock { writer throws(FileSystemError) in
            if let set = state.withLock({ $0.takeChanges() }) {
                isNews = true
                do throws(SQLiteError) {
                    try writer.save(set)
                } catch {
                    state.withLock { $0.takeBack() }
                    throw FileSystemError(error)
                }
                state.withLock { $0.finishSaving() }
                DurableStep.note(.logCommitted)
            }
            logSync.noteCommit(writer.sequence)
            let logFrames = writer.logFrames
            if logFrames >= writer.logFramesAllowed { moveLog(of: writer) }
            return (writer.sequence, logFrames)
        }
    }

    /// Commit `sequence` is in the log.
    func noteCommit(_ sequence: UInt64) { logSync.noteCommit(sequence) }

    /// Makes commit `sequence` and all before it survive a crash of the host.
    func sync(through sequence: UInt64) throws(FileSystemError) {
        try onDisk { () throws(DiskError) in try logSync.sync(through: sequence) }
        DurableStep.note(.logSynced)
    }

    /// Runs `body` on what the database has once every operation so far is saved.
    ///
    /// Operations go on meanwhile, and `body` sees them or not.
    func scan<T: Sendable>(
        _ body: @Sendable (MetadataReader) throws(FileSystemError) -> T
    ) throws(FileSystemError) -> T {
        _ = try saveChanges()
        return try scanner.withLock { reader throws(FileSystemError) in try body(reader) }
    }

    // MARK: The log

    /// Moves all of the log, with commits held up, whatever the checkpoint thread does meanwhile.
    ///
    /// Without a moment in which all is moved the log would never start anew.
    private func moveLog(of writer: MetadataWriter) {
        do throws(FileSystemError) {
            try checkpointer.moveAll()
            writer.logFramesAllowed = limits.logFramesMax
        } catch {
            // A full disk, or another program that reads the database. It has not harmed the
            // commit; the next try comes with the log's growth, not at every commit.
            writer.logFramesAllowed = writer.logFrames + limits.logFrames
        }
    }

    /// The end: saves all, notes that the database is closed in order unless a crash is not made
    /// good yet, empties the log.
    func finish() throws(FileSystemError) {
        defer { lock.release() }
        _ = try saveChanges()
        try writer.withLock { writer throws(FileSystemError) in
            try converting { () throws(SQLiteError) in
                if isRecovered.load(ordering: .acquiring) {
                    try writer.setMeta([(MetaKey.clean, 1)])
                }
                try writer.truncateLog()
            }
        }
    }
}
