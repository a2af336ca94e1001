/// A value of a JSON file, as far as receipt files have them: no fractions, no nested nulls.
///
/// Strict, so that everyone reads the same from a file: an object's names are each there once.
enum JSONValue: Hashable, Sendable {
    case object([String: JSONValue])
    case array([JSONValue])
    case string(String)
    /// 0 or more.
    case integer(UInt64)
    case null

    /// Levels in a file.
    static let depthMax = 8
    /// Bytes of a file.
    static let bytesMax = 64 << 20

    /// Reads a whole file.
    init(parsing bytes: [UInt8]) throws(ReceiptFileError) {
        guard bytes.count <= Self.bytesMax else {
            throw ReceiptFileError(place: "file", reason: "more than \(Self.bytesMax) bytes")
        }
        var parser = JSONParser(bytes: bytes)
        self = try parser.document()
    }
}

/// Reads JSON (RFC 8259) from bytes that nobody vouches for.
private struct JSONParser {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(ReceiptFileError) -> JSONValue {
        let value = try value(depth: 0)
        skipSpace()
        guard position == bytes.count else { throw wrong("something after the end") }
        return value
    }

    private mutating func value(depth: Int) throws(ReceiptFileError) -> JSONValue {
        guard depth < JSONValue.depthMax else { throw wrong("too many levels") }
        skipSpace()
        switch peek {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "n"):
            for character in "null".utf8 { try expect(character) }
            return .null
        case let byte? where Self.digits.contains(byte): return .integer(try integer())
        default: throw wrong("no value")
        }
    }

    private static let digits = UInt8(ascii: "0")...UInt8(ascii: "9")

    private mutating func object(depth: Int) throws(ReceiptFileError) -> JSONValue {
        try expect(UInt8(ascii: "{"))
        var fields: [String: JSONValue] = [:]
        skipSpace()
        if accept(UInt8(ascii: "}")) { return .object(fields) }
        repeat {
            skipSpace()
            let name = try string()
            skipSpace()
            try expect(UInt8(ascii: ":"))
            guard fields.updateValue(try value(depth: depth + 1), forKey: name) == nil else {
                throw wrong("the name \(name.printable) is there twice")
            }
            skipSpace()
        } while accept(UInt8(ascii: ","))
        try expect(UInt8(ascii: "}"))
        return .object(fields)
    }

    private mutating func array(depth: Int) throws(ReceiptFileError) -> JSONValue {
        try expect(UInt8(ascii: "["))
        var values: [JSONValue] = []
        skipSpace()
        if accept(UInt8(ascii: "]")) { return .array(values) }
        repeat {
            values.append(try value(depth: depth + 1))
            skipSpace()
        } while accept(UInt8(ascii: ","))
        try expect(UInt8(ascii: "]"))
        return .array(values)
    }

    private mutating func integer() throws(ReceiptFileError) -> UInt64 {
        let start = position
        while let digit = peek, Self.digits.contains(digit) {
            position += 1
        }
        let digits = bytes[start..<position]
        if let next = peek,
            [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(next)
        {
            throw wrong("a number that is no integer")
        }
        guard digits.count == 1 || digits.first != UInt8(ascii: "0"),
            let number = UInt64(String(decoding: digits, as: UTF8.self))
        else { throw wrong("a number that is none") }
        return number
    }

    private mutating func string() throws(ReceiptFileError) -> String {
        try expect(UInt8(ascii: "\""))
        var text: [UInt8] = []
        while let byte = peek, byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw wrong("a control character") }
            position += 1
            if byte == UInt8(ascii: "\\") {
                text += String(Character(try escaped())).utf8
            } else {
                text.append(byte)
            }
        }
        try expect(UInt8(ascii: "\""))
        guard let string = String(validating: text, as: UTF8.self) else {
            throw wrong("text that is not UTF-8")
        }
        return string
    }

    private mutating func escaped() throws(ReceiptFileError) -> Unicode.Scalar {
        guard let byte = peek else { throw wrong("the end in a string") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let first = try codeUnit()
            guard UTF16.isLeadSurrogate(first) else {
                guard let scalar = Unicode.Scalar(first) else { throw wrong("half a character") }
                return scalar
            }
            try expect(UInt8(ascii: "\\"))
            try expect(UInt8(ascii: "u"))
            let second = try codeUnit()
            guard UTF16.isTrailSurrogate(second),
                let scalar = UTF16.decode((first, second))
            else { throw wrong("half a character") }
            return scalar
        default: throw wrong("an unknown escape")
        }
    }

    private mutating func codeUnit() throws(ReceiptFileError) -> UInt16 {
        let digits = bytes[position..<min(position + 4, bytes.count)]
        guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw wrong("no four hexadecimal digits") }
        position += 4
        return unit
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = peek, [0x20, 0x09, 0x0a, 0x0d].contains(byte) { position += 1 }
    }

    private mutating func accept(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ byte: UInt8) throws(ReceiptFileError) {
        guard accept(byte) else {
            throw wrong("\(String(Character(Unicode.Scalar(byte)))) is missing")
        }
    }

    private func wrong(_ reason: String) -> ReceiptFileError {
        ReceiptFileError(place: "byte \(position)", reason: reason)
    }
}

extension UTF16 {
    /// The character that two surrogates stand for.
    fileprivate static func decode(_ pair: (UInt16, UInt16)) -> Unicode.Scalar? {
        let high = UInt32(pair.0 - 0xd800) << 10
        let low = UInt32(pair.1 - 0xdc00)
        return Unicode.Scalar(0x1_0000 + high + low)
    }
}

extension String {
    /// As it may stand in a message: short, and without control characters.
    var printable: String {
        let scalars = unicodeScalars.prefix(64).map { scalar in
            scalar.properties.generalCategory == .control ? " " : String(scalar)
        }
        return scalars.joined()
    }
}
