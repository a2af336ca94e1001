import CSQLite

/// What SQLite keeps for an open file: its own struct first, then ours.
struct DatabaseSlot {
    private var base: sqlite3_file
    private var file: Unmanaged<DatabaseFile>?

    /// Fills the memory that SQLite has for a file it opens.
    static func fill(_ target: UnsafeMutablePointer<sqlite3_file>, with file: DatabaseFile) {
        let slot = UnsafeMutableRawPointer(target).assumingMemoryBound(to: DatabaseSlot.self)
        slot.initialize(
            to: DatabaseSlot(
                base: sqlite3_file(pMethods: methods),
                file: Unmanaged.passRetained(file)
            )
        )
    }

    private static func slot(
        _ target: UnsafeMutablePointer<sqlite3_file>?
    ) -> UnsafeMutablePointer<DatabaseSlot>? {
        target.map { UnsafeMutableRawPointer($0).assumingMemoryBound(to: DatabaseSlot.self) }
    }

    /// The file of an open slot.
    private static func file(_ target: UnsafeMutablePointer<sqlite3_file>?) -> DatabaseFile? {
        slot(target)?.pointee.file?.takeUnretainedValue()
    }

    // SAFETY: made once, kept for the life of the program, and only read after.
    private nonisolated(unsafe) static let methods: UnsafePointer<sqlite3_io_methods> = {
        let pointer = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        var methods = sqlite3_io_methods()
        // 2: with shared memory, without mapped files.
        methods.iVersion = 2
        setTransfers(&methods)
        setLocks(&methods)
        setIndex(&methods)
        pointer.initialize(to: methods)
        return UnsafePointer(pointer)
    }()

    private static func setTransfers(_ methods: inout sqlite3_io_methods) {
        methods.xClose = { target in
            guard let slot = DatabaseSlot.slot(target), let file = slot.pointee.file else {
                return SQLITE_OK
            }
            slot.pointee.file = nil
            file.takeUnretainedValue().close()
            file.release()
            return SQLITE_OK
        }
        methods.xRead = { target, buffer, count, offset in
            let buffer = UnsafeMutableRawBufferPointer(start: buffer, count: Int(count))
            return DatabaseSlot.file(target)?.read(buffer, at: offset) ?? SQLITE_IOERR
        }
        methods.xWrite = { target, buffer, count, offset in
            let buffer = UnsafeRawBufferPointer(start: buffer, count: Int(count))
            return DatabaseSlot.file(target)?.write(buffer, at: offset) ?? SQLITE_IOERR
        }
        methods.xTruncate = { target, size in
            DatabaseSlot.file(target)?.truncate(to: size) ?? SQLITE_IOERR
        }
        methods.xSync = { target, _ in DatabaseSlot.file(target)?.sync() ?? SQLITE_IOERR }
        methods.xFileSize = { target, size in
            guard let bytes = DatabaseSlot.file(target)?.size() else {
                return SQLITE_IOERR | 7 << 8  // SQLITE_IOERR_FSTAT
            }
            size?.pointee = bytes
            return SQLITE_OK
        }
        methods.xFileControl = { _, _, _ in SQLITE_NOTFOUND }
        methods.xSectorSize = { _ in Int32(SparsePages.pageBytes) }
        // As the unix VFS: a write changes no byte outside its range, also at a power cut.
        methods.xDeviceCharacteristics = { _ in SQLITE_IOCAP_POWERSAFE_OVERWRITE }
    }

    private static func setLocks(_ methods: inout sqlite3_io_methods) {
        methods.xLock = { target, level in DatabaseSlot.file(target)?.lock(level) ?? SQLITE_IOERR }
        methods.xUnlock = { target, level in
            DatabaseSlot.file(target)?.unlock(level)
            return SQLITE_OK
        }
        methods.xCheckReservedLock = { target, result in
            result?.pointee = DatabaseSlot.file(target)?.isReserved == true ? 1 : 0
            return SQLITE_OK
        }
    }

    private static func setIndex(_ methods: inout sqlite3_io_methods) {
        methods.xShmMap = { target, number, size, isMade, result in
            result?.pointee = DatabaseSlot.file(target)?.region(
                Int(number),
                size: Int(size),
                isMade: isMade != 0
            )
            return SQLITE_OK
        }
        methods.xShmLock = { target, first, count, flags in
            let mask = (UInt32(1) << UInt32(count) - 1) << UInt32(first)
            return DatabaseSlot.file(target)?.lockIndex(mask, flags) ?? SQLITE_IOERR
        }
        // One simulated thread runs at a time, and the kernel orders memory when they change.
        methods.xShmBarrier = { _ in }
        methods.xShmUnmap = { target, _ in
            DatabaseSlot.file(target)?.leaveIndex()
            return SQLITE_OK
        }
    }
}
