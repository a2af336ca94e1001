import Glibc
import Primitives
import Proofs
import Reliability
import Testing

/// 2023-11-14, when the observers of these tests begin to look.
let birth = Timestamp(seconds: 1_700_000_000, nanoseconds: 0)
let hour = 3600.0
let day = 24 * hour

extension ErasureCode {
    static func of(_ text: String) throws -> ErasureCode { try #require(ErasureCode(text)) }
}

extension ProviderHistory {
    /// A provider seen up and proved every hour for `days`.
    static func good(days: Int, leaves: Int = 32) -> ProviderHistory {
        var history = ProviderHistory(firstSeen: birth)
        for number in 0...days * 24 {
            history.note(.ok, leaves: leaves, at: birth.adding(seconds: Double(number) * hour))
        }
        return history
    }

    /// Notes the same verdict every hour for `hours`, from `start` on; the last time.
    mutating func note(_ verdict: Verdict, hours: Int, from start: Timestamp) -> Timestamp {
        for number in 0...hours {
            note(verdict, leaves: 32, at: start.adding(seconds: Double(number) * hour))
        }
        return start.adding(seconds: Double(hours) * hour)
    }
}

/// Golden bytes: hexadecimal lines under `Tests/Golden/reliability`, with a line on what they are.
enum Golden {
    /// The file's bytes; with MEFS_NEW_GOLDEN=1 and no file, makes it of `bytes` first.
    static func bytes(
        _ name: String,
        _ what: String,
        ifNew bytes: [UInt8],
        sourceFile: String = #filePath
    ) throws -> [UInt8] {
        let tests = sourceFile.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
        let path = tests.joined(separator: "/") + "/Golden/reliability/\(name).hex"
        if access(path, F_OK) != 0, getenv("MEFS_NEW_GOLDEN") != nil {
            var lines = ["# \(what)"]
            var rest = bytes[...]
            while !rest.isEmpty {
                lines.append(Hex.encode(rest.prefix(32)))
                rest = rest.dropFirst(32)
            }
            let file = try #require(fopen(path, "w"))
            fputs(lines.joined(separator: "\n") + "\n", file)
            fclose(file)
        }
        let file = try #require(fopen(path, "r"), "no file \(path)")
        defer { fclose(file) }
        var text = [UInt8](repeating: 0, count: 64 << 10)
        let count = fread(&text, 1, text.count, file)
        let digits = String(decoding: text[..<count], as: UTF8.self)
            .split(separator: "\n").filter { !$0.hasPrefix("#") }.joined()
        return try #require(Hex.decode(digits), "\(path) is not hexadecimal")
    }
}
