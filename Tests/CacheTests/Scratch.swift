import Cache
import Disk
import Glibc
import Primitives
import Testing

/// Runs `body` with a cache in a fresh directory, removed after.
func withCache(_ body: (CacheStore) throws -> Void) throws {
    try withScratch { directory in try body(CacheStore(directory: directory + "/cache")) }
}

/// Runs `body` with a fresh directory, removed after.
func withScratch(_ body: (String) throws -> Void) throws {
    let directory = try makeScratch()
    defer { try? Directory.remove(tree: directory) }
    try body(directory)
}

/// Runs `body` with a fresh tmpfs of `bytes` bytes, unmounted after.
func withTinyDisk(bytes: Int, _ body: (String) throws -> Void) throws {
    let directory = try makeScratch()
    defer { try? Directory.remove(tree: directory) }
    try #require(mount("tmpfs", directory, "tmpfs", 0, "size=\(bytes)") == 0)
    defer { umount2(directory, Int32(MNT_DETACH)) }
    try body(directory)
}

/// Mounting needs the superuser.
let isSuperuser = geteuid() == 0

private func makeScratch() throws -> String {
    let path = "/tmp/mefs-test-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    try Directory.make(path, durably: false)
    return path
}

extension CacheStore {
    func write(_ ino: InodeNumber, at offset: UInt64, _ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try write(ino, offset: offset, from: $0) }
    }

    func read(_ ino: InodeNumber, at offset: UInt64, _ count: Int) throws -> [UInt8] {
        // Not zero before, so that what is not filled in shows.
        var bytes = [UInt8](repeating: 0xee, count: count)
        try bytes.withUnsafeMutableBytes { try read(ino, offset: offset, into: $0) }
        return bytes
    }
}
