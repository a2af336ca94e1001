import Primitives
import Wire

extension [JSONField] {
    /// The encoding of the format with these fields from the object at `place`; a name that is none
    /// of theirs is refused.
    func encoding(of value: JSONValue, at place: String) throws(ReceiptFileError) -> [UInt8] {
        var writer = ByteWriter()
        try write(value, at: place, to: &writer)
        return writer.bytes
    }

    fileprivate func write(
        _ value: JSONValue,
        at place: String,
        to writer: inout ByteWriter
    ) throws(ReceiptFileError) {
        guard case .object(let object) = value else {
            throw ReceiptFileError(place: place, reason: "not an object")
        }
        for field in self {
            let place = "\(place).\(field.name)"
            guard let value = object[field.name] else {
                throw ReceiptFileError(place: place, reason: "missing")
            }
            guard try field.write(value, at: place, to: &writer) else {
                throw ReceiptFileError(place: place, reason: "not \(field.kind.form)")
            }
        }
        if object.count > count {
            let names = Set(map(\.name))
            let unknown = object.keys.filter { !names.contains($0) }.min() ?? ""
            throw ReceiptFileError(place: "\(place).\(unknown.printable)", reason: "unknown field")
        }
    }
}

extension JSONField {
    /// Appends the field's bytes; false if `value` is not of its form.
    ///
    /// A value can be written in one way only: what is read is what `write` would write.
    fileprivate func write(
        _ value: JSONValue,
        at place: String,
        to writer: inout ByteWriter
    ) throws(ReceiptFileError) -> Bool {
        switch (kind, value) {
        case (.u32, .integer(let number)):
            guard let number = UInt32(exactly: number) else { return false }
            writer.integer(number)
        case (.u64, .integer(let number)): writer.integer(number)
        case (.rights, .array(let names)):
            guard let bits = Self.rights(names) else { return false }
            writer.integer(bits)
        case (.shards, .array(let ids)):
            guard let bytes = Self.shards(ids) else { return false }
            writer.integer(UInt32(ids.count))
            writer.raw(bytes)
        case (.fields(let fields), _): try fields.write(value, at: place, to: &writer)
        case (_, .string(let text)): return write(text, to: &writer)
        default: return false
        }
        return true
    }

    private func write(_ text: String, to writer: inout ByteWriter) -> Bool {
        switch kind {
        case .hex(let count):
            guard let bytes = Self.hex(text, count: count) else { return false }
            writer.raw(bytes)
        case .u128:
            guard let number = UInt128(text), "\(number)" == text else { return false }
            writer.integer(number)
        case .time:
            guard let time = Timestamp(iso: text) else { return false }
            writer.timestamp(time)
        case .verdict:
            guard let verdict = Verdict(name: text) else { return false }
            writer.integer(verdict.rawValue)
        case .text:
            guard text.utf8.count <= Receipt.reasonBytesMax else { return false }
            writer.string(text)
        case .base64:
            guard let bytes = Base64.decode(text) else { return false }
            writer.lengthPrefixed(bytes)
        case .u32, .u64, .rights, .shards, .fields: return false
        }
        return true
    }

    private static func hex(_ text: String, count: Int) -> [UInt8]? {
        guard let bytes = Hex.decode(text), bytes.count == count, Hex.encode(bytes) == text else {
            return nil
        }
        return bytes
    }

    private static func rights(_ names: [JSONValue]) -> UInt8? {
        let known: [(JSONValue, Grant.Rights)] = Grant.Rights.names.map { (.string($0), $1) }
        let rights = Grant.Rights(known.filter { names.contains($0.0) }.map(\.1))
        return rights.names.map(JSONValue.string) == names ? rights.rawValue : nil
    }

    private static func shards(_ ids: [JSONValue]) -> [UInt8]? {
        guard ids.count <= Proof.damagedMax else { return nil }
        var bytes: [UInt8] = []
        for id in ids {
            guard case .string(let text) = id, let id = hex(text, count: ShardID.byteCount) else {
                return nil
            }
            bytes += id
        }
        return bytes
    }
}

extension JSONField.Kind {
    /// What a value must be, in words.
    fileprivate var form: String {
        switch self {
        case .hex(let count): "\(2 * count) lower-case hexadecimal digits"
        case .u32: "an integer below 2^32"
        case .u64: "an integer below 2^64"
        case .u128: "a decimal number in quotes"
        case .time: "a time as 2026-01-31T23:59:59.000000000Z"
        case .verdict: "a verdict"
        case .rights: "a list of rights"
        case .text: "a text of at most \(Receipt.reasonBytesMax) bytes"
        case .base64: "base64"
        case .shards: "a list of at most \(Proof.damagedMax) shard ids"
        case .fields: "an object"
        }
    }
}
