import CSealing

/// A key sealed under another one: AES-256-GCM with a random nonce.
///
/// Header | nonce (12) | sealed | tag (16). The header, whose first byte is the version, is
/// authenticated; what the key is for is bound by the wrapping key, which is derived for that one
/// thing. Version 1 has no more header, and seals 32 bytes.
enum KeyWrap {
    static let keyBytes = 32
    static let wrappedBytes = 1 + overheadBytes + keyBytes
    /// Nonce and tag.
    static let overheadBytes = nonceBytes + tagBytes
    private static let version: UInt8 = 1
    private static let nonceBytes = Int(CSEALING_NONCE_BYTES)
    private static let tagBytes = Int(CSEALING_TAG_BYTES)

    /// Version 1: one key.
    static func seal(
        _ key: [UInt8],
        under wrapping: [UInt8],
        nonce: [UInt8]
    ) throws(SealingError) -> [UInt8] {
        precondition(key.count == keyBytes)
        return try seal(key, under: wrapping, nonce: nonce, header: [version])
    }

    /// Opens version 1.
    static func open(
        _ wrapped: [UInt8],
        under wrapping: [UInt8],
        as what: String
    ) throws(SealingError) -> [UInt8] {
        guard wrapped.count == wrappedBytes else {
            throw .wrongLength(of: what, expected: wrappedBytes, actual: wrapped.count)
        }
        guard wrapped[0] == version else { throw .unknownFormat(of: what, value: wrapped[0]) }
        return try open(wrapped, headerBytes: 1, under: wrapping, as: what)
    }

    /// Any version: seals `secret`, of any length, and authenticates `header` with it.
    static func seal(
        _ secret: [UInt8],
        under wrapping: [UInt8],
        nonce: [UInt8],
        header: [UInt8]
    ) throws(SealingError) -> [UInt8] {
        precondition(wrapping.count == keyBytes && nonce.count == nonceBytes)
        guard let gcm = csealing_gcm_new() else { throw .libraryFailed("wrapping a key") }
        defer { csealing_gcm_free(gcm) }
        var sealed = [UInt8](repeating: 0, count: secret.count)
        var tag = [UInt8](repeating: 0, count: tagBytes)
        let success = csealing_gcm_seal(
            gcm,
            wrapping,
            nonce,
            header,
            header.count,
            secret,
            secret.count,
            &sealed,
            &tag
        )
        guard success == 1 else { throw .libraryFailed("wrapping a key") }
        return header + nonce + sealed + tag
    }

    /// Opens what `seal` made with a header of so many bytes; the caller has checked its version
    /// and that there are more bytes than header, nonce and tag take.
    static func open(
        _ wrapped: [UInt8],
        headerBytes: Int,
        under wrapping: [UInt8],
        as what: String
    ) throws(SealingError) -> [UInt8] {
        precondition(wrapping.count == keyBytes)
        precondition(wrapped.count > headerBytes + overheadBytes)
        guard let gcm = csealing_gcm_new() else { throw .libraryFailed("unwrapping a key") }
        defer { csealing_gcm_free(gcm) }
        let header = Array(wrapped[..<headerBytes])
        let nonce = Array(wrapped[headerBytes..<headerBytes + nonceBytes])
        let sealed = Array(wrapped[(headerBytes + nonceBytes)...].dropLast(tagBytes))
        let tag = Array(wrapped.suffix(tagBytes))
        var secret = [UInt8](repeating: 0, count: sealed.count)
        let success = csealing_gcm_open(
            gcm,
            wrapping,
            nonce,
            header,
            header.count,
            sealed,
            sealed.count,
            tag,
            &secret
        )
        guard success == 1 else { throw .corrupt(what) }
        return secret
    }
}
