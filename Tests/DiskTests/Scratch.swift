import Disk
import Glibc
import Testing

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
    let template = "/tmp/mefs-test-XXXXXX"
    let path = template.utf8CString.withUnsafeBufferPointer { source -> String? in
        var bytes = Array(source)
        return bytes.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
        }
    }
    return try #require(path)
}
