package import Primitives

/// Clones: inodes whose blocks are where those of another are.
///
/// A stripe counts each inode that shares a place in it, and lives until the last one is gone. What
/// is written later to either is placed elsewhere.
extension MetadataStore {
    /// Blocks that are taken over in one operation, of a gigabyte: a millisecond or two under the
    /// lock.
    package static let clonedBlocksMax = 1024

    /// What a clone of an inode is to be, all of one moment; without a key.
    package func clonable(_ ino: InodeNumber) throws(FileSystemError) -> ClonedInode {
        try read { state throws(FileSystemError) in try state.clonable(ino) }
    }

    /// A number for an inode that one of the calls below makes; its key is wrapped for it.
    package func reserveInode() throws(FileSystemError) -> InodeNumber {
        try change { state in state.reserveInode() }
    }

    /// Makes the inode, all of it, and its first name.
    ///
    /// `blocks`: at most `clonedBlocksMax`, in order, each within the size.
    ///
    /// - Throws: `exists`, `notFound` if the directory is gone, `stale` if a stripe is not placed
    ///   any more.
    package func clone(
        _ new: ClonedInode,
        as ino: InodeNumber,
        blocks: [ClonedBlock] = [],
        named name: EntryName,
        in parent: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) -> Attributes {
        try change { state throws(FileSystemError) in
            try state.clone(new, as: ino, blocks, named: name, in: parent, now: now)
        }
    }

    /// Makes a regular file without a name and with the first of its blocks.
    ///
    /// `extendClone` adds the others, and `link` the name. Nothing of it is left after a crash
    /// before that.
    package func cloneUnnamed(
        _ new: ClonedInode,
        as ino: InodeNumber,
        blocks: [ClonedBlock],
        now: Timestamp
    ) throws(FileSystemError) {
        try change { state throws(FileSystemError) in
            try state.cloneUnnamed(new, as: ino, blocks, now: now)
        }
    }

    /// Adds blocks to a clone that has no name yet.
    package func extendClone(
        _ ino: InodeNumber,
        blocks: [ClonedBlock]
    ) throws(FileSystemError) {
        try change { state throws(FileSystemError) in try state.extendClone(ino, blocks) }
    }
}
