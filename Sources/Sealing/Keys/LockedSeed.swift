package import Primitives

/// A root seed sealed under a passphrase, for one volume: what the file `seed` holds when it is
/// locked (`docs/formats.md`).
///
/// Format 1, 86 bytes: version (1) | passes (u32) | memory in KiB (u32) | salt (16) | the seed,
/// wrapped (61). The wrapping key comes from Argon2id's output by HKDF with the label "seed-lock"
/// and the context volume id (16) | the 25 bytes in front; so nothing of it can be changed.
package struct LockedSeed: Hashable, Sendable {
    private static let version: UInt8 = 1
    private static let headerBytes = 1 + 4 + 4 + PassphraseCost.saltBytes
    /// Bytes of all of it.
    package static let byteCount = headerBytes + KeyWrap.wrappedBytes

    package let bytes: [UInt8]
    package let cost: PassphraseCost

    private var header: [UInt8] { Array(bytes.prefix(Self.headerBytes)) }

    /// Seals `seed`; takes the time and memory of `cost`.
    package init(
        sealing seed: RootSeed,
        under passphrase: Passphrase,
        for volume: VolumeID,
        cost: PassphraseCost = .moderate
    ) throws(SealingError) {
        try self.init(
            sealing: seed,
            under: passphrase,
            for: volume,
            cost: cost,
            salt: SecureRandom.bytes(PassphraseCost.saltBytes),
            nonce: SecureRandom.bytes(12)
        )
    }

    /// `init` with a salt of 16 and a nonce of 12 bytes given, which must never be used twice: for
    /// golden tests.
    package init(
        sealing seed: RootSeed,
        under passphrase: Passphrase,
        for volume: VolumeID,
        cost: PassphraseCost,
        salt: [UInt8],
        nonce: [UInt8]
    ) throws(SealingError) {
        let header =
            [Self.version] + cost.passes.littleEndianBytes + cost.memoryKiB.littleEndianBytes + salt
        var wrapping = try Self.wrappingKey(passphrase, cost, header: header, volume)
        var plain = seed.bytes
        defer {
            SecretBytes.wipe(&wrapping)
            SecretBytes.wipe(&plain)
        }
        bytes = header + (try KeyWrap.seal(plain, under: wrapping, nonce: nonce))
        self.cost = cost
    }

    /// Takes what was read from a file; the seed is not opened yet.
    ///
    /// - Throws: `wrongLength`, `unknownFormat`, or `corrupt` if it asks for more work than is
    ///   allowed.
    package init(parsing bytes: [UInt8]) throws(SealingError) {
        guard bytes.count == Self.byteCount else {
            throw .wrongLength(
                of: "a locked key",
                expected: Self.byteCount,
                actual: bytes.count
            )
        }
        guard bytes[0] == Self.version else {
            throw .unknownFormat(of: "a locked key", value: bytes[0])
        }
        let passes = Self.integer(bytes[1..<5])
        let memoryKiB = Self.integer(bytes[5..<9])
        guard let cost = PassphraseCost(passes: passes, memoryKiB: memoryKiB) else {
            throw .corrupt("a locked key that asks for \(memoryKiB) KiB and \(passes) passes")
        }
        self.cost = cost
        self.bytes = bytes
    }

    /// Opens it; takes the time and memory of `cost`.
    ///
    /// - Throws: `corrupt` if the passphrase is another one, or the bytes were changed.
    package func open(
        with passphrase: Passphrase,
        for volume: VolumeID
    ) throws(SealingError) -> RootSeed {
        var wrapping = try Self.wrappingKey(passphrase, cost, header: header, volume)
        defer { SecretBytes.wipe(&wrapping) }
        let wrapped = Array(bytes.dropFirst(Self.headerBytes))
        var plain = try KeyWrap.open(wrapped, under: wrapping, as: "the locked key")
        defer { SecretBytes.wipe(&plain) }
        return RootSeed(trusted: plain)
    }

    private static func wrappingKey(
        _ passphrase: Passphrase,
        _ cost: PassphraseCost,
        header: [UInt8],
        _ volume: VolumeID
    ) throws(SealingError) -> [UInt8] {
        let salt = Array(header.suffix(PassphraseCost.saltBytes))
        var stretched = try cost.stretch(passphrase, salt: salt)
        defer { SecretBytes.wipe(&stretched) }
        return HKDF.derive(from: stretched, label: "seed-lock", context: volume.bytes + header)
    }

    private static func integer(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}
