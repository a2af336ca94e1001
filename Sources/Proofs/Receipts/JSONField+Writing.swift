import Primitives
import Wire

extension [JSONField] {
    /// The object for a format's `encoding`, its fields indented by `indent`.
    func text(of encoding: [UInt8], indent: String) -> String {
        var reader = ByteReader(encoding)
        do throws(DecodeError) {
            let text = try text(from: &reader, indent: indent)
            try reader.finish()
            return text
        } catch {
            preconditionFailure("an encoding has the fields of its format: \(error)")
        }
    }

    fileprivate func text(
        from reader: inout ByteReader,
        indent: String
    ) throws(DecodeError) -> String {
        var lines: [String] = []
        for field in self {
            let value = try field.text(from: &reader, indent: indent + "  ")
            lines.append("\(indent)  \"\(field.name)\": \(value)")
        }
        return "{\n\(lines.joined(separator: ",\n"))\n\(indent)}"
    }
}

extension JSONField {
    fileprivate func text(
        from reader: inout ByteReader,
        indent: String
    ) throws(DecodeError) -> String {
        switch kind {
        case .hex(let count): return quoted(Hex.encode(try reader.bytes(count)))
        case .u32: return "\(try reader.integer(UInt32.self))"
        case .u64: return "\(try reader.integer(UInt64.self))"
        case .u128: return quoted("\(try reader.integer(UInt128.self))")
        case .time: return quoted(try reader.timestamp().iso)
        case .verdict:
            let code = try reader.integer(UInt8.self)
            guard let verdict = Verdict(rawValue: code) else {
                throw .invalid(field: name, reason: "\(code)")
            }
            return quoted(verdict.name)
        case .rights:
            let rights = Grant.Rights(rawValue: try reader.integer())
            return "[" + rights.names.map(quoted).joined(separator: ", ") + "]"
        case .text: return quoted(try reader.label(name, limit: Receipt.reasonBytesMax))
        case .base64:
            return quoted(
                Base64.encode(try reader.lengthPrefixed(name, limit: Proof.bodyBytesMax))
            )
        case .shards:
            let count = try reader.count(name, limit: Proof.damagedMax)
            var ids: [String] = []
            for _ in 0..<count { ids.append(quoted(try reader.id(ShardID.self).hex)) }
            return "[" + ids.joined(separator: ", ") + "]"
        case .fields(let fields): return try fields.text(from: &reader, indent: indent)
        }
    }

    /// As JSON text; there are no control characters in what is written.
    private func quoted(_ text: String) -> String {
        var quoted = "\""
        for character in text.unicodeScalars {
            if character == "\"" || character == "\\" { quoted += "\\" }
            quoted.unicodeScalars.append(character)
        }
        return quoted + "\""
    }
}

extension Grant.Rights {
    /// All rights by name, in the order in which they are written.
    static let names: [(String, Grant.Rights)] = [("audit", .audit), ("repair", .repair)]

    var names: [String] { Self.names.filter { contains($0.1) }.map(\.0) }
}
