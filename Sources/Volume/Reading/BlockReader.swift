import Metadata
import Primitives
import Sealing

/// Reads whole sealed blocks from providers, past the cache; for what is no file's.
struct BlockReader: Sendable {
    let reader: StripeReader
    private let sealers = SealerPool()

    init(_ reader: StripeReader) { self.reader = reader }

    /// The plain bytes of a block.
    ///
    /// - Throws: `unavailable` if too few providers answer, `corrupt` if what they give does not
    ///   pass its tags.
    func read(
        _ location: BlockLocation,
        of stripe: StripeRecord,
        key: FileKey
    ) throws(FileSystemError) -> [UInt8] {
        guard let last = location.segmentBytes.indices.last else { return [] }
        let range = try location.payloadRange(of: 0...last, in: stripe)
        let blockKey = key.blockKey(stripe: stripe.id, offset: location.offset)
        guard !range.isEmpty else {
            return [UInt8](repeating: 0, count: Int(location.plainBytes))
        }
        let sealed = try reader.read(stripe, range)
        if let plain = try open(sealed, location, blockKey) { return plain }
        // The next attempts must not get the same bytes again.
        reader.ranges.forget(stripe.shards)
        for suspects in reader.suspicions(stripe, range) {
            guard let again = try? reader.read(stripe, range, distrusting: suspects),
                let plain = try open(again, location, blockKey)
            else { continue }
            reader.report(suspects, of: stripe)
            return plain
        }
        throw FileSystemError(
            .corrupt,
            "stripe \(stripe.id.short): no set of shards gives bytes that pass their tags"
        )
    }

    /// The plaintext, or `nil` if a tag does not match.
    private func open(
        _ sealed: [UInt8],
        _ location: BlockLocation,
        _ key: Sealing::BlockKey
    ) throws(FileSystemError) -> [UInt8]? {
        var plain = [UInt8](repeating: 0, count: Int(location.plainBytes))
        do {
            let sealer = try sealers.take()
            defer { sealers.give(sealer) }
            try plain.withUnsafeMutableBytes { plain in
                try sealed.withUnsafeBytes { sealed in
                    var at = 0
                    for (segment, length) in location.segmentBytes.enumerated() {
                        let from = segment * Geometry.segmentBytes
                        let to = min(plain.count, from + Geometry.segmentBytes)
                        if length > 0 {
                            try sealer.open(
                                UnsafeRawBufferPointer(rebasing: sealed[at..<at + Int(length)]),
                                index: segment,
                                key: key,
                                into: UnsafeMutableRawBufferPointer(rebasing: plain[from..<to])
                            )
                        }
                        at += Int(length)
                    }
                }
            }
            return plain
        } catch {
            return nil
        }
    }
}
