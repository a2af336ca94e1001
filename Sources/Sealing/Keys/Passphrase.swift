/// What somebody types to open a locked key: 1 to 1024 bytes, taken as they are.
///
/// The bytes are in `SecretMemory`, and wiped with the last reference.
package struct Passphrase: Secret {
    /// The longest one.
    package static let bytesMax = 1024

    let memory: SecretMemory

    /// Takes 1 to 1024 bytes; `nil` for any other number.
    package init?(bytes: some Collection<UInt8>) {
        guard (1...Self.bytesMax).contains(bytes.count) else { return nil }
        memory = SecretMemory(copying: bytes)
    }

    /// A copy of the bytes, for a pipe; whoever takes it wipes it.
    package func copy() -> [UInt8] { memory.copy() }

    /// Whether both are the same bytes.
    package func isSame(as other: Passphrase) -> Bool {
        memory.withBytes { mine in other.memory.withBytes { mine.elementsEqual($0) } }
    }
}
