import CSodium

/// How much work one try of a passphrase is: the parameters of Argon2id (RFC 9106), one lane.
package struct PassphraseCost: Hashable, Sendable {
    /// Passes over the memory that a file may ask for; libsodium's most careful choice is 4.
    package static let passesAllowed: ClosedRange<UInt32> = 1...16
    /// KiB of memory that a file may ask for: from the least of libsodium to 1 GiB, its most
    /// careful choice.
    ///
    /// More would let a file that somebody changed take a host's memory away.
    package static let memoryKiBAllowed: ClosedRange<UInt32> = 8...1 << 20

    /// libsodium's INTERACTIVE: 64 MiB, 2 passes; a moment.
    package static let interactive = PassphraseCost(trusted: 2, memoryKiB: 64 << 10)
    /// libsodium's MODERATE: 256 MiB, 3 passes; about a second.
    package static let moderate = PassphraseCost(trusted: 3, memoryKiB: 256 << 10)
    /// libsodium's SENSITIVE: 1 GiB, 4 passes; several seconds.
    package static let sensitive = PassphraseCost(trusted: 4, memoryKiB: 1 << 20)

    package let passes: UInt32
    package let memoryKiB: UInt32

    private init(trusted passes: UInt32, memoryKiB: UInt32) {
        self.passes = passes
        self.memoryKiB = memoryKiB
    }

    /// Takes what is allowed; `nil` for anything else.
    package init?(passes: UInt32, memoryKiB: UInt32) {
        guard Self.passesAllowed.contains(passes), Self.memoryKiBAllowed.contains(memoryKiB) else {
            return nil
        }
        self.init(trusted: passes, memoryKiB: memoryKiB)
    }

    /// Bytes of the salt.
    static let saltBytes = Int(crypto_pwhash_SALTBYTES)

    /// 32 bytes out of a passphrase; takes the time and memory that this says.
    func stretch(_ passphrase: Passphrase, salt: [UInt8]) throws(SealingError) -> [UInt8] {
        precondition(salt.count == Self.saltBytes)
        Sodium.prepare()
        var key = [UInt8](repeating: 0, count: KeyWrap.keyBytes)
        let status = passphrase.memory.withBytes { bytes in
            guard let start = bytes.assumingMemoryBound(to: CChar.self).baseAddress else {
                preconditionFailure("a passphrase has a byte at least")
            }
            return crypto_pwhash(
                &key,
                UInt64(KeyWrap.keyBytes),
                start,
                UInt64(bytes.count),
                salt,
                UInt64(passes),
                Int(memoryKiB) << 10,
                crypto_pwhash_alg_argon2id13()
            )
        }
        guard status == 0 else { throw .outOfMemory("Argon2id with \(memoryKiB >> 10) MiB") }
        return key
    }
}
