import Glibc
import Primitives
import Testing

/// Golden bytes: hexadecimal lines under `Tests/Golden`, with a line on what they are.
enum GoldenFile {
    static func bytes(_ name: String) throws -> [UInt8] {
        let digits = try lines("\(name).hex").joined()
        return try #require(Hex.decode(digits), "\(name) is not hexadecimal")
    }

    /// The lines of a file, without remarks.
    static func lines(_ name: String, sourceFile: String = #filePath) throws -> [String] {
        let tests = sourceFile.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
        let path = tests.joined(separator: "/") + "/Golden/sealing/\(name)"
        let file = try #require(fopen(path, "r"), "no file \(path)")
        defer { fclose(file) }
        var text = [UInt8](repeating: 0, count: 64 << 10)
        let count = fread(&text, 1, text.count, file)
        return String(decoding: text[..<count], as: UTF8.self)
            .split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
    }
}

/// `count` bytes that grow by one from `first`.
func sequence(from first: UInt8, count: Int) -> [UInt8] {
    (0..<count).map { first &+ UInt8(truncatingIfNeeded: $0) }
}

/// The bytes hexadecimal text stands for; white space is allowed in it.
func hex(_ text: String) throws -> [UInt8] {
    try #require(Hex.decode(String(text.filter { !$0.isWhitespace })))
}
