/// The wrapped forms of a volume's key: `docs/formats.md`.
///
/// Version 1 is one key, of generation 0. Version 2 is version (1) | newest generation (u32) |
/// nonce (12) | sealed | tag (16), where the repair key (32) is sealed and then each key, the
/// newest first, as generation (u32) | key (32).
package enum WrappedVolumeKey {
    private static let ringVersion: UInt8 = 2
    private static let headerBytes = 1 + 4
    private static let entryBytes = 4 + VolumeKey.byteCount

    /// The generation of the newest key in it, which is not secret; `nil` of what is no wrapped
    /// key.
    ///
    /// Not authenticated: it only tells which of two to open first.
    package static func generation(of wrapped: [UInt8]) -> UInt32? {
        switch wrapped.first {
        case 1 where wrapped.count == KeyWrap.wrappedBytes: 0
        case ringVersion where wrapped.count > headerBytes: integer(wrapped[1..<5])
        default: nil
        }
    }

    static func seal(
        _ key: VolumeKey,
        under wrapping: [UInt8],
        nonce: [UInt8]
    ) throws(SealingError) -> [UInt8] {
        // What programs before generations read too.
        if key.generation == 0 {
            return try KeyWrap.seal(key.bytes, under: wrapping, nonce: nonce)
        }
        var secret = key.repairKey.bytes
        for (generation, bytes) in key.everyGeneration {
            secret += generation.littleEndianBytes + bytes
        }
        defer { SecretBytes.wipe(&secret) }
        let header = [ringVersion] + key.generation.littleEndianBytes
        return try KeyWrap.seal(secret, under: wrapping, nonce: nonce, header: header)
    }

    static func open(
        _ wrapped: [UInt8],
        under wrapping: [UInt8],
        as what: String
    ) throws(SealingError) -> VolumeKey {
        guard !wrapped.isEmpty else { throw .destroyed(what) }
        guard wrapped.first == ringVersion else {
            return VolumeKey(trusted: try KeyWrap.open(wrapped, under: wrapping, as: what))
        }
        let least = headerBytes + KeyWrap.overheadBytes + RepairKey.byteCount + entryBytes
        guard wrapped.count >= least else {
            throw .wrongLength(of: what, expected: least, actual: wrapped.count)
        }
        var secret = try KeyWrap.open(
            wrapped,
            headerBytes: headerBytes,
            under: wrapping,
            as: what
        )
        defer { SecretBytes.wipe(&secret) }
        guard let key = ring(secret), key.generation == integer(wrapped[1..<5]) else {
            throw .corrupt(what)
        }
        return key
    }

    /// What is sealed in version 2; `nil` if no program of ours wrote it.
    private static func ring(_ secret: [UInt8]) -> VolumeKey? {
        let entries = secret.dropFirst(RepairKey.byteCount)
        let (count, rest) = entries.count.quotientAndRemainder(dividingBy: entryBytes)
        guard rest == 0, (1...VolumeKey.generationsMax).contains(count) else { return nil }
        let keys = (0..<count).map { index in
            let entry = Array(entries.dropFirst(index * entryBytes).prefix(entryBytes))
            return VolumeKey.Older(
                generation: integer(entry.prefix(4)),
                bytes: Array(entry.dropFirst(4))
            )
        }
        guard zip(keys, keys.dropFirst()).allSatisfy({ $0.generation > $1.generation }) else {
            return nil
        }
        return VolumeKey(
            bytes: keys[0].bytes,
            generation: keys[0].generation,
            older: Array(keys.dropFirst()),
            repairKey: RepairKey(trusted: Array(secret.prefix(RepairKey.byteCount)))
        )
    }

    private static func integer(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}
