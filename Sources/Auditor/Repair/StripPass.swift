import Erasure
import Network
import Primitives

/// One pass over a stripe: reads strip after strip of k shards and makes those of others.
final class StripPass {
    /// Strips of some helpers, unmasked, `nil` for one that could not be read.
    typealias Reading = ([ShardHolding], Range<Int>) -> [(holding: ShardHolding, bytes: [UInt8]?)]

    private let stripe: StripeManifest
    private let stripBytes: Int
    private(set) var bytesRead = 0

    init(stripe: StripeManifest, stripBytes: Int) {
        self.stripe = stripe
        self.stripBytes = stripBytes
    }

    /// Makes `wanted` of the k shards `used`, unmasked.
    ///
    /// - Returns: The index of a helper that could not be read, or `nil` if all went well.
    func run(
        _ used: [ShardHolding],
        into buffers: ShardBuffers,
        wanted: [ShardHolding],
        reading: Reading
    ) throws(CustodyError) -> UInt8? {
        let coder = ErasureCoder(stripe.code)
        let shardBytes = Int(stripe.shardBytes)
        for start in stride(from: 0, to: shardBytes, by: stripBytes) {
            let range = start..<min(start + stripBytes, shardBytes)
            let strips = reading(used, range)
            if let failed = strips.first(where: { $0.bytes == nil }) {
                return failed.holding.index
            }
            bytesRead += range.count * used.count
            try decode(
                strips.compactMap { strip in
                    strip.bytes.map { (Int(strip.holding.index), $0) }
                },
                coder,
                range,
                into: buffers,
                wanted: wanted
            )
        }
        return nil
    }

    private func decode(
        _ strips: [(index: Int, bytes: [UInt8])],
        _ coder: ErasureCoder,
        _ range: Range<Int>,
        into buffers: ShardBuffers,
        wanted: [ShardHolding]
    ) throws(CustodyError) {
        let targets = wanted.indices.map { position in
            UnsafeMutableRawBufferPointer(rebasing: buffers[position][range])
        }
        do {
            try Self.withPointers(strips[...], []) { present in
                try coder.reconstruct(
                    wanted.map { Int($0.index) },
                    from: present,
                    into: targets
                )
            }
        } catch {
            throw CustodyError(.unavailable, "stripe \(stripe.id.short): \(error)")
        }
    }

    /// Runs `body` with all arrays' memory at once.
    private static func withPointers(
        _ strips: ArraySlice<(index: Int, bytes: [UInt8])>,
        _ present: [(index: Int, bytes: UnsafeRawBufferPointer)],
        _ body: ([(index: Int, bytes: UnsafeRawBufferPointer)]) throws -> Void
    ) throws {
        guard let first = strips.first else { return try body(present) }
        try first.bytes.withUnsafeBytes { bytes in
            try withPointers(
                strips.dropFirst(),
                present + [(first.index, bytes)],
                body
            )
        }
    }
}
