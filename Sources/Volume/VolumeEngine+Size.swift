package import Primitives
import Disk
import Cache
import Metadata

extension VolumeEngine {
    /// Applies `chmod`, `chown`, `utimens` and `truncate`.
    package func setAttributes(
        _ change: AttributeChange,
        of ino: InodeNumber,
        wait: Wait
    ) throws(FileSystemError) -> Attributes {
        if let size = change.size {
            guard size <= Geometry.fileBytesMax else {
                throw FileSystemError(.fileTooLarge, "a file has at most 2^53 bytes")
            }
            try resize(ino, to: size, change: change, wait: wait)
            return try metadata.attributes(of: ino)
        }
        // Times that are set now count, not those of writes before.
        if passthrough.written.contains(ino) {
            try passthrough.acceptTimes(of: contents.content(of: ino))
        }
        return try metadata.setAttributes(change, of: ino, now: now())
    }

    /// Cuts or extends a file, and applies the rest of `change` in the same transaction.
    ///
    /// A cut block is not fetched: its location keeps fewer valid bytes.
    private func resize(
        _ ino: InodeNumber,
        to size: UInt64,
        change: AttributeChange,
        wait: Wait
    ) throws(FileSystemError) {
        let attributes = try metadata.attributes(of: ino)
        switch attributes.kind {
        case .regular: break
        case .directory: throw FileSystemError(.isDirectory, "a directory has no size to set")
        default: throw FileSystemError(.invalid, "only regular files can be truncated")
        }
        let content = try loaded(ino)
        try content.state.write { state throws(FileSystemError) in
            guard !state.isReaped else { throw Self.gone(ino) }
            let oldSize = try metadata.attributes(of: ino).size
            guard size < oldSize else {
                try passthrough.prepareToGrow(state, wait: wait)
                _ = try metadata.setAttributes(change, of: ino, now: now())
                return try passthrough.grow(ino, &state)
            }
            if state.holdsAcknowledged || state.mayBeTrustedAgain, wait == .never {
                throw Self.wouldWait
            }
            // One operation of the metadata: the size, and the blocks past it.
            _ = try metadata.setAttributes(change, of: ino, now: now())
            try cutBlocks(of: ino, to: size, in: &state)
            let mustSync = Self.isSynced(blockHolding: size, in: state)
            try settleBeforeDestroying(&state)
            try cache.truncate(ino, to: size)
            try passthrough.fit(ino, state)
            // The block counts as durable in the cache: were the cut lost there at a power cut, its
            // old bytes would be back behind it when the file grows again.
            if mustSync || state.isTrustedWhole { try cache.sync(ino) }
        }
    }

    /// Follows in memory what the metadata did: blocks past `size` are gone, and the one that
    /// holds it is cut.
    private func cutBlocks(
        of ino: InodeNumber,
        to size: UInt64,
        in state: inout FileContentState
    ) throws(FileSystemError) {
        let whole = size / UInt64(Geometry.blockBytes)
        let valid = Int(size % UInt64(Geometry.blockBytes))
        let kept = valid == 0 ? whole : whole + 1
        state.blocks = state.blocks.filter { $0.key < kept }
        guard valid > 0, var block = state.blocks[whole] else { return }
        if let location = block.location, Int(location.validBytes) > valid {
            block.location = location.cut(to: valid)
        }
        if block.dirtySince != nil {
            block.dirtySince = try metadata.markDirty(ino, BlockIndex(whole), since: Clock.now())
            block.snapshotTaken = false
        }
        block.version += 1
        state.blocks[whole] = block
    }

    /// Whether the end of a file of `size` bytes lies within a block that is noted as durable here.
    private static func isSynced(
        blockHolding size: UInt64,
        in state: borrowing FileContentState
    ) -> Bool {
        guard size % UInt64(Geometry.blockBytes) > 0 else { return false }
        return state.blocks[size / UInt64(Geometry.blockBytes)]?.isSynced ?? false
    }

    /// Commits the metadata before cached bytes are destroyed, durably if some of them were
    /// acknowledged by an `fsync`: else a power cut could bring back the old size without them.
    func settleBeforeDestroying(_ state: inout FileContentState) throws(FileSystemError) {
        if state.holdsAcknowledged || state.mayBeTrustedAgain {
            try metadata.sync()
        } else {
            try metadata.commit()
        }
        DurableStep.note(.metadataForgot)
    }

    // MARK: fallocate

    /// Ensures that the file reaches the end of `range` (`man 2 fallocate`, mode 0).
    ///
    /// Space is not reserved: cache files are sparse and providers are filled later.
    package func allocate(
        _ ino: InodeNumber,
        range: Range<UInt64>,
        keepSize: Bool,
        wait: Wait
    ) throws(FileSystemError) {
        guard range.upperBound <= Geometry.fileBytesMax else {
            throw FileSystemError(.fileTooLarge, "a file has at most 2^53 bytes")
        }
        let content = try loaded(ino)
        try content.state.write { state throws(FileSystemError) in
            guard !state.isReaped else { throw Self.gone(ino) }
            try passthrough.prepareToGrow(state, wait: wait)
            let end = keepSize ? 0 : range.upperBound
            try metadata.recordWrite(ino, growingTo: end, now: now())
            try passthrough.grow(ino, &state)
        }
    }

    /// Makes `range` read as zeros, freeing what holds it (`FALLOC_FL_PUNCH_HOLE`).
    package func punchHole(
        _ ino: InodeNumber,
        range: Range<UInt64>,
        wait: Wait
    ) throws(FileSystemError) {
        let size = try attributes(of: ino).size
        let end = min(range.upperBound, size)
        if range.lowerBound < end { try zero(ino, range: range.lowerBound..<end, wait: wait) }
        // The times change where there was nothing to zero, too.
        try allocate(ino, range: range, keepSize: true, wait: wait)
    }

    /// Makes `range` read as zeros, extending the file unless `keepSize`
    /// (`FALLOC_FL_ZERO_RANGE`).
    package func zeroRange(
        _ ino: InodeNumber,
        range: Range<UInt64>,
        keepSize: Bool,
        wait: Wait
    ) throws(FileSystemError) {
        try punchHole(ino, range: range, wait: wait)
        try allocate(ino, range: range, keepSize: keepSize, wait: wait)
    }

    /// Zeros `range`, which lies within the file: its edges as a write of zeros, whole blocks as
    /// removal.
    private func zero(
        _ ino: InodeNumber,
        range: Range<UInt64>,
        wait: Wait
    ) throws(FileSystemError) {
        let content = try loaded(ino)
        let size = try metadata.attributes(of: ino).size
        let blockBytes = UInt64(Geometry.blockBytes)
        let wholeStart = (range.lowerBound + blockBytes - 1) / blockBytes * blockBytes
        let reachesEnd = range.upperBound >= size
        let wholeEnd = max(
            wholeStart,
            (reachesEnd ? range.upperBound + blockBytes - 1 : range.upperBound)
                / blockBytes * blockBytes
        )
        let head = range.lowerBound..<min(range.upperBound, wholeStart)
        try zeroEdge(head, of: content, wait: wait)
        if wholeEnd < range.upperBound {
            try zeroEdge(wholeEnd..<range.upperBound, of: content, wait: wait)
        }
        if wholeStart < wholeEnd {
            try removeBlocks(wholeStart..<wholeEnd, of: content, wait: wait)
        }
    }

    /// Zeros part of one block.
    private func zeroEdge(
        _ range: Range<UInt64>,
        of content: FileContent,
        wait: Wait
    ) throws(FileSystemError) {
        guard !range.isEmpty else { return }
        let index = BlockIndex(containing: range.lowerBound).rawValue
        if content.state.read({ $0.blocks[index] == nil && $0.passage == nil }) { return }
        try change(content, range: range, wait: wait, growsTo: 0) { () throws(FileSystemError) in
            try cache.zero(content.ino, range)
        }
    }

    /// Makes holes of whole blocks; `range` begins and ends at block boundaries.
    private func removeBlocks(
        _ range: Range<UInt64>,
        of content: FileContent,
        wait: Wait
    ) throws(FileSystemError) {
        let ino = content.ino
        let first = BlockIndex(containing: range.lowerBound)
        let last = BlockIndex(containing: range.upperBound - 1)
        try content.state.write { state throws(FileSystemError) in
            guard !state.isReaped else { throw Self.gone(ino) }
            if state.holdsAcknowledged || state.mayBeTrustedAgain, wait == .never {
                throw Self.wouldWait
            }
            try metadata.removeBlocks(ino, first..<last.next)
            state.blocks = state.blocks.filter { !(first...last).contains(BlockIndex($0.key)) }
            try metadata.recordWrite(ino, growingTo: 0, now: now())
            try settleBeforeDestroying(&state)
            try cache.punch(ino, range)
            if state.isTrustedWhole { try cache.sync(ino) }
        }
    }

    // MARK: lseek and copy_file_range

    /// As `seek`, of a file whose cache file knows more than its blocks.
    private static func seek(
        in file: Descriptor,
        from offset: UInt64,
        to target: SeekTarget
    ) throws(FileSystemError) -> UInt64 {
        let found: UInt64?
        do throws(DiskError) {
            switch target {
            case .data: found = try file.nextData(from: offset)
            case .hole: found = try file.nextHole(from: offset)
            }
        } catch {
            throw FileSystemError(error)
        }
        guard let found else {
            throw FileSystemError(.beyondEnd, "nothing of the kind after offset \(offset)")
        }
        return found
    }

    /// The next data or hole at or after `offset`, in whole blocks; the end of the file is a
    /// hole (`man 2 lseek`).
    package func seek(
        _ ino: InodeNumber,
        from offset: UInt64,
        to target: SeekTarget
    ) throws(FileSystemError) -> UInt64 {
        let content = try loaded(ino)
        let size = try metadata.attributes(of: ino).size
        guard offset < size else {
            throw FileSystemError(.beyondEnd, "offset \(offset) is at or past the end")
        }
        if let file = content.state.read({ $0.passage?.file }) {
            return try Self.seek(in: file, from: offset, to: target)
        }
        let data = content.state.read { $0.blocks.keys.sorted() }
        let start = BlockIndex(containing: offset).rawValue
        switch target {
        case .data:
            guard let index = data.first(where: { $0 >= start }) else {
                throw FileSystemError(.beyondEnd, "no data after offset \(offset)")
            }
            let found = max(offset, BlockIndex(index).offset)
            guard found < size else {
                throw FileSystemError(.beyondEnd, "no data after offset \(offset)")
            }
            return found
        case .hole:
            var index = start
            let known = Set(data)
            while known.contains(index), BlockIndex(index).offset < size { index += 1 }
            return min(size, max(offset, BlockIndex(index).offset))
        }
    }

    /// Bytes copied by one turn of `copyRange`.
    private static let copyBytesMax = 1 << 20
    /// Bytes copied by one call; the kernel asks again for the rest.
    private static let copyCallBytesMax: UInt64 = 64 << 20

    /// What is copied by who must not wait, if it is cached.
    private static let copyAtOnceBytesMax: UInt64 = 64 << 10

    /// Copies up to `count` bytes between files, or within one, without the kernel's help.
    ///
    /// - Returns: bytes copied; 0 at the end of the source.
    package func copyRange(
        from source: InodeNumber,
        at sourceOffset: UInt64,
        to target: InodeNumber,
        at targetOffset: UInt64,
        count: UInt64,
        wait: Wait
    ) throws(FileSystemError) -> UInt64 {
        let size = try attributes(of: source).size
        let total = min(count, size - min(size, sourceOffset), Self.copyCallBytesMax)
        guard wait == .allowed || total <= Self.copyAtOnceBytesMax else { throw Self.wouldWait }
        guard total > 0 else { return 0 }
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Int(min(total, UInt64(Self.copyBytesMax))),
            alignment: 4096
        )
        defer { buffer.deallocate() }
        var copied: UInt64 = 0
        while copied < total {
            let want = Int(min(total - copied, UInt64(buffer.count)))
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<want])
            let got = try read(source, offset: sourceOffset + copied, into: part, wait: wait)
            guard got > 0 else { break }
            _ = try write(
                target,
                offset: targetOffset + copied,
                from: UnsafeRawBufferPointer(rebasing: part[..<got]),
                wait: wait
            )
            copied += UInt64(got)
        }
        return copied
    }
}

extension BlockLocation {
    /// The same place, of which only the first `bytes` count.
    func cut(to bytes: Int) -> BlockLocation {
        BlockLocation(
            stripe: stripe,
            offset: offset,
            plainBytes: plainBytes,
            validBytes: min(validBytes, UInt32(bytes)),
            segmentBytes: segmentBytes
        )
    }
}
