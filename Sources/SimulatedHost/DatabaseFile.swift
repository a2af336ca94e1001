import CSQLite
import Disk
import Glibc
import Synchronization

/// A file that SQLite has open on a simulated disk.
///
/// Does what SQLite's own unix VFS does, sync for sync: a new log or journal has its directory
/// synced with its first own sync.
final class DatabaseFile {
    let file: OpenFile
    private let node: FileNode
    private let shared: SharedDatabase?
    private var level = SQLITE_LOCK_NONE
    private var mustSyncDirectory: Bool
    private let isDeletedOnClose: Bool

    init(
        _ file: OpenFile,
        _ node: FileNode,
        sharesIndex: Bool,
        mustSyncDirectory: Bool,
        isDeletedOnClose: Bool
    ) {
        self.file = file
        self.node = node
        self.mustSyncDirectory = mustSyncDirectory
        self.isDeletedOnClose = isDeletedOnClose
        shared =
            sharesIndex
            ? file.life.databases.withLock { databases in
                let shared = databases[node.number]?.value ?? SharedDatabase()
                databases[node.number] = WeakDatabase(shared)
                return shared
            } : nil
    }

    private var identity: ObjectIdentifier { ObjectIdentifier(self) }

    func close() {
        shared?.unlock(identity, SQLITE_LOCK_NONE)
        shared?.leaveIndex(identity)
        if isDeletedOnClose { try? file.life.unlink(file.path) }
    }

    // MARK: Bytes

    func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: Int64) -> Int32 {
        do throws(DiskError) {
            let count = try file.read(at: UInt64(clamping: offset), into: buffer)
            guard count < buffer.count else { return SQLITE_OK }
            UnsafeMutableRawBufferPointer(rebasing: buffer[count...]).initializeMemory(
                as: UInt8.self,
                repeating: 0
            )
            return SQLITE_IOERR | 2 << 8  // SQLITE_IOERR_SHORT_READ
        } catch {
            return SQLITE_IOERR | 1 << 8  // SQLITE_IOERR_READ
        }
    }

    func write(_ buffer: UnsafeRawBufferPointer, at offset: Int64) -> Int32 {
        do throws(DiskError) {
            try file.write(at: UInt64(clamping: offset), from: buffer)
            return SQLITE_OK
        } catch {
            return error.isNoSpace ? SQLITE_FULL : SQLITE_IOERR | 3 << 8  // SQLITE_IOERR_WRITE
        }
    }

    func truncate(to size: Int64) -> Int32 {
        do throws(DiskError) {
            try file.truncate(to: UInt64(clamping: size))
            return SQLITE_OK
        } catch {
            return SQLITE_IOERR | 6 << 8  // SQLITE_IOERR_TRUNCATE
        }
    }

    func sync() -> Int32 {
        do throws(DiskError) {
            try file.sync()
            if mustSyncDirectory {
                // What cannot be opened is let be there too.
                try? SimulatedDatabases.syncDirectory(of: file.path, file.life)
                mustSyncDirectory = false
            }
            return SQLITE_OK
        } catch {
            return SQLITE_IOERR | 4 << 8  // SQLITE_IOERR_FSYNC
        }
    }

    func size() -> Int64? {
        do throws(DiskError) {
            return Int64(clamping: try file.size())
        } catch {
            return nil
        }
    }

    // MARK: Locks

    func lock(_ wanted: Int32) -> Int32 {
        guard let shared, wanted > level else { return SQLITE_OK }
        let status = shared.lock(identity, wanted)
        if status == SQLITE_OK { level = wanted }
        return status
    }

    func unlock(_ wanted: Int32) {
        shared?.unlock(identity, wanted)
        level = min(level, wanted)
    }

    var isReserved: Bool { shared?.isReserved ?? false }

    func region(_ number: Int, size: Int, isMade: Bool) -> UnsafeMutableRawPointer? {
        shared?.region(number, size: size, isMade: isMade)
    }

    func lockIndex(_ mask: UInt32, _ flags: Int32) -> Int32 {
        shared?.lockIndex(identity, mask, flags) ?? SQLITE_OK
    }

    func leaveIndex() { shared?.leaveIndex(identity) }
}

/// Lets go of what connections share when the last of them closes.
struct WeakDatabase: @unchecked Sendable {
    // SAFETY: a weak reference to a Sendable object, read and replaced under its owner's lock.
    private(set) weak var value: SharedDatabase?

    init(_ value: SharedDatabase) { self.value = value }
}
