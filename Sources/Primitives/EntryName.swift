/// The name of a directory entry: 1 to 255 bytes, neither "." nor "..", without "/" and NUL.
///
/// Names are bytes and not text: POSIX promises no encoding, and `String` would repair what is
/// not UTF-8.
package struct EntryName: Hashable, Sendable, CustomStringConvertible {
    package let bytes: [UInt8]

    /// Why some bytes are not a name.
    package enum Problem: Error, Hashable {
        case empty
        case tooLong
        case reserved
        case forbiddenByte
    }

    package init(_ bytes: [UInt8]) throws(Problem) {
        guard !bytes.isEmpty else { throw .empty }
        guard bytes.count <= Geometry.nameBytesMax else { throw .tooLong }
        guard bytes != [0x2e], bytes != [0x2e, 0x2e] else { throw .reserved }
        guard !bytes.contains(0x2f), !bytes.contains(0) else { throw .forbiddenByte }
        self.bytes = bytes
    }

    package func hash(into hasher: inout Hasher) {
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    }

    /// The name for people; what is not UTF-8 is replaced.
    package var description: String { String(decoding: bytes, as: UTF8.self) }
}
