/// The body of a request or a reply: fixed fields in a fixed order, drawn in `docs/wire.md`.
package protocol Message: Sendable {
    func write(to writer: inout ByteWriter)
    init(from reader: inout ByteReader) throws(DecodeError)
}

extension Message {
    package var encoded: [UInt8] {
        var writer = ByteWriter()
        write(to: &writer)
        return writer.bytes
    }

    /// Reads a whole body; bytes left over are refused.
    package init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        try self.init(from: &reader)
        try reader.finish()
    }
}
