import Cache
import Disk
import Metadata
import Primitives
import Sealing

// Finding the bytes of one block, asking for them, opening and caching them.

extension Fetcher {
    /// A run of segments of a block whose bytes were asked for.
    struct Opening: Sendable {
        let span: BlockReader.Span
        let reading: StripeReader.Reading?
    }

    /// Finds where a block's bytes are and asks for them; `nil` if none are missing any more.
    func prepare(
        _ request: FetchRequest,
        of content: FileContent
    ) -> Result<Opening?, FileSystemError> {
        do throws(FileSystemError) {
            let known = content.state.read { state -> (BlockLocation, SegmentMask)? in
                guard let block = state.blocks[request.index.rawValue],
                    let location = block.location
                else { return nil }
                let missing = block.missing(request.segments)
                return missing.isEmpty ? nil : (location, missing)
            }
            guard let (location, missing) = known, let span = missing.span else {
                return .success(nil)
            }
            guard !location.isLost else {
                throw FileSystemError(
                    .corrupt,
                    "block \(request.index.rawValue) is lost, as 'mefs fsck' noted; it can be"
                        + " overwritten or cut off"
                )
            }
            let fileKey = try fileKey(of: content)
            guard let stripe = try stripe(at: location, of: request.index, in: content) else {
                return .success(nil)
            }
            return .success(try begin(span, of: location, in: stripe, under: fileKey))
        } catch {
            return .failure(error)
        }
    }

    /// Asks for a run of segments of a block without waiting; `open` receives them.
    ///
    /// - Throws: `corrupt` if the row names segments or bytes that are not there.
    func begin(
        _ span: ClosedRange<Int>,
        of location: BlockLocation,
        in stripe: StripeRecord,
        under fileKey: FileKey
    ) throws(FileSystemError) -> Opening {
        let span = try BlockReader.Span(span, of: location, in: stripe, under: fileKey)
        fetchNeighbours(of: span)
        let reading = blocks.ask(span)
        if reading?.isKept == true { noteKept() }
        return Opening(span: span, reading: reading)
    }

    /// Asks for a run of segments that somebody is likely to want soon, as `begin`; what comes is
    /// kept sealed for a while.
    func askAhead(
        _ span: ClosedRange<Int>,
        of location: BlockLocation,
        in stripe: StripeRecord
    ) throws(FileSystemError) {
        let range = try location.payloadRange(of: span, in: stripe)
        guard !range.isEmpty else { return }
        blocks.reader.prefetch(stripe, range)
        noteKept()
    }

    /// Lets go of what `begin` asked for.
    func abandon(_ opening: Opening) {
        if let reading = opening.reading { blocks.reader.abandon(reading) }
    }

    /// The stripe that holds a block; `nil` if it was rewritten and reclaimed meanwhile: the caller
    /// looks at the new location.
    private func stripe(
        at location: BlockLocation,
        of index: BlockIndex,
        in content: FileContent
    ) throws(FileSystemError) -> StripeRecord? {
        do throws(FileSystemError) {
            return try metadata.stripe(location.stripe)
        } catch {
            let now = content.state.read { $0.blocks[index.rawValue]?.location }
            if now?.stripe != location.stripe { return nil }
            throw FileSystemError(.corrupt, "a placed block cannot be found: \(error.message)")
        }
    }

    /// Asks for what lies beside a small block that is read whole.
    private func fetchNeighbours(of span: BlockReader.Span) {
        guard !span.range.isEmpty, span.range.count <= NeighbourWindows.blockBytesMax,
            span.range.count == span.location.sealedBytes,
            let wanted = windows.wanted(span.range, in: span.stripe)
        else { return }
        blocks.reader.prefetch(span.stripe, wanted)
        noteKept()
    }

    /// Receives and opens a run of segments; plaintext, segment after segment.
    func open(_ opening: Opening) throws(FileSystemError) -> [UInt8] {
        try blocks.open(opening.span, opening.reading)
    }

    /// Writes fetched bytes to the cache, unless the block changed meanwhile.
    func keep(
        _ plain: [UInt8],
        _ span: ClosedRange<Int>,
        of index: BlockIndex,
        at location: BlockLocation,
        in content: FileContent
    ) throws(FileSystemError) {
        try content.state.write { state throws(FileSystemError) in
            guard !state.isReaped, state.passage == nil, var block = state.blocks[index.rawValue],
                block.dirtySince == nil, let now = block.location,
                now.stripe == location.stripe, now.offset == location.offset
            else { return }
            let start = span.lowerBound * Geometry.segmentBytes
            // A truncation since then keeps the place but lowers what is valid.
            let count = min(plain.count, Int(now.validBytes) - start)
            if count > 0 {
                try cache.write(
                    content.ino,
                    offset: index.offset + UInt64(start),
                    plain.prefix(count)
                )
            }
            let fetched = SegmentMask(
                covering: start..<(span.upperBound + 1) * Geometry.segmentBytes
            )
            block.resident.formUnion(fetched)
            try metadata.setResident(
                content.ino,
                index,
                block.resident.rawValue,
                isLosable: true
            )
            state.blocks[index.rawValue] = block
        }
    }

    private func fileKey(of content: FileContent) throws(FileSystemError) -> FileKey {
        if let key = content.state.read({ $0.fileKey }) { return key }
        let opened = try content.state.write { state throws(FileSystemError) in
            try state.openKey(of: content.ino, in: metadata, under: key)
        }
        guard let opened else {
            throw FileSystemError(.corrupt, "inode \(content.ino.rawValue) has no file key")
        }
        return opened
    }
}

extension BlockLocation {
    /// Where the sealed bytes of a run of segments lie in the stripe's payload.
    ///
    /// - Throws: `corrupt` if the row names segments or bytes that are not there.
    func payloadRange(
        of span: ClosedRange<Int>,
        in stripe: StripeRecord
    ) throws(FileSystemError) -> Range<Int> {
        guard span.upperBound < segmentBytes.count else {
            throw FileSystemError(.corrupt, "stripe \(stripe.id.short): a block row is too short")
        }
        let start = segmentBytes[..<span.lowerBound].reduce(Int(offset)) { $0 + Int($1) }
        let end = segmentBytes[span].reduce(start) { $0 + Int($1) }
        guard end <= stripe.payloadBytes else {
            throw FileSystemError(.corrupt, "stripe \(stripe.id.short): a block row points past it")
        }
        return start..<end
    }
}
