package import Metadata
package import Primitives
import Sealing

/// A tree that clones are made of: the live one, or that of a snapshot.
package protocol CloneSource {
    /// What a clone of an inode is to be, without a key.
    func clonable(_ ino: InodeNumber) throws(FileSystemError) -> ClonedInode

    /// Entries with cookies above `cookie`, in order, at most `limit`.
    func readDirectory(
        _ directory: InodeNumber,
        after cookie: UInt64,
        limit: Int
    ) throws(FileSystemError) -> [DirectoryEntry]

    /// Calls `body` while the file stays as it is, with all of its bytes placed.
    ///
    /// - Throws: `busy` if it is written to all the time.
    func holdStill(
        _ ino: InodeNumber,
        _ body: (ClonableContent) throws(FileSystemError) -> Void
    ) throws(FileSystemError)
}

/// A regular file that is held still.
package struct ClonableContent {
    let inode: ClonedInode
    /// `nil` if no block was ever placed.
    let key: FileKey?
    /// A page of its blocks, in order, from an index on; an empty one is the end.
    let blocks: (BlockIndex) throws(FileSystemError) -> [ClonedBlock]
}

extension ClonedBlock {
    /// The part of it that lies in a file of `size` bytes; `nil` if none does.
    init?(_ index: BlockIndex, _ location: BlockLocation, ofSize size: UInt64) {
        let end = size > index.offset ? min(UInt64(Geometry.blockBytes), size - index.offset) : 0
        let valid = min(UInt64(location.validBytes), end)
        guard valid > 0 else { return nil }
        guard valid < UInt64(location.validBytes) else {
            self.init(index, location)
            return
        }
        let cut = BlockLocation(
            stripe: location.stripe,
            offset: location.offset,
            plainBytes: location.plainBytes,
            validBytes: UInt32(valid),
            segmentBytes: location.segmentBytes
        )
        self.init(index, cut)
    }
}

extension SnapshotTree: CloneSource {
    /// What a clone of an inode is to be: what the snapshot shows of it.
    package func clonable(_ ino: InodeNumber) throws(FileSystemError) -> ClonedInode {
        let attributes = try metadata.attributes(of: ino)
        return ClonedInode(
            attributes,
            target: attributes.kind == .symbolicLink ? try metadata.target(of: ino) : [],
            xattrs: try metadata.extendedAttributes(of: ino)
        )
    }

    /// Calls `body`: what is in a snapshot never changes.
    package func holdStill(
        _ ino: InodeNumber,
        _ body: (ClonableContent) throws(FileSystemError) -> Void
    ) throws(FileSystemError) {
        let inode = try clonable(ino)
        let size = inode.attributes.size
        let page = UInt64(MetadataStore.clonedBlocksMax)
        let isEmpty = try metadata.nextBlock(of: ino, from: BlockIndex(0)) == nil
        let content = ClonableContent(inode: inode, key: isEmpty ? nil : try fileKey(of: ino)) {
            [metadata] from throws(FileSystemError) in
            guard let first = try metadata.nextBlock(of: ino, from: from) else { return [] }
            let last = BlockIndex(first.rawValue + page - 1)
            return try metadata.locations(of: ino, in: first...last)
                .sorted { $0.key < $1.key }
                .compactMap { ClonedBlock($0.key, $0.value, ofSize: size) }
        }
        try body(content)
    }
}
