import CSealing

/// A 32-byte key sealed under another one: AES-256-GCM with a random nonce.
///
/// Format 1: version (1) | nonce (12) | sealed key (32) | tag (16). The version is authenticated;
/// what the key is for is bound by the wrapping key, which is derived for that one thing.
enum KeyWrap {
    static let keyBytes = 32
    static let wrappedBytes = 1 + nonceBytes + keyBytes + tagBytes
    private static let version: UInt8 = 1
    private static let nonceBytes = Int(CSEALING_NONCE_BYTES)
    private static let tagBytes = Int(CSEALING_TAG_BYTES)

    static func seal(
        _ key: [UInt8],
        under wrapping: [UInt8],
        nonce: [UInt8]
    ) throws(SealingError) -> [UInt8] {
        precondition(key.count == keyBytes && wrapping.count == keyBytes)
        precondition(nonce.count == nonceBytes)
        guard let gcm = csealing_gcm_new() else { throw .libraryFailed("wrapping a key") }
        defer { csealing_gcm_free(gcm) }
        var sealed = [UInt8](repeating: 0, count: keyBytes)
        var tag = [UInt8](repeating: 0, count: tagBytes)
        let success = csealing_gcm_seal(
            gcm,
            wrapping,
            nonce,
            [version],
            1,
            key,
            keyBytes,
            &sealed,
            &tag
        )
        guard success == 1 else { throw .libraryFailed("wrapping a key") }
        return [version] + nonce + sealed + tag
    }

    static func open(
        _ wrapped: [UInt8],
        under wrapping: [UInt8],
        as what: String
    ) throws(SealingError) -> [UInt8] {
        precondition(wrapping.count == keyBytes)
        guard wrapped.count == wrappedBytes else {
            throw .wrongLength(of: what, expected: wrappedBytes, actual: wrapped.count)
        }
        guard wrapped[0] == version else { throw .unknownFormat(of: what, value: wrapped[0]) }
        guard let gcm = csealing_gcm_new() else { throw .libraryFailed("unwrapping a key") }
        defer { csealing_gcm_free(gcm) }
        let nonce = Array(wrapped[1..<1 + nonceBytes])
        let sealed = Array(wrapped[1 + nonceBytes..<1 + nonceBytes + keyBytes])
        let tag = Array(wrapped.suffix(tagBytes))
        var key = [UInt8](repeating: 0, count: keyBytes)
        let success = csealing_gcm_open(
            gcm,
            wrapping,
            nonce,
            [version],
            1,
            sealed,
            keyBytes,
            tag,
            &key
        )
        guard success == 1 else { throw .corrupt(what) }
        return key
    }
}
