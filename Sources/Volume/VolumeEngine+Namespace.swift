package import Primitives
import Logging
import Metadata

extension VolumeEngine {
    /// The inode that `name` leads to; `notFound` if there is none.
    package func lookup(
        _ name: EntryName,
        in parent: InodeNumber
    ) throws(FileSystemError) -> Attributes {
        passthrough.written.current(try metadata.lookup(name, in: parent))
    }

    /// What `stat(2)` tells; also of an inode that lost its last name but is in use.
    package func attributes(of ino: InodeNumber) throws(FileSystemError) -> Attributes {
        passthrough.written.current(try metadata.attributes(of: ino))
    }

    /// Makes an inode of any kind and its first name.
    package func create(
        _ new: NewInode,
        named name: EntryName,
        in parent: InodeNumber
    ) throws(FileSystemError) -> Attributes {
        let attributes = try metadata.create(new, named: name, in: parent, now: now())
        if attributes.kind == .regular { _ = contents.content(of: attributes.ino, isNew: true) }
        return attributes
    }

    /// Makes a regular file without a name, and opens it; `link` may give it one.
    ///
    /// Counts as given to the kernel once (`retain`) and as open.
    package func createUnnamed(
        _ new: NewInode,
        in parent: InodeNumber,
        forWriting: Bool
    ) throws(FileSystemError) -> Attributes {
        let attributes = try metadata.createUnnamed(new, in: parent, now: now())
        let ino = attributes.ino
        _ = contents.content(of: ino, isNew: true)
        inodes.retain(ino)
        inodes.open(ino, forWriting: forWriting)
        // Reaped when the last user is gone, unless `link` comes first.
        _ = inodes.orphan(ino)
        return attributes
    }

    package func link(
        _ ino: InodeNumber,
        as name: EntryName,
        in parent: InodeNumber
    ) throws(FileSystemError) -> Attributes {
        let attributes = try metadata.link(ino, as: name, in: parent, now: now())
        inodes.adopt(ino)
        return passthrough.written.current(attributes)
    }

    package func unlink(
        _ name: EntryName,
        in parent: InodeNumber
    ) throws(FileSystemError) {
        settle(try metadata.unlink(name, in: parent, now: now()))
    }

    package func removeDirectory(
        _ name: EntryName,
        in parent: InodeNumber
    ) throws(FileSystemError) {
        settle(try metadata.removeDirectory(name, in: parent, now: now()))
    }

    /// Gives an entry another name, as `man 2 rename` has it.
    ///
    /// A file that takes another's place is synced first, as ext4 does it: many programs write a
    /// new version, do not sync it, rename it over the old one, and count on having one of the two
    /// whole after a power cut.
    ///
    /// `whiteout` is made at the old name.
    package func rename(
        _ name: EntryName,
        in parent: InodeNumber,
        to newName: EntryName,
        in newParent: InodeNumber,
        mode: RenameMode,
        whiteout: NewInode? = nil,
        wait: Wait
    ) throws(FileSystemError) {
        if mode == .replace, let ino = try replacement(name, in: parent, for: newName, newParent) {
            try syncBytes(of: ino, wait: wait)
        }
        let replaced = try metadata.rename(
            name,
            in: parent,
            to: newName,
            in: newParent,
            mode: mode,
            whiteout: whiteout,
            now: now()
        )
        if let replaced { settle(replaced) }
    }

    /// The regular file at `name` if it is about to take the place of another.
    private func replacement(
        _ name: EntryName,
        in parent: InodeNumber,
        for newName: EntryName,
        _ newParent: InodeNumber
    ) throws(FileSystemError) -> InodeNumber? {
        do throws(FileSystemError) {
            let replaced = try metadata.lookup(newName, in: newParent)
            let new = try metadata.lookup(name, in: parent)
            guard new.kind == .regular, replaced.kind == .regular, new.ino != replaced.ino else {
                return nil
            }
            return new.ino
        } catch {
            // Nothing is replaced, or the renaming itself tells what is missing.
            guard error.code == .notFound else { throw error }
            return nil
        }
    }

    /// The target of a symbolic link.
    package func readLink(_ ino: InodeNumber) throws(FileSystemError) -> [UInt8] {
        try metadata.readLink(ino)
    }

    /// The directory that holds a directory; the root holds itself.
    package func parent(of directory: InodeNumber) throws(FileSystemError) -> InodeNumber {
        try metadata.parent(of: directory)
    }

    /// Up to `limit` entries that follow `cookie` (0 for the first).
    package func readDirectory(
        _ ino: InodeNumber,
        after cookie: UInt64,
        limit: Int
    ) throws(FileSystemError) -> [DirectoryEntry] {
        let entries = try metadata.readDirectory(ino, after: cookie, limit: limit)
        guard !passthrough.written.isEmpty else { return entries }
        return entries.map { entry in
            DirectoryEntry(
                name: entry.name,
                cookie: entry.cookie,
                attributes: passthrough.written.current(entry.attributes)
            )
        }
    }

    // MARK: Access times

    /// Whether reading an inode with these attributes is to be noted.
    package func isReadDue(_ attributes: Attributes, policy: AccessTimePolicy) -> Bool {
        policy.isDue(attributes, now: now())
    }

    /// Notes that an inode was read, if `policy` has its access time tell.
    ///
    /// No reading fails because this does.
    package func noteRead(_ ino: InodeNumber, policy: AccessTimePolicy) {
        do throws(FileSystemError) {
            guard isReadDue(try metadata.attributes(of: ino), policy: policy) else { return }
            try metadata.recordRead(ino, policy: policy, now: now())
        } catch {
            logger.debug("access time of inode \(ino.rawValue): \(error.message)")
        }
    }

    // MARK: Lifetime

    /// Counts an open handle; every one is matched by a `release`.
    package func open(
        _ ino: InodeNumber,
        forWriting: Bool,
        truncate: Bool,
        wait: Wait
    ) throws(FileSystemError) {
        if truncate {
            var change = AttributeChange()
            change.size = 0
            _ = try setAttributes(change, of: ino, wait: wait)
        }
        inodes.open(ino, forWriting: forWriting)
    }

    package func release(_ ino: InodeNumber, forWriting: Bool) {
        if inodes.release(ino, forWriting: forWriting) { reclaimer.reap(ino) }
    }

    /// Counts one entry given to the kernel; matched by `forget`.
    package func retain(_ ino: InodeNumber) {
        inodes.retain(ino)
    }

    package func forget(_ ino: InodeNumber, count: UInt64) {
        if inodes.forget(ino, count: count) { reclaimer.reap(ino) }
    }

    /// The inodes that the kernel holds entries or handles of.
    package func knownInodes() -> [InodeNumber] {
        inodes.known()
    }

    /// Whether the kernel holds an entry or handle of the inode; the root's it has always.
    package func isKnown(_ ino: InodeNumber) -> Bool { ino == .root || inodes.isKnown(ino) }

    /// Reaps what has lost its last name, now or when its last user is gone.
    private func settle(_ unlinked: Unlinked) {
        guard unlinked.linkCount == 0 else { return }
        if inodes.orphan(unlinked.ino) { reclaimer.reap(unlinked.ino) }
    }
}
