import Disk
import Glibc
import Primitives
import Synchronization

/// Contents of files, and syncs.
extension SimulatedDisk {
    func read(
        _ file: FileNode,
        _ path: String,
        at offset: UInt64,
        into buffer: UnsafeMutableRawBufferPointer,
        _ life: ProcessLife
    ) throws(DiskError) -> Int {
        scheduler.pass(least: 1_000, most: 40_000)
        scheduler.record("read", path, offset, UInt64(buffer.count))
        return try state.withLock { state throws(DiskError) in
            try Self.admit(.read, "read", path, &state, life)
            return file.read(at: offset, into: buffer)
        }
    }

    /// Writes at `offset`, or at the end.
    func write(
        _ file: FileNode,
        _ path: String,
        at offset: UInt64?,
        from buffer: UnsafeRawBufferPointer,
        _ life: ProcessLife
    ) throws(DiskError) {
        guard !buffer.isEmpty else { return }
        let number = (offset ?? .max) ^ UInt64(buffer.count) << 40
        try mutate(.write, "write", path, life, number) { state, isTorn throws(DiskError) in
            let start = offset ?? file.size
            var count = buffer.count
            if isTorn {
                // The kernel copies page by page, the disk writes sector by sector.
                let drawn = state.generator.next() % UInt64(count)
                let end =
                    (start + drawn) / UInt64(SparsePages.sectorBytes)
                    * UInt64(SparsePages.sectorBytes)
                count = end > start ? Int(end - start) : 0
            }
            let fitting = state.fittingBytes(file, start..<start + UInt64(count))
            state.resizing(file) { order in
                file.write(
                    at: start,
                    from: UnsafeRawBufferPointer(rebasing: buffer[..<fitting]),
                    order: order
                )
            }
            state.maybeWriteBack(file)
            guard fitting == count else { throw DiskError("write", path, errno: ENOSPC) }
        }
    }

    func truncate(
        _ file: FileNode,
        _ path: String,
        to size: UInt64,
        _ life: ProcessLife
    ) throws(DiskError) {
        guard size <= UInt64(Int64.max) else {
            throw DiskError("truncate", path, errno: EOVERFLOW)
        }
        try mutate(.write, "truncate", path, life, size) { state, _ throws(DiskError) in
            state.resizing(file) { order in file.truncate(to: size, order: order) }
            state.maybeWriteBack(file)
        }
    }

    func zero(
        _ file: FileNode,
        _ path: String,
        _ range: Range<UInt64>,
        keepsSpace: Bool,
        keepsSize: Bool,
        _ life: ProcessLife
    ) throws(DiskError) {
        let number = range.lowerBound ^ range.upperBound << 24
        try mutate(.write, "punch", path, life, number) { state, isTorn throws(DiskError) in
            var range = range
            if isTorn {
                // A long range takes several transactions of the filesystem.
                let half = range.lowerBound + UInt64(range.upperBound - range.lowerBound) / 2
                range = range.lowerBound..<max(half / 4096 * 4096, range.lowerBound)
                guard !range.isEmpty else { return }
            }
            let keptRange = range
            state.resizing(file) { order in
                file.zero(keptRange, keepsSpace: keepsSpace, order: order)
                if !keepsSize, keptRange.upperBound > file.size {
                    file.setSize(keptRange.upperBound, order)
                }
            }
            state.maybeWriteBack(file)
        }
    }

    func allocate(
        _ file: FileNode,
        _ path: String,
        _ range: Range<UInt64>,
        keepSize: Bool,
        _ life: ProcessLife
    ) throws(DiskError) {
        let number = range.lowerBound ^ range.upperBound << 24
        try mutate(.write, "allocate", path, life, number) { state, _ throws(DiskError) in
            let count = Int(range.upperBound - range.lowerBound)
            guard state.fittingBytes(file, range) == count else {
                throw DiskError("allocate space in", path, errno: ENOSPC)
            }
            state.resizing(file) { order in
                file.allocate(range, order: order)
                if !keepSize, range.upperBound > file.size {
                    file.setSize(range.upperBound, order)
                }
            }
        }
    }

    // MARK: Syncs

    func sync(_ node: DiskNode, _ path: String, _ life: ProcessLife) throws(DiskError) {
        do throws(DiskError) {
            try mutate(.sync, "sync", path, life) { state, isTorn throws(DiskError) in
                if let part = state.ignoredSyncs, path.contains(part) { return }
                switch node {
                case .directory(let directory):
                    directory.commit(isTorn ? directory.journal.count / 2 : .max)
                case .file(let file) where isTorn: file.writeBack(&state.generator)
                case .file(let file): file.sync()
                }
                if !isTorn { state.syncedOrder = state.order }
            }
        } catch {
            if !life.isOver, case .file(let file) = node {
                state.withLock { file.failSync(&$0.generator) }
            }
            throw error
        }
    }

    func syncAll(_ path: String, _ life: ProcessLife) throws(DiskError) {
        try mutate(.sync, "sync all", path, life) { state, isTorn throws(DiskError) in
            let (directories, files) = state.reachable()
            for directory in directories where !isTorn || state.generator.next() % 2 == 0 {
                directory.sync()
            }
            for file in files where file.isDirty {
                if isTorn { file.writeBack(&state.generator) } else { file.sync() }
            }
            if !isTorn { state.syncedOrder = state.order }
        }
    }
}

extension SimulatedDisk.State {
    /// How many bytes from the beginning of the range on have space or get it.
    fileprivate func fittingBytes(_ file: FileNode, _ range: Range<UInt64>) -> Int {
        let pageBytes = UInt64(SparsePages.pageBytes)
        let free = capacityBytes - min(usedBytes, capacityBytes)
        let missing = file.missingPages(range)
        let fitting = Int(clamping: free / pageBytes)
        guard missing.count > fitting else { return range.count }
        return Int(max(missing[fitting] * pageBytes, range.lowerBound) - range.lowerBound)
    }

    /// Changes a file's contents, and counts the space.
    fileprivate mutating func resizing(
        _ file: FileNode,
        _ body: (_ order: UInt64) -> Void
    ) {
        let before = file.allocatedBytes
        body(order)
        if let now = Simulation.current?.now() { file.modified = now }
        usedBytes = usedBytes - min(before, usedBytes) + file.allocatedBytes
    }

    /// Now and then the kernel writes back without being asked.
    fileprivate mutating func maybeWriteBack(_ file: FileNode) {
        if generator.next() % 32 == 0 { file.writeBack(&generator) }
    }
}
