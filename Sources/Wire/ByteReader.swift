package import Primitives

/// Why bytes from a disk or a network are not what they should be.
package enum DecodeError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The bytes end before the value does.
    case truncated(needed: Int, available: Int)
    /// A length or count exceeds its named limit.
    case tooLong(field: String, value: UInt64, limit: UInt64)
    /// A field holds a value that its format does not have.
    case invalid(field: String, reason: String)
    /// The first bytes are not this format's.
    case badMagic(expected: String)
    /// A version this program does not know.
    case unsupportedVersion(UInt64)
    /// Bytes are left after the value.
    case trailingBytes(Int)
    /// A checksum or tag does not match.
    case corrupt(String)

    package var description: String {
        switch self {
        case .truncated(let needed, let available):
            "truncated: \(needed) bytes needed, \(available) left"
        case .tooLong(let field, let value, let limit):
            "\(field) is \(value), more than its limit \(limit)"
        case .invalid(let field, let reason): "\(field) is invalid: \(reason)"
        case .badMagic(let expected): "not a \(expected)"
        case .unsupportedVersion(let version): "unsupported version \(version)"
        case .trailingBytes(let count): "\(count) bytes too many"
        case .corrupt(let what): "\(what) is corrupt"
        }
    }
}

/// Reads little-endian values from bytes that nobody vouches for; throws, never traps.
package struct ByteReader {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    package init(_ bytes: [UInt8]) {
        self.init(bytes[...])
    }

    package init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    /// Bytes not yet read.
    package var remaining: Int { bytes.endIndex - position }

    /// Reads a fixed-width integer, little-endian.
    package mutating func integer<T: FixedWidthInteger>(
        _ type: T.Type = T.self
    ) throws(DecodeError) -> T {
        let width = MemoryLayout<T>.size
        guard remaining >= width else {
            throw .truncated(needed: width, available: remaining)
        }
        var value: T = 0
        for index in (0..<width).reversed() {
            value = value << 8 | T(truncatingIfNeeded: bytes[position + index])
        }
        position += width
        return value
    }

    /// Reads an integer of 1 to 10 bytes of 7 bits each, the lowest first (LEB128).
    ///
    /// - Throws: `invalid` for more than 64 bits.
    package mutating func varint() throws(DecodeError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 63, by: 7) {
            let byte = try integer(UInt8.self)
            guard shift < 63 || byte <= 1 else { break }
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
        }
        throw .invalid(field: "varint", reason: "more than 64 bits")
    }

    /// Reads exactly `count` bytes.
    package mutating func bytes(_ count: Int) throws(DecodeError) -> ArraySlice<UInt8> {
        guard count >= 0, remaining >= count else {
            throw .truncated(needed: count, available: remaining)
        }
        defer { position += count }
        return bytes[position..<position + count]
    }

    /// Reads bytes preceded by their length as `UInt32`.
    ///
    /// - Throws: `tooLong` above `limit`, before anything is allocated.
    package mutating func lengthPrefixed(
        _ field: String,
        limit: Int
    ) throws(DecodeError) -> ArraySlice<UInt8> {
        let length = try integer(UInt32.self)
        guard length <= limit else {
            throw .tooLong(field: field, value: UInt64(length), limit: UInt64(limit))
        }
        return try bytes(Int(length))
    }

    /// Reads length-prefixed UTF-8 text.
    package mutating func string(_ field: String, limit: Int) throws(DecodeError) -> String {
        let slice = try lengthPrefixed(field, limit: limit)
        guard let text = String(validating: slice, as: UTF8.self) else {
            throw .invalid(field: field, reason: "not UTF-8")
        }
        return text
    }

    /// Reads a count as `UInt32`, refusing more than `limit`.
    package mutating func count(_ field: String, limit: Int) throws(DecodeError) -> Int {
        let count = try integer(UInt32.self)
        guard count <= limit else {
            throw .tooLong(field: field, value: UInt64(count), limit: UInt64(limit))
        }
        return Int(count)
    }

    /// Reads an opaque id.
    package mutating func id<ID: OpaqueID>(_ type: ID.Type = ID.self) throws(DecodeError) -> ID {
        guard let id = ID(bytes: try bytes(ID.byteCount)) else {
            throw .invalid(field: "\(ID.self)", reason: "wrong length")
        }
        return id
    }

    /// Refuses bytes left over.
    package func finish() throws(DecodeError) {
        guard remaining == 0 else { throw .trailingBytes(remaining) }
    }
}
