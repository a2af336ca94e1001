import Disk
import Glibc
import Primitives
import Testing

/// Golden bytes: hexadecimal lines under `Tests/Golden`, with a line on what they are.
enum Golden {
    private static func path(_ name: String, _ sourceFile: String) -> String {
        let tests = sourceFile.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
        return tests.joined(separator: "/") + "/Golden/\(name).hex"
    }

    /// Compares `bytes` with the file; with MEFS_NEW_GOLDEN=1, makes the file if there is none.
    static func expect(
        _ bytes: [UInt8],
        _ name: String,
        _ what: String,
        sourceFile: String = #filePath
    ) throws {
        let path = path(name, sourceFile)
        if !WholeFile.exists(path), getenv("MEFS_NEW_GOLDEN") != nil {
            var lines = ["# \(what)"]
            var rest = bytes[...]
            while !rest.isEmpty {
                lines.append(Hex.encode(rest.prefix(32)))
                rest = rest.dropFirst(32)
            }
            try WholeFile.replace(path, with: Array((lines.joined(separator: "\n") + "\n").utf8))
        }
        #expect(Hex.encode(bytes) == (try digits(path)), "\(name) has changed")
    }

    /// The bytes of the file.
    static func bytes(_ name: String, sourceFile: String = #filePath) throws -> [UInt8] {
        try #require(Hex.decode(try digits(path(name, sourceFile))))
    }

    private static func digits(_ path: String) throws -> String {
        let text = String(decoding: try WholeFile.read(path), as: UTF8.self)
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.joined()
    }
}
