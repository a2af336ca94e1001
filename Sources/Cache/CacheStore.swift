package import Disk
package import Primitives
import Synchronization

// Layout of a cache directory:
//
//   .lock      held by the process that uses the cache
//   00 ... ff  buckets; inode 0x1a2b has its file at 2b/1a2b
//   retired    empty files of inodes that are gone; what a process finds there it removes
//
// A cache file has the same offsets as the file of the volume; what is not cached is a hole. Which
// parts are valid, and which are newer than what the providers hold, is known to the metadata, not
// here: a hole reads as zeros like any other bytes.

/// The contents of files kept on the local disk: one sparse file per inode.
///
/// Any thread may call any method at any time. No I/O runs under the table's lock, so files never
/// wait for each other's transfers. Keeping readers and writers of the same range apart, and not
/// touching an inode after its `remove`, is the caller's business.
package final class CacheStore: Sendable {
    /// Descriptors kept open.
    ///
    /// Enough for the files in use at a time, and together with sockets and the database well
    /// below 1024, the default limit of a process.
    package static let openFilesMax = 512

    /// Directories that share the files out, so that none grows to millions of entries.
    package static let bucketCount = 256

    package let directory: String
    private let lock: FileLock
    private let retired: RetiredFiles
    private let state: Mutex<State>

    private struct State {
        var open = RecentlyUsed<InodeNumber, Descriptor>(limit: CacheStore.openFilesMax)
        /// Counts `remove` calls: a descriptor opened before one may be of a file that is gone.
        var removals: UInt64 = 0
        var buckets = [Bucket](repeating: Bucket(), count: CacheStore.bucketCount)
    }

    /// What is known of a bucket directory's durability.
    private struct Bucket {
        /// Files being made just now.
        var pending = 0
        /// Counts files made.
        ///
        /// Starts above `synced`, because the process before us may have made some and died.
        var made: UInt64 = 1
        /// The value of `made` that the last sync of the directory covers.
        var synced: UInt64 = 0

        var isSynced: Bool { pending == 0 && made == synced }
    }

    /// Opens the cache at `directory`, making what is missing, and locks it.
    ///
    /// - Throws: `notPermitted` if another process uses it.
    package init(directory: String) throws(FileSystemError) {
        self.directory = directory
        state = Mutex(State())
        do throws(DiskError) {
            try Directory.make(directory)
            try Directory.spreadDirectories(in: directory)
            for bucket in 0..<Self.bucketCount {
                try Directory.make(Self.path(ofBucket: bucket, in: directory), durably: false)
            }
            try Directory.sync(directory)
        } catch {
            throw FileSystemError(error)
        }
        do {
            lock = try FileLock(directory + "/.lock")
        } catch {
            throw FileSystemError(.notPermitted, "the cache is in use: \(error)")
        }
        do throws(DiskError) {
            retired = try RetiredFiles(directory: directory + "/retired")
        } catch {
            throw FileSystemError(error)
        }
    }

    // MARK: Contents

    /// Fills `buffer` with the bytes from `offset` on; zeros in holes and past the cache file's
    /// end.
    package func read(
        _ ino: InodeNumber,
        offset: UInt64,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(FileSystemError) {
        do throws(DiskError) {
            let count = try existingFile(ino)?.read(at: offset, into: buffer) ?? 0
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
            rest.initializeMemory(as: UInt8.self, repeating: 0)
        } catch {
            throw failure(error)
        }
    }

    /// Writes all of `buffer` at `offset`, making the cache file if need be.
    ///
    /// - Throws: `noSpace` if the disk is full; part of the bytes may be written then.
    package func write(
        _ ino: InodeNumber,
        offset: UInt64,
        from buffer: UnsafeRawBufferPointer
    ) throws(FileSystemError) {
        do throws(DiskError) {
            try file(ino).write(at: offset, from: buffer)
        } catch {
            throw failure(error)
        }
    }

    /// Makes the range read as zero and gives its space back.
    ///
    /// Whole disk blocks only are given back: evict whole segments, the last one not cut at the
    /// end of the file.
    package func punch(_ ino: InodeNumber, _ range: Range<UInt64>) throws(FileSystemError) {
        do throws(DiskError) {
            guard let file = try existingFile(ino) else { return }
            try file.punchHole(range)
            DurableStep.note(.rangesPunched)
        } catch {
            throw failure(error)
        }
    }

    /// Makes the range read as zero, as `punch` does, in a file that reaches its end: made and
    /// lengthened if need be, so that zeros which are news can be told from bytes that are lost.
    ///
    /// Nobody may write to the inode meanwhile.
    package func zero(_ ino: InodeNumber, _ range: Range<UInt64>) throws(FileSystemError) {
        do throws(DiskError) {
            let file = try file(ino)
            try file.punchHole(range)
            if try file.size() < range.upperBound { try file.truncate(to: range.upperBound) }
        } catch {
            throw failure(error)
        }
    }

    /// Cuts the cache file at `size` or lengthens it by a hole; nothing happens if there is none.
    package func truncate(_ ino: InodeNumber, to size: UInt64) throws(FileSystemError) {
        do throws(DiskError) {
            guard let file = try existingFile(ino) else { return }
            try file.truncate(to: size)
            DurableStep.note(.cacheFileCut)
        } catch {
            throw failure(error)
        }
    }

    /// Removes the cache file, if there is one; not durable by itself.
    package func remove(_ ino: InodeNumber) throws(FileSystemError) {
        // Taken out before and after: a descriptor opened between the two calls is of the file
        // that goes.
        drop(ino)
        do throws(DiskError) {
            if try !retired.keep(path(of: ino)) { try WholeFile.remove(path(of: ino)) }
            DurableStep.note(.cacheFileRemoved)
        } catch {
            throw failure(error)
        }
        drop(ino)
    }

    /// Removes up to `limit` files of inodes that are gone, which are empty and were kept so that
    /// making others stays fast; for times in which nobody does.
    ///
    /// - Returns: Whether that was all.
    package func freeRetired(limit: Int) throws(FileSystemError) -> Bool {
        do throws(DiskError) {
            return try retired.free(limit)
        } catch {
            throw failure(error)
        }
    }

    private func drop(_ ino: InodeNumber) {
        // Returned so that it is closed after the lock is let go.
        _ = state.withLock { state in
            state.removals += 1
            return state.open.remove(ino)
        }
    }

    // MARK: Strangers

    /// Gives the inode a cache file of its own, durably and with the same bytes, if someone else
    /// has the present one open: a program that outlived the mount it opened the file through.
    ///
    /// For recovery, before anybody uses the inode.
    ///
    /// - Returns: When the file that was parted from was last changed; `nil` if nobody has it open.
    package func part(_ ino: InodeNumber) throws(FileSystemError) -> Timestamp? {
        let path = path(of: ino)
        do throws(DiskError) {
            let file = try Descriptor(opening: path, .readWrite)
            guard try !file.isOpenOnce() else { return nil }
            let modified = try file.stamp().modified
            let temporary = path + Self.copySuffix
            try WholeFile.remove(temporary)
            let copy = try Descriptor(opening: temporary, .readWrite, [.create, .exclusive])
            try Self.copy(file, to: copy)
            try copy.sync()
            try Directory.replace(path, with: temporary)
            try Directory.sync(Directory.parent(of: path))
            return modified
        } catch {
            guard !error.isNotFound else { return nil }
            throw failure(error)
        }
    }

    /// Left by a crash, such a file is replaced by the next attempt.
    private static let copySuffix = ".copy"
    private static let copyBytes = 1 << 20

    private static func copy(_ source: Descriptor, to target: Descriptor) throws(DiskError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: copyBytes, alignment: 4096)
        defer { buffer.deallocate() }
        for range in try source.dataRanges() {
            var offset = range.lowerBound
            while offset < range.upperBound {
                let count = Int(min(UInt64(copyBytes), range.upperBound - offset))
                let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
                let got = try source.read(at: offset, into: part)
                guard got > 0 else { break }
                try target.write(at: offset, from: UnsafeRawBufferPointer(rebasing: part[..<got]))
                offset += UInt64(got)
            }
        }
        try target.truncate(to: try source.size())
    }

    // MARK: Durability

    /// Returns once what was written of the inode is on the disk, and its file's name too.
    package func sync(_ ino: InodeNumber) throws(FileSystemError) {
        do throws(DiskError) {
            guard let file = try existingFile(ino) else { return }
            try file.syncData()
            DurableStep.note(.cacheSynced)
            try syncBucket(Self.bucket(of: ino))
        } catch {
            throw failure(error)
        }
    }

    /// Returns once all that was written so far is on the disk: one `syncfs(2)`, cheaper than
    /// `sync` of hundreds of files.
    package func syncAll() throws(FileSystemError) {
        let made = state.withLock { $0.buckets.map(\.made) }
        do throws(DiskError) {
            try Descriptor(opening: directory, .readOnly, .directory).syncFilesystem()
        } catch {
            throw failure(error)
        }
        state.withLock { state in
            for index in made.indices {
                state.buckets[index].synced = max(state.buckets[index].synced, made[index])
            }
        }
    }

    private func syncBucket(_ bucket: Int) throws(DiskError) {
        let made = state.withLock { state -> UInt64? in
            state.buckets[bucket].isSynced ? nil : state.buckets[bucket].made
        }
        // Who finds another's sync under way starts one of its own: only a sync that began after
        // the file was made covers it.
        guard let made else { return }
        try Directory.sync(Self.path(ofBucket: bucket, in: directory))
        DurableStep.note(.directorySynced)
        state.withLock { state in
            state.buckets[bucket].synced = max(state.buckets[bucket].synced, made)
        }
    }

    // MARK: Open files

    /// The inode's cache file, made if missing, open for reading and writing.
    ///
    /// It stays usable while it is held, whatever the table of open files does.
    package func openFile(_ ino: InodeNumber) throws(FileSystemError) -> Descriptor {
        do throws(DiskError) {
            return try file(ino)
        } catch {
            throw failure(error)
        }
    }

    /// Cache files open just now, at most `openFilesMax`.
    package var openFileCount: Int { state.withLock { $0.open.count } }

    private func file(_ ino: InodeNumber) throws(DiskError) -> Descriptor {
        if let file = try existingFile(ino) { return file }
        let bucket = Self.bucket(of: ino)
        // Until it is counted as made, syncs of this bucket must not take it for synced: another
        // thread may write to the file as soon as it exists.
        let removals = state.withLock { state in
            state.buckets[bucket].pending += 1
            return state.removals
        }
        var isMade = false
        defer {
            state.withLock { state in
                state.buckets[bucket].pending -= 1
                if isMade { state.buckets[bucket].made += 1 }
            }
        }
        let file = try Descriptor(opening: path(of: ino), .readWrite, .create)
        isMade = true
        return keep(file, ino, openedAt: removals)
    }

    /// `nil` if the inode has no cache file.
    private func existingFile(_ ino: InodeNumber) throws(DiskError) -> Descriptor? {
        let (open, removals) = state.withLock { ($0.open.value(of: ino), $0.removals) }
        if let open { return open }
        do {
            let file = try Descriptor(opening: path(of: ino), .readWrite)
            return keep(file, ino, openedAt: removals)
        } catch {
            if error.isNotFound { return nil }
            throw error
        }
    }

    /// Puts a file opened when `removals` files had been removed into the table.
    private func keep(
        _ file: Descriptor,
        _ ino: InodeNumber,
        openedAt removals: UInt64
    ) -> Descriptor {
        // The evicted one is returned so that it is closed after the lock is let go.
        let (kept, _) = state.withLock { state -> (Descriptor, Descriptor?) in
            if let other = state.open.value(of: ino) { return (other, file) }
            // Some file was removed meanwhile, perhaps this one: usable once, but not kept.
            guard state.removals == removals else { return (file, nil) }
            return (file, state.open.insert(file, for: ino))
        }
        return kept
    }

    // MARK: The whole cache

    /// Inodes that have a cache file, in no order.
    ///
    /// Lists every bucket: for recovery, not requests.
    package func inodes() throws(FileSystemError) -> [InodeNumber] {
        var inodes: [InodeNumber] = []
        do throws(DiskError) {
            for bucket in 0..<Self.bucketCount {
                inodes += try Self.inodes(ofBucket: bucket, in: directory)
            }
        } catch {
            throw failure(error)
        }
        return inodes
    }

    /// Inodes that have a cache file in one bucket of the cache at `directory`, in no order.
    package static func inodes(
        ofBucket bucket: Int,
        in directory: String
    ) throws(DiskError) -> [InodeNumber] {
        var inodes: [InodeNumber] = []
        for name in try Directory.list(path(ofBucket: bucket, in: directory)) {
            guard let number = UInt64(name, radix: 16) else { continue }
            let ino = InodeNumber(number)
            // A stranger's file is neither ours to read nor to remove.
            if self.name(of: ino) == name, self.bucket(of: ino) == bucket { inodes.append(ino) }
        }
        return inodes
    }

    /// The parts of the inode that take space, in order, rounded to disk blocks.
    package func dataRanges(of ino: InodeNumber) throws(FileSystemError) -> [Range<UInt64>] {
        do throws(DiskError) {
            return try existingFile(ino)?.dataRanges() ?? []
        } catch {
            throw failure(error)
        }
    }

    /// Bytes of disk the cache files take.
    ///
    /// Looks at every file: for recovery, not requests.
    package func usedBytes() throws(FileSystemError) -> UInt64 {
        var total: UInt64 = 0
        for ino in try inodes() {
            do throws(DiskError) {
                total += try Descriptor(opening: path(of: ino)).allocatedBytes()
            } catch {
                if !error.isNotFound { throw failure(error) }
            }
        }
        return total
    }

    /// Bytes that may still be written on the cache's disk.
    package func freeBytes() throws(FileSystemError) -> UInt64 {
        do throws(DiskError) {
            return try Host.freeBytes(directory)
        } catch {
            throw failure(error)
        }
    }

    // MARK: Names

    /// Where the inode's cache file is or would be.
    package func path(of ino: InodeNumber) -> String { Self.path(of: ino, in: directory) }

    /// Where the inode's file is or would be in the cache at `directory`.
    package static func path(of ino: InodeNumber, in directory: String) -> String {
        path(ofBucket: bucket(of: ino), in: directory) + "/" + name(of: ino)
    }

    private static func path(ofBucket bucket: Int, in directory: String) -> String {
        directory + "/" + Hex.encode(CollectionOfOne(UInt8(truncatingIfNeeded: bucket)))
    }

    private static func bucket(of ino: InodeNumber) -> Int {
        Int(ino.rawValue % UInt64(bucketCount))
    }

    private static func name(of ino: InodeNumber) -> String { String(ino.rawValue, radix: 16) }

    private func failure(_ error: DiskError) -> FileSystemError {
        guard error.isNoSpace else { return FileSystemError(error) }
        return FileSystemError(
            .noSpace,
            "the disk of the cache is full: free space on the filesystem of \(directory)"
        )
    }
}
