import ArgumentParser

/// A number of bytes as people write it: "50G", "500M", "1T", "4096"; suffixes are powers of 1024.
struct ByteSize: ExpressibleByArgument, Equatable {
    let bytes: UInt64

    init(bytes: UInt64) { self.bytes = bytes }

    /// Takes a whole number with an optional suffix K, M, G, T or P (also "GiB", "GB", "g").
    init?(argument: String) {
        let digits = argument.prefix { $0.isASCII && $0.isNumber }
        guard let number = UInt64(digits) else { return nil }
        let suffix = argument.dropFirst(digits.count).lowercased()
        guard let shift = Self.shift(ofSuffix: suffix) else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        guard !overflow else { return nil }
        self.bytes = bytes
    }

    private static func shift(ofSuffix suffix: String) -> UInt64? {
        if suffix.isEmpty || suffix == "b" { return 0 }
        guard let letter = suffix.first, ["", "b", "ib"].contains(suffix.dropFirst()) else {
            return nil
        }
        return switch letter {
        case "k": 10
        case "m": 20
        case "g": 30
        case "t": 40
        case "p": 50
        default: nil
        }
    }
}

/// Numbers written for people.
enum Readable {
    private static let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]

    /// "0 B", "512 B", "1.5 MiB", "120 GiB": three digits at most.
    static func bytes(_ count: some BinaryInteger) -> String {
        var value = Double(count)
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        let digits = unit == 0 || value >= 100 ? 0 : 1
        return "\(decimal(value, digits: digits)) \(units[unit])"
    }

    /// `value` with exactly `digits` digits after the point.
    static func decimal(_ value: Double, digits: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "?" }
        guard digits > 0 else { return "\(Int64(value.rounded()))" }
        let scale = (0..<digits).reduce(Int64(1)) { product, _ in product * 10 }
        let scaled = Int64((abs(value) * Double(scale)).rounded())
        let fraction = String(scaled % scale)
        let padding = String(repeating: "0", count: digits - fraction.count)
        return "\(value < 0 ? "-" : "")\(scaled / scale).\(padding)\(fraction)"
    }

    /// "0.3 %", "1 in 5 million": a probability, 0...1.
    static func chance(_ probability: Double) -> String {
        guard probability > 0 else { return "no chance" }
        if probability >= 0.0005 { return "\(decimal(probability * 100, digits: 1)) %" }
        let odds = 1 / probability
        if odds < 1e6 { return "1 in \(count(Int64(odds)))" }
        if odds < 1e9 { return "1 in \(count(Int64(odds / 1e6))) million" }
        return odds < 1e15 ? "1 in \(count(Int64(odds / 1e9))) billion" : "next to no chance"
    }

    /// "1.5 GiB·h": what was proved, times how long.
    static func byteSeconds(_ count: Double) -> String {
        "\(bytes(Int64(max(0, min(count / 3600, 1e18)))))·h"
    }

    /// "8,000": groups of three digits.
    static func count(_ number: some BinaryInteger) -> String {
        var text = ""
        for (index, digit) in String(number).reversed().enumerated() {
            if index > 0, index.isMultiple(of: 3), digit != "-" { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }

    /// "3 s", "4 min", "2 h 5 min", "3 d".
    static func seconds(_ seconds: Double) -> String {
        let whole = Int64(max(0, min(seconds, 1e12)).rounded())
        if whole < 120 { return "\(whole) s" }
        if whole < 7200 { return "\(whole / 60) min" }
        if whole < 172_800 { return "\(whole / 3600) h \(whole % 3600 / 60) min" }
        return "\(whole / 86400) d"
    }
}
