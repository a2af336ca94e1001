package import Primitives
import Synchronization

/// Names and attributes. Times are the caller's; so is permission.
extension MetadataStore {
    /// - Throws: `notFound`. An inode without a name is found until it is reaped.
    package func attributes(of ino: InodeNumber) throws(FileSystemError) -> Attributes {
        try read { state throws(FileSystemError) in try state.inode(ino).row.attributes }
    }

    /// The inode that `name` leads to.
    ///
    /// Costs no SQL when it was asked before, also when the name was absent.
    package func lookup(
        _ name: EntryName,
        in parent: InodeNumber
    ) throws(FileSystemError) -> Attributes {
        try read { state throws(FileSystemError) in try state.lookup(name, in: parent) }
    }

    /// Makes an inode of any kind; in a set-group-id directory it inherits the group.
    package func create(
        _ new: NewInode,
        named name: EntryName,
        in parent: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) -> Attributes {
        try change { state throws(FileSystemError) in
            try state.create(new, named: name, in: parent, now: now)
        }
    }

    /// Makes a regular file without a name, an orphan that `link` may give one; nothing of it is
    /// left after a crash before that.
    package func createUnnamed(
        _ new: NewInode,
        in parent: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) -> Attributes {
        try change { state throws(FileSystemError) in
            try state.createUnnamed(new, in: parent, now: now)
        }
    }

    /// Gives an inode another name, or its first; not a directory.
    package func link(
        _ ino: InodeNumber,
        as name: EntryName,
        in parent: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) -> Attributes {
        try change { state throws(FileSystemError) in
            try state.link(ino, as: name, in: parent, now: now)
        }
    }

    /// Removes a name of anything but a directory.
    ///
    /// Without any name the inode is an orphan, and stays until `reap`.
    @discardableResult
    package func unlink(
        _ name: EntryName,
        in parent: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) -> Unlinked {
        try change(isFreeing: true) { state throws(FileSystemError) in
            try state.unlink(name, in: parent, now: now)
        }
    }

    /// Removes an empty directory, which is an orphan then.
    @discardableResult
    package func removeDirectory(
        _ name: EntryName,
        in parent: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) -> Unlinked {
        try change(isFreeing: true) { state throws(FileSystemError) in
            try state.removeDirectory(name, in: parent, now: now)
        }
    }

    /// Moves or exchanges entries, as `renameat2(2)`; `whiteout` is made at the old name.
    ///
    /// - Returns: What had the new name before and lost it, if anything.
    @discardableResult
    package func rename(
        _ name: EntryName,
        in parent: InodeNumber,
        to newName: EntryName,
        in newParent: InodeNumber,
        mode: RenameMode,
        whiteout: NewInode? = nil,
        now: Timestamp
    ) throws(FileSystemError) -> Unlinked? {
        let replaced = try change { state throws(FileSystemError) -> [Unlinked] in
            let unlinked = try state.rename(
                name,
                in: parent,
                to: newName,
                in: newParent,
                mode: mode,
                whiteout: whiteout,
                now: now
            )
            return unlinked.map { [$0] } ?? []
        }
        return replaced.first
    }

    /// Changes attributes.
    ///
    /// A smaller size removes what is known of the blocks past it.
    package func setAttributes(
        _ change: AttributeChange,
        of ino: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) -> Attributes {
        try self.change { state throws(FileSystemError) in
            try state.setAttributes(change, of: ino, now: now)
        }
    }

    /// Notes that a file was written: its times, and its size if that is more than before.
    ///
    /// Without `now` the times stay as they are.
    ///
    /// Saved with the next commit, once for all calls before it.
    @discardableResult
    package func recordWrite(
        _ ino: InodeNumber,
        growingTo size: UInt64,
        now: Timestamp?
    ) throws(FileSystemError) -> Attributes {
        try change { state throws(FileSystemError) in
            try state.recordWrite(ino, growingTo: size, now: now)
        }
    }

    /// Notes that an inode was read, if `policy` has its access time tell; saved with the next
    /// commit.
    package func recordRead(
        _ ino: InodeNumber,
        policy: AccessTimePolicy,
        now: Timestamp
    ) throws(FileSystemError) {
        try change { state throws(FileSystemError) in
            try state.recordRead(ino, policy: policy, now: now)
        }
    }

    /// The target of a symbolic link.
    package func readLink(_ ino: InodeNumber) throws(FileSystemError) -> [UInt8] {
        try read { state throws(FileSystemError) in try state.readLink(ino) }
    }

    /// The directory that holds a directory; the root holds itself.
    package func parent(of directory: InodeNumber) throws(FileSystemError) -> InodeNumber {
        try read { state throws(FileSystemError) in try state.parent(of: directory) }
    }

    /// Entries whose cookie is more than `cookie`, in order of cookie, without "." and "..".
    ///
    /// Cookies start at 3. An entry keeps its cookie, also when others come and go; a listing
    /// that goes on after the last cookie it got sees each entry that stays exactly once.
    ///
    /// `limit`: at most 4096; an empty answer to a positive limit is the end.
    package func readDirectory(
        _ ino: InodeNumber,
        after cookie: UInt64,
        limit: Int
    ) throws(FileSystemError) -> [DirectoryEntry] {
        try read { state throws(FileSystemError) in
            try state.readDirectory(ino, after: cookie, limit: limit)
        }
    }

    // MARK: Extended attributes

    package func extendedAttribute(
        _ name: [UInt8],
        of ino: InodeNumber
    ) throws(FileSystemError) -> [UInt8] {
        try read { state throws(FileSystemError) in try state.xattr(name, of: ino) }
    }

    /// Names of all extended attributes, in order of bytes.
    package func extendedAttributes(of ino: InodeNumber) throws(FileSystemError) -> [[UInt8]] {
        try read { state throws(FileSystemError) in try state.xattrs(of: ino) }
    }

    /// Sets an attribute.
    ///
    /// An access list (`system.posix_acl_access`) becomes the mode's permission bits, and is kept
    /// as a list only if it says more than they do.
    ///
    /// - Parameters:
    ///   - name: 1...255 bytes.
    ///   - value: At most 64 KiB.
    ///   - mode: Whether it must or must not be there.
    ///   - clearsSetGroup: Whether an access list also takes the set-group-id bit away.
    ///   - ino: What the attribute is of.
    ///   - now: Its new change time.
    /// - Throws: `exists` or `noAttribute` as `mode` says, `nameTooLong` above 255 bytes,
    ///   `noSpace` if the value or all names together exceed 64 KiB, `invalid` if an access list
    ///   is none.
    package func setExtendedAttribute(
        _ name: [UInt8],
        to value: [UInt8],
        mode: XattrMode,
        clearsSetGroup: Bool = false,
        of ino: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) {
        try change { state throws(FileSystemError) in
            try state.setXattr(
                name,
                to: value,
                mode: mode,
                clearsSetGroup: clearsSetGroup,
                of: ino,
                now: now
            )
        }
    }

    package func removeExtendedAttribute(
        _ name: [UInt8],
        of ino: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) {
        try change(isFreeing: true) { state throws(FileSystemError) in
            try state.removeXattr(name, of: ino, now: now)
        }
    }

    // MARK: Orphans

    /// Inodes that have no name and are not reaped; at the opening, what programs had open.
    package func orphans() throws(FileSystemError) -> [InodeNumber] {
        try scan { reader throws(FileSystemError) in try reader.orphans() }
    }

    /// Deletes an inode without a name and everything of it; its number never comes back.
    ///
    /// A huge file goes in parts, between which other operations run; a crash in the middle
    /// leaves an orphan with fewer blocks.
    ///
    /// - Throws: `invalid` if it still has a name.
    package func reap(_ ino: InodeNumber) throws(FileSystemError) {
        while true {
            // 64 chunks are 4 GiB of file: some milliseconds under the lock.
            let isDone = try change(isFreeing: true) { state throws(FileSystemError) in
                try state.reapPart(ino, chunksMax: 64)
            }
            if isDone { return }
        }
    }

    // MARK: Sums

    /// Sums over the whole volume; costs no more than a lock.
    package var totals: MetadataTotals {
        core.state.withLock { state in
            var totals = state.totals
            totals.dirtyBytes = state.dirty.bytes
            totals.dirtyBlocks = state.dirty.blockCount
            totals.dirtyFiles = state.dirty.fileCount
            totals.oldestDirty = state.dirty.oldest()
            totals.newestToken = state.dirty.newestToken
            return totals
        }
    }
}
