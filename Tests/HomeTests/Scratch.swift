import Disk
import Glibc
import Home

/// Runs `body` with a home in a fresh directory, removed after.
func withHome(_ body: (Home) throws -> Void) throws {
    let directory = "/tmp/mefs-test-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    try Directory.make(directory, durably: false)
    defer { try? Directory.remove(tree: directory) }
    try body(Home(path: directory + "/home"))
}
