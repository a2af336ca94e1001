/// An inode's number in one volume.
///
/// Never reused; the root directory is 1.
package struct InodeNumber: RawRepresentable, Hashable, Comparable, Sendable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The root directory (as `FUSE_ROOT_ID`).
    package static let root = InodeNumber(1)

    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// The index of a block in its file, from 0.
package struct BlockIndex: RawRepresentable, Hashable, Comparable, Sendable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The block that holds the byte at `offset` of the file.
    package init(containing offset: UInt64) {
        rawValue = offset / UInt64(Geometry.blockBytes)
    }

    /// The file offset of the block's first byte.
    package var offset: UInt64 { rawValue * UInt64(Geometry.blockBytes) }

    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// A span of a network's time in which every order is challenged: seconds since 1970 over the
/// network's seconds an epoch.
package struct Epoch: RawRepresentable, Hashable, Comparable, Sendable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// Sixteen opaque bytes, the shape of the ids below.
package struct Bytes16: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64

    /// Takes exactly 16 bytes, or nothing.
    package init?(_ bytes: some Collection<UInt8>) {
        let words = bytes.withContiguousStorageIfAvailable {
            Self.words(UnsafeRawBufferPointer($0))
        }
        guard let pair = words ?? Array(bytes).withUnsafeBytes(Self.words) else { return nil }
        (high, low) = pair
    }

    /// Sixteen zero bytes.
    static let zero = Bytes16(high: 0, low: 0)

    private init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Takes 16 bytes of memory.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard let pair = Self.words(bytes) else { return nil }
        (high, low) = pair
    }

    private static func words(_ bytes: UnsafeRawBufferPointer) -> (UInt64, UInt64)? {
        guard bytes.count == 16 else { return nil }
        return (
            UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        )
    }

    package var bytes: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 16) { buffer, count in
            for index in 0..<8 {
                buffer[index] = UInt8(truncatingIfNeeded: high >> (56 - 8 * UInt64(index)))
                buffer[8 + index] = UInt8(truncatingIfNeeded: low >> (56 - 8 * UInt64(index)))
            }
            count = 16
        }
    }
}

/// Thirty-two opaque bytes: a SHA-256 digest, a key's hash, a public key.
package struct Bytes32: Hashable, Sendable {
    private let high: Bytes16
    private let low: Bytes16

    /// Takes exactly 32 bytes, or nothing.
    package init?(_ bytes: some Collection<UInt8>) {
        let halves = bytes.withContiguousStorageIfAvailable {
            Self.halves(UnsafeRawBufferPointer($0))
        }
        guard let pair = halves ?? Array(bytes).withUnsafeBytes(Self.halves) else { return nil }
        (high, low) = pair
    }

    private static func halves(_ bytes: UnsafeRawBufferPointer) -> (Bytes16, Bytes16)? {
        guard bytes.count == 32,
            let high = Bytes16(UnsafeRawBufferPointer(rebasing: bytes[..<16])),
            let low = Bytes16(UnsafeRawBufferPointer(rebasing: bytes[16...]))
        else { return nil }
        return (high, low)
    }

    package var bytes: [UInt8] { high.bytes + low.bytes }
}

/// An id made of a fixed number of opaque bytes, written in hexadecimal.
package protocol OpaqueID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// How many bytes an id has.
    static var byteCount: Int { get }

    /// Takes exactly `byteCount` bytes, or nothing.
    init?(bytes: some Collection<UInt8>)

    var bytes: [UInt8] { get }
}

extension OpaqueID {
    /// Parses the hexadecimal form.
    package init?(hex: String) {
        guard let bytes = Hex.decode(hex) else { return nil }
        self.init(bytes: bytes)
    }

    package var hex: String { Hex.encode(bytes) }

    package var description: String { hex }

    /// The first 8 hexadecimal digits, for people.
    package var short: String { String(hex.prefix(8)) }

    package static func < (lhs: Self, rhs: Self) -> Bool {
        lhs.bytes.lexicographicallyPrecedes(rhs.bytes)
    }
}

/// A node's id: SHA-256 of its raw Ed25519 public key.
package struct NodeID: OpaqueID {
    package static let byteCount = 32
    private let value: Bytes32

    package init?(bytes: some Collection<UInt8>) {
        guard let value = Bytes32(bytes) else { return nil }
        self.value = value
    }

    package var bytes: [UInt8] { value.bytes }
}

/// A volume's id: 16 random bytes, chosen at its creation.
package struct VolumeID: OpaqueID {
    package static let byteCount = 16
    private let value: Bytes16

    package init?(bytes: some Collection<UInt8>) {
        guard let value = Bytes16(bytes) else { return nil }
        self.value = value
    }

    package var bytes: [UInt8] { value.bytes }
}

/// A stripe's id: 16 random bytes.
///
/// Only its owner ever sees it.
package struct StripeID: OpaqueID {
    package static let byteCount = 16
    /// The stripe of blocks whose bytes are lost: all zeros, which chance never makes.
    ///
    /// No provider has anything of it.
    package static let lost = StripeID(value: .zero)
    private let value: Bytes16

    private init(value: Bytes16) { self.value = value }

    package init?(bytes: some Collection<UInt8>) {
        guard let value = Bytes16(bytes) else { return nil }
        self.value = value
    }

    package var bytes: [UInt8] { value.bytes }
}

/// A shard's id: 16 random bytes, telling a provider nothing about stripe, index or volume.
package struct ShardID: OpaqueID {
    package static let byteCount = 16
    private let value: Bytes16

    package init?(bytes: some Collection<UInt8>) {
        guard let value = Bytes16(bytes) else { return nil }
        self.value = value
    }

    package var bytes: [UInt8] { value.bytes }
}

/// An order's id: the first 16 bytes of SHA-256 over its terms.
package struct OrderID: OpaqueID {
    package static let byteCount = 16
    private let value: Bytes16

    package init?(bytes: some Collection<UInt8>) {
        guard let value = Bytes16(bytes) else { return nil }
        self.value = value
    }

    package var bytes: [UInt8] { value.bytes }
}

/// A SHA-256 digest.
package struct Digest: OpaqueID {
    package static let byteCount = 32
    private let value: Bytes32

    package init?(bytes: some Collection<UInt8>) {
        guard let value = Bytes32(bytes) else { return nil }
        self.value = value
    }

    package var bytes: [UInt8] { value.bytes }
}
