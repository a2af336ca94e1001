import NIOCore

/// How the bytes of shards go through a connection: in slices small enough that every step from the
/// socket to the frame, or back, finds them in the processor's second-level cache.
enum BulkTransfer {
    /// Bytes that are encrypted and given to the system before the next ones.
    ///
    /// Smaller ones cost a system call and a pass through the pipeline more often. It also shows
    /// progress on a slow line.
    static let sliceBytes = 256 << 10

    /// How large the reads from a socket may grow.
    static let receiveBuffers = AdaptiveRecvByteBufferAllocator(
        minimum: 1 << 10,
        initial: 16 << 10,
        maximum: sliceBytes
    )

    /// Reads from a socket before what was read is decrypted and passed on: the TLS layer gathers
    /// the plain bytes of all of them.
    static let readsPerTurn: UInt = 1

    /// Cuts bytes into slices and gives each to `write`, which is told of the last.
    static func slices(of bytes: ByteBuffer, write: (ByteBuffer, _ isLast: Bool) -> Void) {
        var rest = bytes
        while rest.readableBytes > sliceBytes, let slice = rest.readSlice(length: sliceBytes) {
            write(slice, false)
        }
        write(rest, true)
    }
}
