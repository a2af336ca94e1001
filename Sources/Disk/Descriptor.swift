import CLinux
import Glibc

/// An open file of the local disk, closed when its last reference goes.
///
/// All methods may be called from any thread at once; each is one or a few system calls that carry
/// their own offset. They block, so never call them from an event loop. Interrupted and short
/// transfers are carried on with.
package final class Descriptor: Sendable {
    /// What may be done with the open file.
    package enum Access: Sendable {
        case readOnly
        case writeOnly
        case readWrite
    }

    /// How a file is opened; see `man 2 open`.
    ///
    /// Close-on-exec is always set.
    package struct Options: OptionSet, Sendable {
        package let rawValue: Int32

        package init(rawValue: Int32) { self.rawValue = rawValue }

        /// Make the file if it is missing.
        package static let create = Options(rawValue: O_CREAT)
        /// With `create`: fail with EEXIST if something is there.
        package static let exclusive = Options(rawValue: O_EXCL)
        package static let truncate = Options(rawValue: O_TRUNC)
        /// Every `append` lands at the end.
        package static let append = Options(rawValue: O_APPEND)
        /// A final symbolic link fails with ELOOP.
        package static let noFollow = Options(rawValue: O_NOFOLLOW)
        /// Anything but a directory fails with ENOTDIR.
        package static let directory = Options(rawValue: O_DIRECTORY)
        package static let nonBlocking = Options(rawValue: O_NONBLOCK)
        /// Around the page cache; buffers, offsets and counts must be aligned to the disk.
        package static let direct = Options(rawValue: clinux_O_DIRECT)
    }

    /// The kernel's number of the open file, valid while this object lives.
    ///
    /// -1 of a simulated file: whoever goes around the methods gets EBADF.
    package let fd: Int32
    /// What is called instead of the kernel, if the file is of a simulated disk.
    let simulated: (any SimulatedFile)?
    /// Where it was opened, for messages.
    package let path: String

    /// Opens `path`; a file that is made gets `permissions` (less the umask).
    package init(
        opening path: String,
        _ access: Access = .readOnly,
        _ options: Options = [],
        permissions: UInt32 = 0o600
    ) throws(DiskError) {
        let accessFlag =
            switch access {
            case .readOnly: O_RDONLY
            case .writeOnly: O_WRONLY
            case .readWrite: O_RDWR
            }
        let flags = accessFlag | options.rawValue | O_CLOEXEC
        self.path = path
        if let kernel = Simulation.current {
            simulated = try kernel.files.open(path, access, options)
            fd = -1
            return
        }
        simulated = nil
        fd = try systemCall(options.contains(.create) ? "create" : "open", path) {
            open(path, flags, permissions)
        }
    }

    /// Takes over an open file; nobody else may close `fd` from here on.
    package init(adopting fd: Int32, path: String) {
        self.fd = fd
        self.path = path
        simulated = nil
    }

    deinit {
        // After EINTR the descriptor is closed too on Linux, so there is nothing to retry. Write
        // errors show at `syncData`, which whoever must know has called.
        if fd >= 0 { close(fd) }
    }

    // MARK: Transfers

    /// Reads from `offset` on; fewer bytes than the buffer holds come only at the end of the file.
    package func read(
        at offset: UInt64,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(DiskError) -> Int {
        if let simulated { return try simulated.read(at: offset, into: buffer) }
        var done = 0
        while done < buffer.count {
            let start = try kernelOffset(offset &+ UInt64(done), "read", path)
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = try systemCall("read", path) {
                pread(fd, rest.baseAddress, rest.count, start)
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// Reads up to `count` bytes from `offset` on; fewer only at the end of the file.
    package func read(at offset: UInt64, count: Int) throws(DiskError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let length = try bytes.withUnsafeMutableBufferPointer { buffer throws(DiskError) in
            try read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
        }
        bytes.removeLast(count - length)
        return bytes
    }

    /// Writes all of `buffer` at `offset`; after an error any part of it may have been written.
    package func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(DiskError) {
        if let simulated { return try simulated.write(at: offset, from: buffer) }
        var done = 0
        while done < buffer.count {
            let start = try kernelOffset(offset &+ UInt64(done), "write", path)
            let rest = UnsafeRawBufferPointer(rebasing: buffer[done...])
            done += try systemCall("write", path) {
                pwrite(fd, rest.baseAddress, rest.count, start)
            }
        }
    }

    /// Writes all of `bytes` at `offset`.
    package func write(at offset: UInt64, _ bytes: [UInt8]) throws(DiskError) {
        try bytes.withUnsafeBufferPointer { buffer throws(DiskError) in
            try write(at: offset, from: UnsafeRawBufferPointer(buffer))
        }
    }

    /// Writes all of `bytes` at the descriptor's own position, or at the end with `.append`.
    package func append(_ bytes: [UInt8]) throws(DiskError) {
        if let simulated { return try simulated.append(bytes) }
        try bytes.withUnsafeBufferPointer { buffer throws(DiskError) in
            var rest = UnsafeRawBufferPointer(buffer)
            while !rest.isEmpty {
                let count = try systemCall("write", path) {
                    Glibc.write(fd, rest.baseAddress, rest.count)
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }

    // MARK: Durability

    /// Returns once data, and the metadata needed to read it, are on the disk: `man 2 fdatasync`.
    ///
    /// A failure means that some earlier write may be lost, and the next call may not say so
    /// again; treat what was not synced as lost.
    package func syncData() throws(DiskError) {
        if let simulated { return try simulated.sync() }
        try systemCall("sync", path) { fdatasync(fd) }
    }

    /// Returns once data and all metadata are on the disk; of a directory, its entries.
    package func sync() throws(DiskError) {
        if let simulated { return try simulated.sync() }
        try systemCall("sync", path) { fsync(fd) }
    }

    /// Writes back the whole filesystem that holds the file: `man 2 syncfs`.
    package func syncFilesystem() throws(DiskError) {
        if let simulated { return try simulated.syncFilesystem() }
        try systemCall("sync the filesystem of", path) { clinux_sync_filesystem(fd) }
    }

    // MARK: The lock of the whole file

    /// Takes it without waiting; EAGAIN if another open file has it.
    func lock() throws(DiskError) {
        if let simulated { return try simulated.lock() }
        try systemCall("lock", path) { clinux_lock_file(fd) }
    }

    func unlock() {
        if let simulated { return simulated.unlock() }
        _ = clinux_unlock_file(fd)
    }

    var isLockedByAnother: Bool {
        if let simulated { return simulated.isLockedByAnother }
        return clinux_is_file_locked(fd) == 1
    }
}
