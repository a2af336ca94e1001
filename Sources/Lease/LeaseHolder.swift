import Primitives

/// Who holds a lease: 16 random bytes of one mount, since an owner may have many at once.
///
/// Each mount has its own. One that knows that an earlier one is over, because one lock excludes
/// them, names that one's as its predecessor, and takes the lease over from it without waiting.
package struct LeaseHolder: OpaqueID {
    package static let byteCount = 16
    /// The longest label of a holder, such as its host's name, in bytes.
    package static let labelBytesMax = 255
    /// What stands where there is no holder.
    package static let nobody: LeaseHolder = {
        guard let holder = LeaseHolder(bytes: Array(repeating: 0, count: byteCount)) else {
            preconditionFailure("a holder has 16 bytes")
        }
        return holder
    }()

    private let value: Bytes16

    package init?(bytes: some Collection<UInt8>) {
        guard let value = Bytes16(bytes) else { return nil }
        self.value = value
    }

    package var bytes: [UInt8] { value.bytes }
}
