import Control

/// The shape that `mount(8)` and `umount(8)` give to their helpers' arguments: operands, single
/// letters, and comma lists after `-o`.
struct HelperArguments: Hashable, Sendable {
    private(set) var operands: [String] = []
    private(set) var flags: Set<Character> = []
    /// The elements of all `-o` lists, in order.
    private(set) var options: [String] = []

    /// Letters without a value; those that mean nothing here are taken all the same, because
    /// `mount(8)` passes them on: -n (no mtab), -s (sloppy), -d (loop devices).
    private static let letters: Set<Character> = ["f", "l", "n", "s", "v", "r", "w", "d"]
    /// Letters with a value that is not used: -t TYPE, -N NAMESPACE.
    private static let lettersWithValue: Set<Character> = ["t", "N"]

    init(parsing arguments: [String]) throws(ControlFailure) {
        var rest = arguments[...]
        while let word = rest.popFirst() {
            if word == "--" {
                operands.append(contentsOf: rest)
                break
            }
            guard word.hasPrefix("-"), word.count > 1 else {
                operands.append(word)
                continue
            }
            try take(letters: word.dropFirst(), of: word, rest: &rest)
        }
    }

    private mutating func take(
        letters: Substring,
        of word: String,
        rest: inout ArraySlice<String>
    ) throws(ControlFailure) {
        var letters = letters
        while let letter = letters.popFirst() {
            if Self.letters.contains(letter) {
                flags.insert(letter)
            } else if letter == "o" || Self.lettersWithValue.contains(letter) {
                // As with getopt: the rest of the word, or else the next word.
                guard let value = letters.isEmpty ? rest.popFirst() : String(letters) else {
                    throw ControlFailure(.usage, "-\(letter) needs a value")
                }
                if letter == "o" { options.append(contentsOf: Self.elements(of: value)) }
                return
            } else {
                throw ControlFailure(.usage, "unknown option '\(word)'")
            }
        }
    }

    private static func elements(of list: String) -> [String] {
        list.split(separator: ",").map(String.init)
    }
}

/// The value of one `-o` option on its way to a number.
struct OptionValue {
    private let name: String
    private let text: String

    init(_ name: String, _ text: String) {
        self.name = name
        self.text = text
    }

    /// A size such as "50G", "500M", "1T" or "4096"; suffixes are powers of 1024.
    func bytes() throws(ControlFailure) -> UInt64 {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let suffix = text.dropFirst(digits.count).lowercased()
        guard let number = UInt64(digits), let shift = Self.shift(ofSuffix: suffix) else {
            throw ControlFailure(
                .usage,
                "\(name)=\(text) is not a size; write it as 500M, 50G or 1T"
            )
        }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        guard !overflow, bytes > 0 else {
            throw ControlFailure(.usage, "\(name)=\(text) is out of range")
        }
        return bytes
    }

    private static func shift(ofSuffix suffix: String) -> UInt64? {
        switch suffix {
        case "", "b": 0
        case "k", "kb", "kib": 10
        case "m", "mb", "mib": 20
        case "g", "gb", "gib": 30
        case "t", "tb", "tib": 40
        default: nil
        }
    }

    /// Seconds, with or without decimals, from 0 to `max`.
    func seconds(max: Double) throws(ControlFailure) -> Double {
        guard let seconds = Double(text), seconds >= 0, seconds <= max else {
            throw ControlFailure(
                .usage,
                "\(name)=\(text) is not a number of seconds from 0 to \(Int(max))"
            )
        }
        return seconds
    }

    /// "on" or "off".
    func isOn() throws(ControlFailure) -> Bool {
        switch text {
        case "on": true
        case "off": false
        default: throw ControlFailure(.usage, "\(name)=\(text) is neither on nor off")
        }
    }

    /// A whole number from 1 to `max`.
    func count(upTo max: UInt64) throws(ControlFailure) -> UInt64 {
        guard let count = UInt64(text), (1...max).contains(count) else {
            throw ControlFailure(
                .usage,
                "\(name)=\(text) is not a whole number from 1 to \(max)"
            )
        }
        return count
    }
}
