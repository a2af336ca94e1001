import Disk
import Glibc
import Primitives

/// A file or directory of a simulated disk, opened by one life of its machine.
final class OpenFile: SimulatedFile {
    let node: DiskNode
    let path: String
    /// Whether the opening made it.
    let isNew: Bool
    private let canRead: Bool
    private let canWrite: Bool
    let life: ProcessLife

    init(
        _ node: DiskNode,
        path: String,
        isNew: Bool,
        canWrite: Bool,
        canRead: Bool,
        life: ProcessLife
    ) {
        self.node = node
        self.path = path
        self.isNew = isNew
        self.canWrite = canWrite
        self.canRead = canRead
        self.life = life
    }

    deinit {
        if case .file(let file) = node {
            life.disk.close(file, holder: ObjectIdentifier(self), life)
        }
    }

    private var disk: SimulatedDisk { life.disk }

    private func file(_ operation: String, writes: Bool) throws(DiskError) -> FileNode {
        guard case .file(let file) = node else {
            throw DiskError(operation, path, errno: EISDIR)
        }
        guard writes ? canWrite : canRead else {
            throw DiskError(operation, path, errno: EBADF)
        }
        return file
    }

    func read(
        at offset: UInt64,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(DiskError) -> Int {
        let file = try file("read", writes: false)
        try check(offset, buffer.count, "read")
        return try disk.read(file, path, at: offset, into: buffer, life)
    }

    func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(DiskError) {
        let file = try file("write", writes: true)
        try check(offset, buffer.count, "write")
        try disk.write(file, path, at: offset, from: buffer, life)
    }

    func append(_ bytes: [UInt8]) throws(DiskError) {
        let file = try file("write", writes: true)
        try bytes.withUnsafeBufferPointer { buffer throws(DiskError) in
            try disk.write(file, path, at: nil, from: UnsafeRawBufferPointer(buffer), life)
        }
    }

    /// Offsets are below 2^63, as the kernel's are.
    private func check(_ offset: UInt64, _ count: Int, _ operation: String) throws(DiskError) {
        guard offset <= UInt64(Int64.max) - UInt64(count) else {
            throw DiskError(operation, path, errno: EOVERFLOW)
        }
    }

    func sync() throws(DiskError) { try disk.sync(node, path, life) }

    func syncFilesystem() throws(DiskError) { try disk.syncAll(path, life) }

    func size() throws(DiskError) -> UInt64 {
        guard case .file(let file) = node else { return 0 }
        return try disk.look(path, life) { file.size }
    }

    func allocatedBytes() throws(DiskError) -> UInt64 {
        guard case .file(let file) = node else { return 0 }
        return try disk.look(path, life) { file.allocatedBytes }
    }

    func isOpenOnce() throws(DiskError) -> Bool {
        guard case .file(let file) = node else { return false }
        return try disk.look(path, life) { file.opens == 1 }
    }

    func stamp() throws(DiskError) -> FileStamp {
        guard case .file(let file) = node else {
            throw DiskError("stat", path, errno: EISDIR)
        }
        return try disk.look(path, life) {
            FileStamp(
                size: file.size,
                modified: file.modified,
                allocatedBytes: file.allocatedBytes
            )
        }
    }

    func truncate(to size: UInt64) throws(DiskError) {
        try disk.truncate(try file("truncate", writes: true), path, to: size, life)
    }

    func zero(_ range: Range<UInt64>, keepsSpace: Bool, keepsSize: Bool) throws(DiskError) {
        let file = try file("punch a hole in", writes: true)
        guard !range.isEmpty else { return }
        try check(range.upperBound, 0, "punch a hole in")
        try disk.zero(
            file,
            path,
            range,
            keepsSpace: keepsSpace,
            keepsSize: keepsSize,
            life
        )
    }

    func allocate(_ range: Range<UInt64>, keepSize: Bool) throws(DiskError) {
        let file = try file("allocate space in", writes: true)
        guard !range.isEmpty else { return }
        try check(range.upperBound, 0, "allocate space in")
        try disk.allocate(file, path, range, keepSize: keepSize, life)
    }

    func nextData(from offset: UInt64) throws(DiskError) -> UInt64? {
        let file = try file("find data in", writes: false)
        return try disk.look(path, life) { file.nextData(from: offset) }
    }

    func nextHole(from offset: UInt64) throws(DiskError) -> UInt64? {
        let file = try file("find a hole in", writes: false)
        return try disk.look(path, life) { file.nextHole(from: offset) }
    }

    // MARK: The lock

    func lock() throws(DiskError) {
        try disk.lock(
            try file("lock", writes: true),
            path,
            holder: ObjectIdentifier(self),
            life
        )
    }

    func unlock() {
        if case .file(let file) = node {
            disk.unlock(file, holder: ObjectIdentifier(self))
        }
    }

    var isLockedByAnother: Bool {
        guard case .file(let file) = node else { return false }
        return disk.isLocked(file, butNotBy: ObjectIdentifier(self))
    }
}
