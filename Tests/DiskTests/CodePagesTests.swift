import Disk
import Glibc
import Testing

@Suite("Code pages")
struct CodePagesTests {
    /// Kibibytes of the program and its libraries in this process's memory.
    private func fileKiB() throws -> Int {
        let status = String(decoding: try WholeFile.read("/proc/self/status"), as: UTF8.self)
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssFile:") }
        return try #require(line.flatMap { Int($0.split(whereSeparator: \.isWhitespace)[1]) })
    }

    @Test("a process that lets go of its code goes on with less of it in memory")
    func releases() throws {
        let before = try fileKiB()
        CodePages.release()
        let after = try fileKiB()
        #expect(after < before)
    }
}
