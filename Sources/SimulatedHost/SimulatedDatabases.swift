import CSQLite
import Disk
import Glibc
import Primitives
import SQLite

/// SQLite's file system (VFS) on simulated disks, named "mefs-simulated".
enum SimulatedDatabases {
    private static let name = "mefs-simulated"

    /// Makes connections of simulated threads use it; a second call does nothing.
    static func register() { _ = registration }

    private static let registration: Void = {
        // Kept for the life of the program, as SQLite asks.
        let fileSystem = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        var functions = sqlite3_vfs()
        functions.iVersion = 2
        functions.szOsFile = Int32(MemoryLayout<DatabaseSlot>.stride)
        functions.mxPathname = 1024
        functions.zName = UnsafePointer(strdup(name))
        functions.xOpen = openDatabaseFile
        functions.xDelete = deleteDatabaseFile
        functions.xAccess = accessDatabaseFile
        functions.xFullPathname = { _, path, size, target in
            guard let path, let target else { return SQLITE_CANTOPEN }
            let full = String(cString: path)
            let absolute = "/" + SimulatedDisk.parts(full).joined(separator: "/")
            guard absolute.utf8.count < Int(size) else { return SQLITE_CANTOPEN }
            strcpy(target, absolute)
            return SQLITE_OK
        }
        functions.xRandomness = { _, count, target in
            guard let target, let kernel = Simulation.current else { return 0 }
            for (index, byte) in kernel.randomBytes(Int(count)).enumerated() {
                target[index] = CChar(bitPattern: byte)
            }
            return count
        }
        functions.xSleep = { _, microseconds in
            Clock.sleep(for: .microseconds(Int64(microseconds)))
            return microseconds
        }
        functions.xCurrentTime = { _, days in
            days?.pointee = Double(julianMilliseconds()) / 86_400_000
            return SQLITE_OK
        }
        functions.xCurrentTimeInt64 = { _, milliseconds in
            milliseconds?.pointee = julianMilliseconds()
            return SQLITE_OK
        }
        functions.xGetLastError = { _, _, _ in 0 }
        fileSystem.initialize(to: functions)
        let status = sqlite3_vfs_register(fileSystem, 0)
        precondition(status == SQLITE_OK, "SQLite takes no file system: \(status)")
        Database.chooseFileSystem { Simulation.current == nil ? nil : name }
    }()

    /// As SQLite counts: from noon in Greenwich on 24 November 4714 BC.
    private static func julianMilliseconds() -> Int64 {
        let now = Clock.now()
        return 210_866_760_000_000 + now.seconds * 1000 + Int64(now.nanoseconds / 1_000_000)
    }

    /// The process of the calling thread.
    static var life: ProcessLife? { (Simulation.current as? WorldThread)?.processLife }

    static func syncDirectory(of path: String, _ life: ProcessLife) throws(DiskError) {
        let parent = Directory.parent(of: path)
        try life.openFile(parent, .readOnly, .directory).sync()
    }
}

private func openDatabaseFile(
    _: UnsafeMutablePointer<sqlite3_vfs>?,
    _ path: sqlite3_filename?,
    _ target: UnsafeMutablePointer<sqlite3_file>?,
    _ flags: Int32,
    _ flagsOut: UnsafeMutablePointer<Int32>?
) -> Int32 {
    guard let target else { return SQLITE_CANTOPEN }
    // Without methods SQLite does not close it.
    target.pointee.pMethods = nil
    guard let life = SimulatedDatabases.life else { return SQLITE_CANTOPEN }
    do throws(DiskError) {
        let file = try open(path.map { String(cString: $0) }, flags, life)
        DatabaseSlot.fill(target, with: file)
        flagsOut?.pointee = flags
        return SQLITE_OK
    } catch {
        return SQLITE_CANTOPEN
    }
}

private func open(
    _ path: String?,
    _ flags: Int32,
    _ life: ProcessLife
) throws(DiskError) -> DatabaseFile {
    guard let path else {
        let node = try life.disk.openUnnamed(life)
        let file = OpenFile(
            .file(node),
            path: "unnamed",
            isNew: true,
            canWrite: true,
            canRead: true,
            life: life
        )
        return DatabaseFile(
            file,
            node,
            sharesIndex: false,
            mustSyncDirectory: false,
            isDeletedOnClose: false
        )
    }
    var options: Descriptor.Options = []
    if flags & SQLITE_OPEN_CREATE != 0 { options.insert(.create) }
    if flags & SQLITE_OPEN_EXCLUSIVE != 0 { options.insert(.exclusive) }
    let canWrite = flags & SQLITE_OPEN_READWRITE != 0
    let file = try life.openFile(path, canWrite ? .readWrite : .readOnly, options)
    guard case .file(let node) = file.node else { throw DiskError("open", path, errno: EISDIR) }
    let logs = SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL
    return DatabaseFile(
        file,
        node,
        sharesIndex: flags & SQLITE_OPEN_MAIN_DB != 0,
        // As unixOpen has it: a log that this opening may have made.
        mustSyncDirectory: flags & SQLITE_OPEN_CREATE != 0 && flags & logs != 0,
        isDeletedOnClose: flags & SQLITE_OPEN_DELETEONCLOSE != 0
    )
}

private func deleteDatabaseFile(
    _: UnsafeMutablePointer<sqlite3_vfs>?,
    _ path: UnsafePointer<CChar>?,
    _ mustSyncDirectory: Int32
) -> Int32 {
    guard let path, let life = SimulatedDatabases.life else { return SQLITE_IOERR }
    let name = String(cString: path)
    do throws(DiskError) {
        try life.unlink(name)
    } catch {
        return error.isNotFound
            ? SQLITE_IOERR | 23 << 8  // SQLITE_IOERR_DELETE_NOENT
            : SQLITE_IOERR | 10 << 8  // SQLITE_IOERR_DELETE
    }
    guard mustSyncDirectory & 1 != 0 else { return SQLITE_OK }
    do throws(DiskError) {
        try SimulatedDatabases.syncDirectory(of: name, life)
        return SQLITE_OK
    } catch {
        return SQLITE_IOERR | 5 << 8  // SQLITE_IOERR_DIR_FSYNC
    }
}

private func accessDatabaseFile(
    _: UnsafeMutablePointer<sqlite3_vfs>?,
    _ path: UnsafePointer<CChar>?,
    _ flags: Int32,
    _ result: UnsafeMutablePointer<Int32>?
) -> Int32 {
    guard let path, let life = SimulatedDatabases.life else { return SQLITE_IOERR }
    guard case .file(let file)? = life.disk.node(at: String(cString: path), life) else {
        result?.pointee = 0
        return SQLITE_OK
    }
    // As unixAccess: an empty file does not exist.
    let isThere = flags != SQLITE_ACCESS_EXISTS || life.disk.isNotEmpty(file)
    result?.pointee = isThere ? 1 : 0
    return SQLITE_OK
}
