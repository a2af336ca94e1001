import Primitives

/// Memory that stages read and write.
final class StageBuffer {
    let bytes: UnsafeMutableRawBufferPointer

    init(byteCount: Int) {
        bytes = .allocate(byteCount: byteCount, alignment: 4096)
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit { bytes.deallocate() }

    var readable: UnsafeRawBufferPointer { UnsafeRawBufferPointer(bytes) }

    /// The `index`-th part of so many bytes.
    func part(_ index: Int, of byteCount: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: bytes[index * byteCount..<(index + 1) * byteCount])
    }

    /// All whole parts of so many bytes.
    func parts(of byteCount: Int) -> [UnsafeRawBufferPointer] {
        (0..<bytes.count / byteCount).map { UnsafeRawBufferPointer(part($0, of: byteCount)) }
    }

    /// What neither compresses nor repeats.
    func fillWithNoise() {
        var generator = SeededGenerator(seed: 3)
        for offset in stride(from: 0, to: bytes.count - 7, by: 8) {
            bytes.storeBytes(of: generator.next(), toByteOffset: offset, as: UInt64.self)
        }
    }

    /// What compresses to about a third: words in any order.
    func fillWithText() {
        let words =
            """
            the volume keeps names and blocks; a stripe has shards, each on a provider of its own. \
            let guard return throw package func struct import while reading writing offset length
            """
            .split(separator: " ").map { Array($0.utf8) + [0x20] }
        var generator = SeededGenerator(seed: 4)
        var offset = 0
        while offset < bytes.count {
            for byte in words[Int(generator.next() % UInt64(words.count))]
            where offset < bytes.count {
                bytes[offset] = byte
                offset += 1
            }
        }
    }
}
