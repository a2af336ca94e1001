import Primitives

/// Which blocks a file has, where they are, and what is counted of them.
extension MetadataState {
    /// Bytes of a file of `size` bytes in block `index`.
    static func extent(_ size: UInt64, _ index: BlockIndex) -> UInt32 {
        guard size > index.offset else { return 0 }
        return UInt32(min(size - index.offset, UInt64(Geometry.blockBytes)))
    }

    /// The first block wholly past `size` bytes.
    static func firstBlock(past size: UInt64) -> UInt64 {
        (size + UInt64(Geometry.blockBytes) - 1) / UInt64(Geometry.blockBytes)
    }

    // MARK: First halves: read, may fail

    static func check(_ key: BlockKey) throws(FileSystemError) {
        guard key.index.rawValue < MetadataReader.blockIndexEnd else {
            throw FileSystemError(
                .fileTooLarge,
                "file \(key.ino.rawValue) cannot have a block \(key.index.rawValue)"
            )
        }
    }

    func regularFile(_ ino: InodeNumber) throws(FileSystemError) -> Inode {
        let inode = try inode(ino)
        guard inode.kind == .regular else {
            throw FileSystemError(
                inode.isDirectory ? .isDirectory : .invalid,
                "inode \(ino.rawValue) is not a regular file"
            )
        }
        return inode
    }

    /// The chunk, from memory or the database.
    func chunk(_ number: UInt64, of inode: Inode) throws(FileSystemError) -> BlockChunk {
        if let chunk = inode.chunks[number] { return chunk }
        let chunk = BlockChunk()
        if !inode.hasAllBlocks {
            let range = BlockChunk.range(number)
            let size = inode.row.attributes.size
            for (index, location) in try reader.locations(of: inode.ino, in: range) {
                chunk[index] = BlockEntry(
                    location: location,
                    resident: 0,
                    dirtySince: nil,
                    bytes: Self.extent(size, index)
                )
            }
            for (index, mask, since) in try reader.residency(of: inode.ino, in: range) {
                let counted = dirty.bytes(of: BlockKey(inode.ino, index))
                var entry =
                    chunk[index]
                    ?? BlockEntry(resident: 0, bytes: Self.extent(size, index))
                entry.resident = mask
                entry.dirtySince = since
                entry.bytes = counted ?? entry.bytes
                chunk[index] = entry
            }
        }
        let count = UInt64(chunk.entries.count)
        inode.blocksInMemory += count
        blocksInMemory += count
        inode.chunks[number] = chunk
        return chunk
    }

    /// Numbers of the chunks that hold blocks in `range`, ascending.
    private func chunkNumbers(
        of inode: Inode,
        in range: Range<UInt64>,
        limit: Int = .max
    ) throws(FileSystemError) -> [UInt64] {
        guard !range.isEmpty else { return [] }
        let first = range.lowerBound / BlockChunk.blocks
        let last = (range.upperBound - 1) / BlockChunk.blocks
        var numbers: [UInt64] = []
        for (number, chunk) in inode.chunks
        where number >= first && number <= last && !chunk.entries.isEmpty {
            numbers.append(number)
        }
        if !inode.hasAllBlocks {
            var next = range.lowerBound
            while numbers.count < limit,
                let found = try reader.nextBlock(of: inode.ino, from: next),
                found < range.upperBound
            {
                let number = found / BlockChunk.blocks
                // Memory knows better what is in a chunk it has.
                if inode.chunks[number] == nil { numbers.append(number) }
                next = BlockChunk.range(number).upperBound
            }
        }
        return Array(numbers.sorted().prefix(limit))
    }

    /// Brings the blocks in `range`, and the stripes that hold them, into memory.
    func load(_ range: Range<UInt64>, of inode: Inode) throws(FileSystemError) {
        guard inode.row.blockCount > 0 else { return }
        for number in try chunkNumbers(of: inode, in: range) {
            for (index, entry) in try chunk(number, of: inode).entries
            where range.contains(index.rawValue) {
                if let location = entry.location { try stripe(holding: location) }
            }
        }
    }

    func blocks(
        of ino: InodeNumber,
        in range: Range<UInt64>
    ) throws(FileSystemError) -> [BlockState] {
        let inode = try inode(ino)
        guard inode.row.blockCount > 0 else { return [] }
        var states: [BlockState] = []
        for number in try chunkNumbers(of: inode, in: range) {
            for (index, entry) in try chunk(number, of: inode).entries
            where range.contains(index.rawValue) {
                states.append(BlockState(index, entry))
            }
        }
        return states
    }

    func block(_ key: BlockKey) throws(FileSystemError) -> BlockState? {
        let inode = try inode(key.ino)
        guard inode.row.blockCount > 0 else { return nil }
        return try chunk(BlockChunk.number(of: key.index), of: inode)[key.index]
            .map { BlockState(key.index, $0) }
    }

    // MARK: Changes of one block

    func markDirty(
        _ key: BlockKey,
        since: Timestamp,
        resident: UInt16?
    ) throws(FileSystemError) -> Timestamp {
        let token = dirty.token(since)
        try change(key) { entry in
            entry.dirtySince = token
            entry.resident = resident ?? entry.resident
        }
        return token
    }

    func setResident(_ key: BlockKey, _ mask: UInt16) throws(FileSystemError) {
        try change(key) { $0.resident = mask }
    }

    private func change(
        _ key: BlockKey,
        _ body: (inout BlockEntry) -> Void
    ) throws(FileSystemError) {
        try Self.check(key)
        let inode = try regularFile(key.ino)
        let chunk = try chunk(BlockChunk.number(of: key.index), of: inode)
        let old = chunk[key.index]
        var new = old ?? BlockEntry(resident: 0, bytes: 0)
        new.bytes = Self.extent(inode.row.attributes.size, key.index)
        body(&new)
        guard new != old else { return }
        set(key.index, of: inode, in: chunk, to: new)
        changes.operations += 1
    }

    /// Takes dirty blocks back to what the network holds; those it does not hold are left.
    func revert(_ keys: [BlockKey]) throws(FileSystemError) {
        for key in keys where try block(key)?.location != nil {
            try change(key) { entry in
                entry.dirtySince = nil
                entry.resident = 0
            }
        }
    }

    /// Takes clean blocks out of the cache's books; gives those it took.
    func evict(_ keys: [BlockKey]) throws(FileSystemError) -> [BlockKey] {
        var found: [(key: BlockKey, inode: Inode, chunk: BlockChunk)] = []
        for key in keys {
            do {
                let inode = try inode(key.ino)
                guard inode.row.blockCount > 0 else { continue }
                found.append((key, inode, try chunk(BlockChunk.number(of: key.index), of: inode)))
            } catch  where error.code == .notFound {
                continue
            }
        }
        var evicted: [BlockKey] = []
        for (key, inode, chunk) in found {
            guard var entry = chunk[key.index], entry.dirtySince == nil, entry.resident != 0
            else { continue }
            entry.resident = 0
            set(key.index, of: inode, in: chunk, to: entry)
            evicted.append(key)
        }
        changes.operations += evicted.count
        return evicted
    }

    // MARK: Changes of ranges

    /// First half of `resize`.
    func prepareResize(_ inode: Inode, to size: UInt64) throws(FileSystemError) {
        _ = try regularFile(inode.ino)
        try checkSize(size, of: inode.ino)
        if size < inode.row.attributes.size {
            try prepareCut(inode, to: size)
        } else {
            try prepareGrowth(inode, to: size)
        }
    }

    /// First half of `recount`: brings blocks near the end into memory.
    private func prepareGrowth(_ inode: Inode, to size: UInt64) throws(FileSystemError) {
        guard !inode.hasAllBlocks else { return }
        let first = BlockIndex(containing: inode.row.attributes.size)
        let last = BlockIndex(containing: size)
        let number = BlockChunk.number(of: first)
        if number == BlockChunk.number(of: last) {
            _ = try chunk(number, of: inode)
            return
        }
        let range = first.rawValue..<last.rawValue + 1
        for number in try chunkNumbers(of: inode, in: range) {
            _ = try chunk(number, of: inode)
        }
    }

    /// First half of `cut`.
    func prepareCut(_ inode: Inode, to size: UInt64) throws(FileSystemError) {
        let first = size / UInt64(Geometry.blockBytes)
        try load(first..<Geometry.fileBytesMax, of: inode)
    }

    /// Second half: gives the file its new size; blocks past it are gone.
    func resize(_ inode: Inode, to size: UInt64) {
        let old = inode.row.attributes.size
        inode.row.attributes.size = size
        MetadataTotals.adjust(&totals.fileBytes, from: old, to: size)
        if size < old {
            cut(inode, to: size)
        } else {
            recount(inode, from: old, to: size)
        }
        inode.row.refreshSpace()
        markDirty(inode)
    }

    /// Second half: removes blocks past `size` bytes and cuts the one that holds the end.
    func cut(_ inode: Inode, to size: UInt64) {
        let firstPast = Self.firstBlock(past: size)
        remove(firstPast..<UInt64.max, of: inode)
        guard firstPast > 0 else { return }
        let index = BlockIndex(firstPast - 1)
        guard
            let chunk = inode.chunks[BlockChunk.number(of: index)], var entry = chunk[index]
        else { return }
        let bytes = Self.extent(size, index)
        entry.bytes = min(entry.bytes, bytes)
        if let valid = entry.location?.validBytes { entry.location?.validBytes = min(valid, bytes) }
        set(index, of: inode, in: chunk, to: entry)
    }

    /// Second half: removes the blocks in `range`, which must be in memory.
    func remove(_ range: Range<UInt64>, of inode: Inode) {
        for (number, chunk) in inode.chunks where BlockChunk.range(number).overlaps(range) {
            // A copy, since removing changes the list.
            for (index, _) in chunk.entries where range.contains(index.rawValue) {
                set(index, of: inode, in: chunk, to: nil)
            }
        }
    }

    /// Second half: counts the blocks near the end anew after the file has grown: the one that
    /// held the end, and those marked before the write that fills them was recorded.
    private func recount(_ inode: Inode, from old: UInt64, to size: UInt64) {
        guard inode.blocksInMemory > 0 else { return }
        let first = BlockIndex(containing: old)
        let last = BlockIndex(containing: size)
        if first == last {
            guard let chunk = inode.chunks[BlockChunk.number(of: first)] else { return }
            recount(first, of: inode, in: chunk)
            return
        }
        let numbers = BlockChunk.number(of: first)...BlockChunk.number(of: last)
        for (number, chunk) in inode.chunks where numbers.contains(number) {
            for (index, _) in chunk.entries where index >= first && index <= last {
                recount(index, of: inode, in: chunk)
            }
        }
    }

    private func recount(_ index: BlockIndex, of inode: Inode, in chunk: BlockChunk) {
        guard var entry = chunk[index] else { return }
        let bytes = Self.extent(inode.row.attributes.size, index)
        guard entry.bytes != bytes else { return }
        entry.bytes = bytes
        set(index, of: inode, in: chunk, to: entry)
    }

    // MARK: The one place where a block changes

    /// Second half: puts `entry` in the place of what was known of the block, and keeps every count
    /// and the list of unsaved rows in step.
    ///
    /// The stripes concerned must be in memory.
    func set(
        _ index: BlockIndex,
        of inode: Inode,
        in chunk: BlockChunk,
        to entry: BlockEntry?
    ) {
        let key = BlockKey(inode.ino, index)
        let old = chunk[index]
        let new = entry?.isHole == true ? nil : entry
        count(key, from: old, to: new)
        chunk[index] = new

        if (old == nil) != (new == nil) {
            let isNew = new != nil
            // Clamped: a damaged row may say less than there is.
            let count = inode.row.blockCount
            inode.row.blockCount = isNew ? count + 1 : count - min(1, count)
            inode.blocksInMemory = isNew ? inode.blocksInMemory + 1 : inode.blocksInMemory - 1
            blocksInMemory = isNew ? blocksInMemory + 1 : blocksInMemory - 1
            inode.row.refreshSpace()
            markDirty(inode)
        }
        if old?.location != new?.location {
            changes.blocks[key] = new?.location.map { .put($0) } ?? .remove
            if old?.location?.stripe != new?.location?.stripe
                || old?.location?.offset != new?.location?.offset
            {
                if let location = new?.location { addLive(location) }
                if let location = old?.location { dropLive(location) }
            }
        }
        if old?.residency != new?.residency {
            changes.residency[key] = new?.residency.map { .put($0) } ?? .remove
        }
        changes.touched.insert(inode.ino)
    }

    private func count(_ key: BlockKey, from old: BlockEntry?, to new: BlockEntry?) {
        switch (old?.dirtySince, new?.dirtySince) {
        case (nil, let since?): dirty.mark(key, since: since, bytes: new?.bytes ?? 0)
        case (.some, nil): dirty.clear(key)
        case (let before?, let since?) where before != since:
            dirty.clear(key)
            dirty.mark(key, since: since, bytes: new?.bytes ?? 0)
        case (.some, .some): dirty.resize(key, bytes: new?.bytes ?? 0)
        case (nil, nil): break
        }
        MetadataTotals.adjust(
            &totals.residentBytes,
            from: old?.heldBytes ?? 0,
            to: new?.heldBytes ?? 0
        )
        MetadataTotals.adjust(
            &totals.placedBytes,
            from: old?.placedBytes ?? 0,
            to: new?.placedBytes ?? 0
        )
    }

    // MARK: Reaping

    /// Removes a part of an orphan, at most `chunksMax` chunks of its blocks; `true` when all of it
    /// is gone.
    ///
    /// In parts, so that the lock is not held for as long as a huge file takes.
    func reapPart(_ ino: InodeNumber, chunksMax: Int) throws(FileSystemError) -> Bool {
        let inode = try inode(ino)
        guard inode.row.attributes.linkCount == 0 else {
            throw FileSystemError(
                .invalid,
                "inode \(ino.rawValue) still has a name and cannot be reaped"
            )
        }
        if inode.row.blockCount > 0 {
            let before = inode.row.blockCount
            let all = 0..<Geometry.fileBytesMax
            let numbers = try chunkNumbers(of: inode, in: all, limit: chunksMax)
            for number in numbers { try load(BlockChunk.range(number), of: inode) }
            for number in numbers { remove(BlockChunk.range(number), of: inode) }
            // A damaged count may name more blocks than there are: a part that removes nothing is
            // the last.
            if inode.row.blockCount > 0, inode.row.blockCount < before {
                changes.operations += 1
                return false
            }
        }
        MetadataTotals.adjust(&totals.inodes, from: 1, to: 0)
        if inode.kind == .regular {
            MetadataTotals.adjust(&totals.files, from: 1, to: 0)
            MetadataTotals.adjust(&totals.fileBytes, from: inode.row.attributes.size, to: 0)
        }
        inode.isReaped = true
        unnamed.remove(ino)
        blocksInMemory -= inode.blocksInMemory
        inodes.remove(ino)
        changes.reaped[ino] = inode.kind
        changes.operations += 1
        return true
    }
}

extension BlockState {
    init(_ index: BlockIndex, _ entry: BlockEntry) {
        self.init(
            index: index,
            location: entry.location,
            resident: entry.resident,
            dirtySince: entry.dirtySince
        )
    }
}
