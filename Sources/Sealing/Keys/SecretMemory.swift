import CSodium

/// Secret bytes apart from the heap: locked into memory where the system allows it, left out of
/// core dumps, between pages that nobody may touch, and wiped when the last reference goes.
///
/// Only for the few secrets that are not needed all the time (`man 2 mlock` has a small limit).
/// What is copied out of it is an ordinary array: see `wipe`.
final class SecretMemory: Sendable {
    // SAFETY: written in `init` only, before anybody else can have it, and read-only after.
    private nonisolated(unsafe) let start: UnsafeMutableRawPointer
    let count: Int

    /// Copies `bytes`, of which there is at least one.
    init(copying bytes: some Collection<UInt8>) {
        precondition(!bytes.isEmpty)
        Sodium.prepare()
        count = bytes.count
        // Without these few pages nothing else would go on either.
        guard let start = sodium_malloc(count) else { preconditionFailure("no memory for a key") }
        self.start = start
        UnsafeMutableRawBufferPointer(start: start, count: count).copyBytes(from: bytes)
        sodium_mprotect_readonly(start)
    }

    deinit { sodium_free(start) }

    /// A copy on the heap, to be wiped by who asks for it.
    func copy() -> [UInt8] { withBytes { Array($0) } }

    func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: start, count: count))
    }
}

/// Wiping of arrays that held a secret.
package enum SecretBytes {
    /// Overwrites `bytes` with zeros, and leaves none.
    ///
    /// It reaches this array alone: of one that is shared, the others keep theirs, and what the
    /// compiler moved to registers or the stack stays until it is used anew.
    package static func wipe(_ bytes: inout [UInt8]) {
        bytes.withUnsafeMutableBytes { buffer in
            if let start = buffer.baseAddress { sodium_memzero(start, buffer.count) }
        }
        bytes = []
    }
}

/// libsodium, which must be prepared before its first use.
enum Sodium {
    private static let status = sodium_init()

    /// Does so once; any thread may be the first.
    static func prepare() { precondition(status >= 0, "libsodium cannot be used here") }
}
