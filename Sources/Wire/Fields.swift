package import Primitives

/// Fields that several formats share.
extension ByteWriter {
    package mutating func timestamp(_ time: Timestamp) {
        integer(time.seconds)
        integer(time.nanoseconds)
    }

    package mutating func code(_ code: ErasureCode) {
        integer(UInt8(code.k))
        integer(UInt8(code.m))
    }

    package mutating func boolean(_ value: Bool) {
        integer(UInt8(value ? 1 : 0))
    }
}

extension ByteReader {
    /// Within 300,000 years of 1970, so that differences never overflow.
    package mutating func timestamp() throws(DecodeError) -> Timestamp {
        let seconds = try integer(Int64.self)
        let nanoseconds = try integer(UInt32.self)
        guard nanoseconds < 1_000_000_000 else {
            throw .invalid(field: "time", reason: "\(nanoseconds) nanoseconds")
        }
        guard seconds.magnitude < 1 << 43 else {
            throw .invalid(field: "time", reason: "\(seconds) seconds")
        }
        return Timestamp(seconds: seconds, nanoseconds: nanoseconds)
    }

    /// A code that `ErasureCode` takes.
    package mutating func code() throws(DecodeError) -> ErasureCode {
        let k = Int(try integer(UInt8.self))
        let m = Int(try integer(UInt8.self))
        guard let code = ErasureCode(k: k, m: m) else {
            throw .invalid(field: "code", reason: "\(k)+\(m)")
        }
        return code
    }

    /// One byte, 0 or 1.
    package mutating func boolean(_ field: String) throws(DecodeError) -> Bool {
        switch try integer(UInt8.self) {
        case 0: return false
        case 1: return true
        case let other: throw .invalid(field: field, reason: "\(other) is neither 0 nor 1")
        }
    }

    /// Text that people read: UTF-8 without control characters.
    package mutating func label(_ field: String, limit: Int) throws(DecodeError) -> String {
        let text = try string(field, limit: limit)
        guard text.isLabel else { throw .invalid(field: field, reason: "control characters") }
        return text
    }
}

extension String {
    /// Whether it may be shown on a terminal as it is: no control characters.
    package var isLabel: Bool {
        unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
    }
}
