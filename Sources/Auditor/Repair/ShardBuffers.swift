/// Memory for some shards of one length, aligned for ISA-L, freed with the last reference.
final class ShardBuffers {
    private let memory: UnsafeMutableRawBufferPointer
    private let bytes: Int
    let count: Int

    init(count: Int, bytes: Int) {
        self.count = count
        self.bytes = bytes
        memory = .allocate(byteCount: max(1, count * bytes), alignment: 64)
    }

    subscript(position: Int) -> UnsafeMutableRawBufferPointer {
        precondition((0..<count).contains(position))
        return UnsafeMutableRawBufferPointer(
            rebasing: memory[position * bytes..<(position + 1) * bytes]
        )
    }

    deinit { memory.deallocate() }
}
