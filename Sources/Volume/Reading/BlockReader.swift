import Metadata
import Primitives
import Sealing

/// Opens segments of sealed blocks from the bytes that providers give, past the cache.
struct BlockReader: Sendable {
    /// A run of segments of a block, and where their sealed bytes are.
    struct Span: Sendable {
        let location: BlockLocation
        /// Which segments of the block.
        let segments: ClosedRange<Int>
        let stripe: StripeRecord
        /// Their sealed bytes in the stripe's payload; empty if all are zeros.
        let range: Range<Int>
        let blockKey: Sealing::BlockKey

        /// - Throws: `corrupt` if the row names segments or bytes that are not there.
        init(
            _ segments: ClosedRange<Int>,
            of location: BlockLocation,
            in stripe: StripeRecord,
            under key: FileKey
        ) throws(FileSystemError) {
            range = try location.payloadRange(of: segments, in: stripe)
            blockKey = key.blockKey(stripe: stripe.id, offset: location.offset)
            self.location = location
            self.segments = segments
            self.stripe = stripe
        }
    }

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
        let span = try Span(0...last, of: location, in: stripe, under: key)
        return try open(span, ask(span))
    }

    /// Asks for the bytes of a run of segments without waiting; `nil` if there are none.
    func ask(_ span: Span) -> StripeReader.Reading? {
        span.range.isEmpty ? nil : reader.begin(span.stripe, span.range)
    }

    /// Receives what was asked for and opens it; plaintext, segment after segment.
    ///
    /// - Throws: as `read`.
    func open(
        _ span: Span,
        _ reading: StripeReader.Reading?
    ) throws(FileSystemError) -> [UInt8] {
        let sealed = try reading.map { reading throws(FileSystemError) in
            try reader.finish(reading)
        }
        if let plain = open(sealed ?? [], span) { return plain }
        // The next attempts must not get the same bytes again.
        reader.ranges.forget(span.stripe.shards)
        for suspects in reader.suspicions(span.stripe, span.range) {
            guard let again = try? reader.read(span.stripe, span.range, distrusting: suspects),
                let plain = open(again, span)
            else { continue }
            reader.report(suspects, of: span.stripe)
            return plain
        }
        throw FileSystemError(
            .corrupt,
            "stripe \(span.stripe.id.short): no set of shards gives bytes that pass their tags"
        )
    }

    /// The plaintext, or `nil` if a tag does not match.
    private func open(_ sealed: [UInt8], _ span: Span) -> [UInt8]? {
        let start = span.segments.lowerBound * Geometry.segmentBytes
        let end = min(
            Int(span.location.plainBytes),
            (span.segments.upperBound + 1) * Geometry.segmentBytes
        )
        var plain = [UInt8](repeating: 0, count: max(0, end - start))
        do {
            let sealer = try sealers.take()
            defer { sealers.give(sealer) }
            try plain.withUnsafeMutableBytes { plain in
                try sealed.withUnsafeBytes { sealed in
                    var at = 0
                    for segment in span.segments {
                        let length = Int(span.location.segmentBytes[segment])
                        let from = segment * Geometry.segmentBytes - start
                        let to = min(plain.count, from + Geometry.segmentBytes)
                        if length > 0 {
                            try sealer.open(
                                UnsafeRawBufferPointer(rebasing: sealed[at..<at + length]),
                                index: segment,
                                key: span.blockKey,
                                into: UnsafeMutableRawBufferPointer(rebasing: plain[from..<to])
                            )
                        }
                        at += length
                    }
                }
            }
            return plain
        } catch {
            return nil
        }
    }
}
