import Metadata
package import Primitives
import Sealing

extension VolumeEngine {
    /// The live tree as what clones are made of.
    ///
    /// `onPlacing` is called while bytes are placed first, with how many are still to be.
    package func cloneSource(
        onPlacing: @escaping (UInt64) -> Void = { _ in }
    ) -> any CloneSource {
        LiveCloneSource(engine: self, onPlacing: onPlacing)
    }

    /// Makes an inode that is as one of `source`, with its bytes at the same places of the network.
    ///
    /// Nothing is read, copied or sent, but what of a live file was not placed yet, which is placed
    /// first. The clone is a state that the source had at one moment, and appears with all of it.
    ///
    /// - Throws: `exists`, `busy`, `stale` if the network does not keep the bytes any more.
    package func clone(
        _ ino: InodeNumber,
        of source: any CloneSource,
        named name: EntryName,
        in parent: InodeNumber,
        owner: CloneOwner = .kept
    ) throws(FileSystemError) -> Attributes {
        let inode = try source.clonable(ino)
        guard inode.attributes.kind == .regular else {
            return try metadata.clone(
                try owner.applied(to: inode),
                as: try metadata.reserveInode(),
                named: name,
                in: parent,
                now: now()
            )
        }
        var made: Attributes?
        try source.holdStill(ino) { content throws(FileSystemError) in
            made = try clone(content, named: name, in: parent, owner)
        }
        guard let made else { throw Self.gone(ino) }
        return made
    }

    private func clone(
        _ content: ClonableContent,
        named name: EntryName,
        in parent: InodeNumber,
        _ owner: CloneOwner
    ) throws(FileSystemError) -> Attributes {
        var inode = try owner.applied(to: content.inode)
        let ino = try metadata.reserveInode()
        if let key = content.key { inode.wrappedKey = try wrap(key, for: ino) }
        let first = try content.blocks(BlockIndex(0))
        var page: [ClonedBlock] = []
        if let last = first.last { page = try content.blocks(last.index.next) }
        guard !page.isEmpty else {
            return try metadata.clone(
                inode,
                as: ino,
                blocks: first,
                named: name,
                in: parent,
                now: now()
            )
        }
        // In parts, so that the metadata's lock is not held for as long as a huge file takes.
        try metadata.cloneUnnamed(inode, as: ino, blocks: first, now: now())
        do throws(FileSystemError) {
            while let last = page.last {
                try metadata.extendClone(ino, blocks: page)
                page = try content.blocks(last.index.next)
            }
            return try metadata.link(ino, as: name, in: parent, now: now())
        } catch {
            // If that fails too, the next start does it.
            try? metadata.reap(ino)
            throw error
        }
    }

    private func wrap(_ key: FileKey, for ino: InodeNumber) throws(FileSystemError) -> [UInt8] {
        do throws(SealingError) {
            return try configuration.key.wrap(key, for: ino)
        } catch {
            throw FileSystemError(.inputOutput, "the key of a clone cannot be wrapped: \(error)")
        }
    }
}
