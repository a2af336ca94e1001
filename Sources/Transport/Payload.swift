import NIOCore

/// Bulk bytes of a request, in memory of their own, so that the caller's is free at once.
package struct Payload: Sendable {
    private(set) var buffer: ByteBuffer

    package var count: Int { buffer.readableBytes }

    package init(copying bytes: UnsafeRawBufferPointer) {
        self.init(capacity: bytes.count)
        buffer.writeBytes(bytes)
    }

    /// An empty one with room for `capacity` bytes.
    package init(capacity: Int) {
        buffer = ByteBufferAllocator().buffer(capacity: capacity)
    }

    /// Appends `count` bytes, all of which `fill` writes.
    package mutating func append<Failure: Error>(
        _ count: Int,
        fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        var outcome: Result<Void, Failure> = .success(())
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { room in
            do throws(Failure) {
                try fill(UnsafeMutableRawBufferPointer(rebasing: room[..<count]))
            } catch {
                outcome = .failure(error)
            }
            return count
        }
        try outcome.get()
    }

    /// The bytes, valid while `body` runs.
    package func withUnsafeBytes<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        buffer.withUnsafeReadableBytes(body)
    }
}
