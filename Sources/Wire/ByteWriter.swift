package import Primitives

/// Builds bytes from little-endian values; what `ByteReader` reads.
package struct ByteWriter {
    package private(set) var bytes: [UInt8] = []

    package init(capacity: Int = 0) {
        bytes.reserveCapacity(capacity)
    }

    /// Appends a fixed-width integer, little-endian.
    package mutating func integer(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// Appends an integer in 1 to 10 bytes of 7 bits each, the lowest first (LEB128).
    package mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// Appends bytes as they are.
    package mutating func raw(_ value: some Collection<UInt8>) {
        bytes.append(contentsOf: value)
    }

    /// Appends bytes preceded by their length as `UInt32`.
    package mutating func lengthPrefixed(_ value: some Collection<UInt8>) {
        integer(UInt32(value.count))
        bytes.append(contentsOf: value)
    }

    /// Appends text as length-prefixed UTF-8.
    package mutating func string(_ value: String) {
        lengthPrefixed(value.utf8)
    }

    /// Appends an opaque id.
    package mutating func id(_ value: some OpaqueID) {
        bytes.append(contentsOf: value.bytes)
    }
}
