/// A symmetric key: 32 bytes that nobody may see.
package protocol SecretKey: Hashable, Secret {
    var bytes: [UInt8] { get }

    /// Takes 32 bytes that come from a derivation, a generator or an authenticated box; traps at
    /// any other number.
    init(trusted bytes: [UInt8])
}

extension SecretKey {
    /// Bytes of every key.
    package static var byteCount: Int { 32 }

    /// Takes exactly 32 bytes, or nothing.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self.init(trusted: Array(bytes))
    }

    /// A new key.
    package static func random() -> Self {
        Self(trusted: SecureRandom.bytes(byteCount))
    }
}
