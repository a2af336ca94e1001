import Primitives

/// Inodes that share the places of their blocks with others.
extension MetadataState {
    func clonable(_ ino: InodeNumber) throws(FileSystemError) -> ClonedInode {
        let inode = try inode(ino)
        var xattrs: [[UInt8]: [UInt8]] = [:]
        for name in try self.xattrs(of: ino) { xattrs[name] = try xattr(name, of: ino) }
        return ClonedInode(
            inode.row.attributes,
            target: inode.kind == .symbolicLink ? try readLink(ino) : [],
            xattrs: xattrs
        )
    }

    /// Takes a number for an inode that `clone` will make; never handed out again.
    func reserveInode() -> InodeNumber {
        let ino = InodeNumber(nextInode)
        nextInode += 1
        changes.nextInode = nextInode
        changes.operations += 1
        return ino
    }

    /// Makes an inode with a first part of its blocks, and its first name.
    func clone(
        _ new: ClonedInode,
        as ino: InodeNumber,
        _ blocks: [ClonedBlock],
        named name: EntryName,
        in parent: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) -> Attributes {
        let directory = try directory(parent)
        if try child(name, in: directory) != nil { throw exists(name, in: parent) }
        try prepare(blocks, ofSize: new.attributes.size)

        let inode = addClone(new, as: ino, now: now)
        put(blocks, in: inode)
        addEntry(name, to: inode, in: directory, now: now)
        changes.operations += 1
        return inode.row.attributes
    }

    /// Makes a regular file with a first part of its blocks: an orphan, until `link` gives it a
    /// name.
    func cloneUnnamed(
        _ new: ClonedInode,
        as ino: InodeNumber,
        _ blocks: [ClonedBlock],
        now: Timestamp
    ) throws(FileSystemError) {
        guard new.attributes.kind == .regular else {
            throw FileSystemError(.invalid, "only a regular file can do without a name")
        }
        try prepare(blocks, ofSize: new.attributes.size)

        let inode = addClone(new, as: ino, now: now)
        inode.row.attributes.linkCount = 0
        changes.orphans[ino] = true
        unnamed.insert(ino)
        put(blocks, in: inode)
        changes.operations += 1
    }

    /// Adds blocks to a clone that has no name yet.
    func extendClone(
        _ ino: InodeNumber,
        _ blocks: [ClonedBlock]
    ) throws(FileSystemError) {
        let inode = try regularFile(ino)
        guard unnamed.contains(ino) else {
            throw FileSystemError(.invalid, "inode \(ino.rawValue) is no clone that is being made")
        }
        try prepare(blocks, ofSize: inode.row.attributes.size)
        for number in Set(blocks.map { BlockChunk.number(of: $0.index) }) {
            _ = try chunk(number, of: inode)
        }

        put(blocks, in: inode)
        changes.operations += 1
    }

    /// First half of `put`: brings the stripes into memory.
    ///
    /// - Throws: `stale` if one is not placed any more.
    private func prepare(
        _ blocks: [ClonedBlock],
        ofSize size: UInt64
    ) throws(FileSystemError) {
        for block in blocks {
            let valid = block.location.validBytes
            guard valid > 0, valid <= Self.extent(size, block.index) else {
                throw FileSystemError(
                    .invalid,
                    "block \(block.index.rawValue) does not fit a file of \(size) bytes"
                )
            }
            let id = block.location.stripe
            do throws(FileSystemError) {
                let state = try stripe(id).row.state
                guard state == .placed || state == .lost else {
                    throw FileSystemError(.notFound, "stripe \(id) is dead")
                }
            } catch {
                guard error.code == .notFound else { throw error }
                throw FileSystemError(.stale, "stripe \(id.short) is not kept any more")
            }
        }
    }

    // MARK: Second halves: cannot fail

    private func addClone(_ new: ClonedInode, as ino: InodeNumber, now: Timestamp) -> Inode {
        let source = new.attributes
        let isDirectory = source.kind == .directory
        let size: UInt64 =
            switch source.kind {
            case .regular: source.size
            case .symbolicLink: UInt64(new.target.count)
            default: 0
            }
        let inode = Inode(
            InodeRow(
                attributes: Attributes(
                    ino: ino,
                    kind: source.kind,
                    mode: source.mode,
                    uid: source.uid,
                    gid: source.gid,
                    linkCount: isDirectory ? 2 : 1,
                    size: size,
                    blocks512: 0,
                    rdev: source.rdev,
                    accessed: source.accessed,
                    modified: source.modified,
                    changed: now
                ),
                parent: InodeNumber(0),
                nextCookie: isDirectory ? InodeRow.firstCookie : 0,
                entryCount: 0,
                xattrBytes: 0,
                blockCount: 0
            )
        )
        inode.isComplete = true
        inode.xattrs = [:]
        inode.fileKey = .some(new.wrappedKey)
        inodes.insert(inode, for: ino)
        markDirty(inode)
        totals.inodes += 1
        if source.kind == .regular {
            totals.files += 1
            MetadataTotals.adjust(&totals.fileBytes, from: 0, to: size)
        }
        if source.kind == .symbolicLink {
            inode.target = new.target
            changes.targets[ino] = new.target
        }
        if let wrapped = new.wrappedKey { changes.fileKeys[ino] = wrapped }
        for (name, value) in new.xattrs { putXattr(name, value, of: inode) }
        return inode
    }

    /// Adds blocks; their stripes, and their chunks if the inode is not new, are in memory.
    private func put(_ blocks: [ClonedBlock], in inode: Inode) {
        let size = inode.row.attributes.size
        for block in blocks {
            let number = BlockChunk.number(of: block.index)
            let chunk = inode.chunks[number] ?? BlockChunk()
            inode.chunks[number] = chunk
            let entry = BlockEntry(
                location: block.location,
                resident: 0,
                dirtySince: nil,
                bytes: Self.extent(size, block.index)
            )
            set(block.index, of: inode, in: chunk, to: entry)
        }
        // As much to commit as so many operations on blocks.
        changes.operations += blocks.count / Int(BlockChunk.blocks)
    }
}
