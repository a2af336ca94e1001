import Glibc
import Primitives
import Testing

/// Golden bytes: hexadecimal lines under `Tests/Golden`, with a line on what they are.
enum Golden {
    /// Compares `bytes` with the file; with MEFS_NEW_GOLDEN=1, makes the file if there is none.
    static func expect(
        _ bytes: [UInt8],
        _ name: String,
        _ what: String,
        sourceFile: String = #filePath
    ) throws {
        let tests = sourceFile.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
        let path = tests.joined(separator: "/") + "/Golden/\(name)"
        if access(path, F_OK) != 0, getenv("MEFS_NEW_GOLDEN") != nil {
            try write(text(of: bytes, what), to: path)
        }
        let file = try #require(fopen(path, "r"), "no file \(path)")
        defer { fclose(file) }
        var text = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&text, 1, text.count, file)
        let lines = String(decoding: text[..<count], as: UTF8.self)
        #expect(lines == self.text(of: bytes, what), "\(name) has changed")
    }

    private static func text(of bytes: [UInt8], _ what: String) -> String {
        var lines = ["# \(what)"]
        var rest = bytes[...]
        while !rest.isEmpty {
            lines.append(Hex.encode(rest.prefix(32)))
            rest = rest.dropFirst(32)
        }
        return lines.joined(separator: "\n") + "\n"
    }

    static func write(_ text: String, to path: String) throws {
        let file = try #require(fopen(path, "w"), "cannot make \(path)")
        defer { fclose(file) }
        fputs(text, file)
    }
}

extension Golden {
    /// Compares `text` with a file that is text itself.
    static func expectText(
        _ text: String,
        _ name: String,
        sourceFile: String = #filePath
    ) throws {
        let tests = sourceFile.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
        let path = tests.joined(separator: "/") + "/Golden/\(name)"
        if access(path, F_OK) != 0, getenv("MEFS_NEW_GOLDEN") != nil { try write(text, to: path) }
        let file = try #require(fopen(path, "r"), "no file \(path)")
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        #expect(String(decoding: bytes[..<count], as: UTF8.self) == text, "\(name) has changed")
    }
}
