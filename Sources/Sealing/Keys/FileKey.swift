package import Primitives

/// A file's key: 32 random bytes.
///
/// Deleting its wrapped form shreds the file.
package struct FileKey: SecretKey {
    package let bytes: [UInt8]

    package init(trusted bytes: [UInt8]) {
        precondition(bytes.count == Self.byteCount, "a key has 32 bytes")
        self.bytes = bytes
    }

    /// The key of the block whose sealed bytes begin at `offset` of a stripe's payload.
    ///
    /// A stripe id is random and an offset of it is written once, so no key seals two contents;
    /// that is what lets the nonces of segments be their indices.
    package func blockKey(stripe: StripeID, offset: UInt32) -> BlockKey {
        let context = stripe.bytes + offset.littleEndianBytes
        return BlockKey(trusted: HKDF.derive(from: bytes, label: "block", context: context))
    }
}

/// The key of one block as it lies in one stripe.
package struct BlockKey: SecretKey {
    package let bytes: [UInt8]

    package init(trusted bytes: [UInt8]) {
        precondition(bytes.count == Self.byteCount, "a key has 32 bytes")
        self.bytes = bytes
    }
}

extension FixedWidthInteger {
    /// The integer's bytes, least significant first.
    var littleEndianBytes: [UInt8] {
        withUnsafeBytes(of: littleEndian) { Array($0) }
    }
}
