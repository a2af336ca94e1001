package import Primitives
import Metadata

// Reading bytes of a snapshot: from what is opened, else from the network, whole blocks and more
// ahead for who reads on.

extension SnapshotTree {
    /// A read at least so long that does not quite go on where the last one ended is still one of a
    /// sequential reader: the kernel reads ahead with several requests, which overtake each other.
    private static let aheadBytesMin = 128 << 10
    /// How far they may be apart: twice what the kernel reads ahead.
    private static let overtakingMax: UInt64 = 8 << 20
    /// The farthest readahead, in blocks, as of the live volume: a whole stripe of 4+2.
    private static let readaheadMax = 16
    /// What a first read of a file opens at least, and the largest block that is opened whole
    /// whatever is read of it.
    private static let firstBytes = 256 << 10
    /// How often a read is tried again when what it waited for was dropped before it came there.
    private static let roundsMax = 16

    /// A part of a block that is wanted, and where it goes.
    private struct Want {
        let location: BlockLocation
        /// Within the block.
        let range: Range<Int>
        let target: UnsafeMutableRawBufferPointer

        var place: OpenedBlocks.Place {
            OpenedBlocks.Place(stripe: location.stripe, offset: location.offset)
        }
    }

    /// Reads up to `buffer.count` bytes at `offset`; fewer only at the end of the file.
    ///
    /// - Throws: `unavailable` if too few providers answer, `corrupt` if no set of shards gives
    ///   bytes that pass their tags, `stale` if the stripe is gone, `wouldWait`.
    package func read(
        _ ino: InodeNumber,
        offset: UInt64,
        into buffer: UnsafeMutableRawBufferPointer,
        wait: Wait
    ) throws(FileSystemError) -> Int {
        let attributes = try metadata.attributes(of: ino)
        guard attributes.kind == .regular else {
            throw FileSystemError(.invalid, "inode \(ino.rawValue) is no regular file")
        }
        guard offset < attributes.size, !buffer.isEmpty else { return 0 }
        let end = offset + min(UInt64(buffer.count), attributes.size - offset)
        let range = offset..<end
        var missing = try wants(range, of: ino, into: buffer)
        missing.removeAll { opened.copy($0.range, of: $0.place, into: $0.target) }
        guard missing.isEmpty || wait == .allowed else {
            throw FileSystemError(.wouldWait, "would wait")
        }
        let isSequential = noteRead(range, of: ino, size: attributes.size)
        if !missing.isEmpty { try fetch(missing, of: ino, isSequential: isSequential) }
        return Int(end - offset)
    }

    /// Writes zeros where nothing is placed, and tells what else is needed.
    private func wants(
        _ range: Range<UInt64>,
        of ino: InodeNumber,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(FileSystemError) -> [Want] {
        let first = BlockIndex(containing: range.lowerBound)
        let last = BlockIndex(containing: range.upperBound - 1)
        let locations = try metadata.locations(of: ino, in: first...last)
        var wants: [Want] = []
        for (index, part) in BlockIndex.parts(of: range) {
            let start = Int(index.offset + UInt64(part.lowerBound) - range.lowerBound)
            let target = UnsafeMutableRawBufferPointer(
                rebasing: buffer[start..<start + part.count]
            )
            let location = locations[index]
            let valid = min(part.upperBound, max(part.lowerBound, Int(location?.validBytes ?? 0)))
            if valid < part.upperBound {
                UnsafeMutableRawBufferPointer(rebasing: target[(valid - part.lowerBound)...])
                    .initializeMemory(as: UInt8.self, repeating: 0)
            }
            guard let location, valid > part.lowerBound else { continue }
            wants.append(
                Want(
                    location: location,
                    range: part.lowerBound..<valid,
                    target: UnsafeMutableRawBufferPointer(
                        rebasing: target[..<(valid - part.lowerBound)]
                    )
                )
            )
        }
        return wants
    }

    // MARK: Opening

    /// Opens what is wanted, or waits for who is at it already.
    private func fetch(
        _ wants: [Want],
        of ino: InodeNumber,
        isSequential: Bool
    ) throws(FileSystemError) {
        var missing = wants
        for _ in 0..<Self.roundsMax {
            // All of ours are ended before any other is waited for, so that no two wait for each
            // other.
            var mine: [Want] = []
            var others: [Want] = []
            for want in missing {
                if opened.claim(want.place) { mine.append(want) } else { others.append(want) }
            }
            try open(mine, of: ino, isSequential: isSequential)
            for want in others { opened.wait(for: want.place) }
            missing = others.filter { !opened.copy($0.range, of: $0.place, into: $0.target) }
            if missing.isEmpty { return }
        }
        throw FileSystemError(.unavailable, "too many read at once to keep what they need")
    }

    /// Opens blocks that the caller has claimed, all of them asked for at once.
    private func open(
        _ wants: [Want],
        of ino: InodeNumber,
        isSequential: Bool
    ) throws(FileSystemError) {
        var left = wants[...]
        var openings: [Fetcher.Opening] = []
        // Claims end and requests are let go of whatever happens.
        defer {
            for want in left { opened.finish(want.place) }
            for opening in openings { fetcher.abandon(opening) }
        }
        guard !wants.isEmpty else { return }
        let key = try fileKey(of: ino)
        for want in wants {
            openings.append(
                try fetcher.begin(
                    span(of: want, isSequential: isSequential),
                    of: want.location,
                    in: try stripe(want.location.stripe),
                    under: key
                )
            )
        }
        while let want = left.first {
            let opening = openings.removeFirst()
            let plain = try fetcher.open(opening)
            let start = opening.span.segments.lowerBound * Geometry.segmentBytes
            let range = want.range.lowerBound - start..<want.range.upperBound - start
            guard range.lowerBound >= 0, range.upperBound <= plain.count else {
                throw FileSystemError(
                    .corrupt,
                    "stripe \(want.location.stripe.short): a block row is too short"
                )
            }
            plain.withUnsafeBytes { plain in
                want.target.copyMemory(from: UnsafeRawBufferPointer(rebasing: plain[range]))
            }
            opened.finish(want.place, keeping: plain, from: start)
            fetcher.noteKept()
            left = left.dropFirst()
        }
    }

    /// The stripe as it is placed now.
    private func stripe(_ id: StripeID) throws(FileSystemError) -> StripeRecord {
        do throws(FileSystemError) {
            return try source.stripe(id)
        } catch {
            guard error.code == .notFound else { throw error }
            throw FileSystemError(.stale, "stripe \(id.short) of a snapshot is gone")
        }
    }

    /// The segments to open for a wanted part: all of a small block or of one that is read on, at
    /// least the beginning of a file that is read from there.
    private func span(of want: Want, isSequential: Bool) -> ClosedRange<Int> {
        let valid = Int(want.location.validBytes)
        var range = want.range
        if isSequential || want.location.sealedBytes <= UInt64(Self.firstBytes) {
            range = 0..<valid
        } else if range.lowerBound == 0 {
            range = 0..<min(valid, max(range.upperBound, Self.firstBytes))
        }
        // Not empty: what is wanted is not.
        return SegmentMask(covering: range).span ?? 0...0
    }

    // MARK: Readahead

    /// Notes a read, asks for what a sequential reader will want, and tells whether this is one's.
    ///
    /// The first read of a file is not yet.
    @discardableResult
    private func noteRead(_ range: Range<UInt64>, of ino: InodeNumber, size: UInt64) -> Bool {
        let ahead = changeReading(of: ino) {
            reading -> (isSequential: Bool, ClosedRange<UInt64>?) in
            let distance = max(range.lowerBound, reading.end) - min(range.lowerBound, reading.end)
            let goesOn =
                distance == 0
                || range.count >= Self.aheadBytesMin && distance <= Self.overtakingMax
            guard goesOn else {
                reading.window = 0
                reading.askedUntil = 0
                reading.end = range.upperBound
                return (false, nil)
            }
            let isFirst = range.lowerBound == 0 && reading.window == 0
            reading.end = max(reading.end, range.upperBound)
            let current = BlockIndex(containing: reading.end - 1).rawValue
            if isFirst {
                reading.window = 1
                reading.askedUntil = current + 1
                return (range.count >= Self.aheadBytesMin, nil)
            }
            let last = min(
                current + UInt64(max(reading.window, 1)),
                BlockIndex(containing: size - 1).rawValue
            )
            let first = max(reading.askedUntil, current + 1)
            guard first <= last else { return (true, nil) }
            reading.window = min(Self.readaheadMax, max(2, reading.window * 2))
            reading.askedUntil = last + 1
            return (true, first...last)
        }
        if let blocks = ahead.1 { askAhead(blocks, of: ino) }
        return ahead.isSequential
    }

    /// Asks for blocks without waiting; whether they come shows when they are read.
    private func askAhead(_ blocks: ClosedRange<UInt64>, of ino: InodeNumber) {
        let range = BlockIndex(blocks.lowerBound)...BlockIndex(blocks.upperBound)
        guard let locations = try? metadata.locations(of: ino, in: range) else { return }
        for index in blocks {
            guard let location = locations[BlockIndex(index)],
                let span = SegmentMask(covering: 0..<Int(location.validBytes)).span
            else { continue }
            let place = OpenedBlocks.Place(stripe: location.stripe, offset: location.offset)
            guard !opened.knows(place), let stripe = try? stripe(location.stripe) else { continue }
            try? fetcher.askAhead(span, of: location, in: stripe)
        }
    }
}
