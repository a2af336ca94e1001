import CSealing

/// HKDF-SHA256 (RFC 5869), by which every key comes from another one.
package enum HKDF {
    /// The most bytes one derivation gives: 255 blocks of SHA-256 (RFC 5869 §2.3).
    package static let derivedBytesMax = 255 * 32

    /// Derives `count` bytes for one purpose and one thing.
    ///
    /// The salt is empty; `info` is "mefs/1/", `label`, a zero byte, `context`. Labels hold no zero
    /// byte, so different pairs of label and context never meet.
    package static func derive(
        from key: [UInt8],
        label: String,
        context: [UInt8] = [],
        count: Int = 32
    ) -> [UInt8] {
        derive(
            from: key,
            salt: [],
            info: Array("mefs/1/\(label)".utf8) + [0] + context,
            count: count
        )
    }

    /// HKDF as the RFC has it.
    package static func derive(
        from key: [UInt8],
        salt: [UInt8],
        info: [UInt8],
        count: Int
    ) -> [UInt8] {
        precondition((1...derivedBytesMax).contains(count), "HKDF gives 1 to 8160 bytes")
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            let success = csealing_hkdf(
                key,
                key.count,
                salt,
                salt.count,
                info,
                info.count,
                buffer.baseAddress,
                count
            )
            precondition(success == 1, "libcrypto cannot compute HKDF")
            initialized = count
        }
    }
}
