import Primitives
import SQLite
import Wire

/// What became of a row, in the form that leaves this host: the unit of the journal.
///
/// | bytes | field |
/// |---|---|
/// | 1 | table, `JournalTable` |
/// | 1 | what was done: 1 put, 2 removed, 3 all whose key begins so removed |
/// | … | values: of a put row all columns, else those of the key, or its first |
///
/// A value is a byte, 0 NULL, 1 an integer, 2 a text, 3 bytes, and then nothing, a zigzag varint,
/// or a varint of the length and so many bytes.
struct JournalRecord: Hashable, Sendable {
    enum Action: UInt8, Sendable {
        case put = 1
        case remove = 2
        case removeAll = 3
    }

    let table: JournalTable
    let action: Action
    let values: [Value]

    /// The longest text or bytes of one value: a symbolic link's target or an attribute's value
    /// has 64 KiB at most.
    static let valueBytesMax = 1 << 20

    private static func count(_ table: JournalTable, _ action: Action) -> Int {
        switch action {
        case .put: table.columns.count
        case .remove: table.keyCount
        case .removeAll: 1
        }
    }

    init(_ table: JournalTable, _ action: Action, _ values: [Value]) {
        assert(values.count == Self.count(table, action))
        self.table = table
        self.action = action
        self.values = values
    }

    func write(to writer: inout ByteWriter) {
        writer.integer(table.rawValue)
        writer.integer(action.rawValue)
        for value in values { Self.write(value, to: &writer) }
    }

    init(from reader: inout ByteReader) throws(DecodeError) {
        let number = try reader.integer(UInt8.self)
        guard let table = JournalTable(rawValue: number) else {
            throw .invalid(field: "table", reason: "\(number)")
        }
        let kind = try reader.integer(UInt8.self)
        guard let action = Action(rawValue: kind) else {
            throw .invalid(field: "action", reason: "\(kind)")
        }
        var values: [Value] = []
        for _ in 0..<Self.count(table, action) { values.append(try Self.value(from: &reader)) }
        self.table = table
        self.action = action
        self.values = values
    }

    private static func write(_ value: Value, to writer: inout ByteWriter) {
        switch value {
        case .null: writer.integer(UInt8(0))
        case .integer(let number):
            writer.integer(UInt8(1))
            writer.varint(UInt64(bitPattern: (number << 1) ^ (number >> 63)))
        case .text(let text):
            writer.integer(UInt8(2))
            writer.varint(UInt64(text.utf8.count))
            writer.raw(Array(text.utf8))
        case .blob(let bytes):
            writer.integer(UInt8(3))
            writer.varint(UInt64(bytes.count))
            writer.raw(bytes)
        case .real: preconditionFailure("no column of a volume holds a real number")
        }
    }

    private static func value(from reader: inout ByteReader) throws(DecodeError) -> Value {
        switch try reader.integer(UInt8.self) {
        case 0: return .null
        case 1:
            let bits = try reader.varint()
            return .integer(Int64(bitPattern: (bits >> 1) ^ (0 &- (bits & 1))))
        case 2:
            guard let text = String(validating: try bytes(from: &reader), as: UTF8.self) else {
                throw .invalid(field: "text", reason: "not UTF-8")
            }
            return .text(text)
        case 3: return .blob(Array(try bytes(from: &reader)))
        case let other: throw .invalid(field: "value", reason: "kind \(other)")
        }
    }

    private static func bytes(
        from reader: inout ByteReader
    ) throws(DecodeError) -> ArraySlice<UInt8> {
        let count = try reader.varint()
        guard count <= valueBytesMax else {
            throw .tooLong(field: "value", value: count, limit: UInt64(valueBytesMax))
        }
        return try reader.bytes(Int(count))
    }
}
