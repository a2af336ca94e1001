import Primitives

/// Operations that make and remove names.
extension MetadataState {
    /// Names of one file at most; the limit of ext4, which programs know to cope with.
    static let linksMax: UInt32 = 65_000
    /// The longest target of a symbolic link (`PATH_MAX` less the NUL).
    static let targetBytesMax = 4095

    func lookup(
        _ name: EntryName,
        in parent: InodeNumber
    ) throws(FileSystemError) -> Attributes {
        let child = try existing(name, in: try directory(parent))
        return try inode(of: child, named: name).row.attributes
    }

    func create(
        _ new: NewInode,
        named name: EntryName,
        in parent: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) -> Attributes {
        let directory = try directory(parent)
        try checkTarget(new)
        if try child(name, in: directory) != nil { throw exists(name, in: parent) }
        let inheritance = try inheritance(of: new, from: directory)

        let inode = addInode(new, inheritance, in: directory, now: now)
        addEntry(name, to: inode, in: directory, now: now)
        changes.operations += 1
        return inode.row.attributes
    }

    /// Makes a regular file without a name: an orphan, until `link` gives it one.
    func createUnnamed(
        _ new: NewInode,
        in parent: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) -> Attributes {
        let directory = try directory(parent)
        guard new.kind == .regular else {
            throw FileSystemError(.invalid, "only a regular file can do without a name")
        }
        let inheritance = try inheritance(of: new, from: directory)

        let inode = addInode(new, inheritance, in: directory, now: now)
        inode.row.attributes.linkCount = 0
        changes.orphans[inode.ino] = true
        unnamed.insert(inode.ino)
        changes.operations += 1
        return inode.row.attributes
    }

    private func checkTarget(_ new: NewInode) throws(FileSystemError) {
        guard new.kind == .symbolicLink else { return }
        guard !new.target.isEmpty else {
            throw FileSystemError(.notFound, "a symbolic link needs a target")
        }
        guard new.target.count <= Self.targetBytesMax else {
            throw FileSystemError(
                .nameTooLong,
                "a symbolic link's target has \(new.target.count) bytes, "
                    + "more than \(Self.targetBytesMax)"
            )
        }
    }

    private func row(
        of new: NewInode,
        ino: InodeNumber,
        mode: UInt16,
        in directory: Inode,
        now: Timestamp
    ) -> InodeRow {
        let isDirectory = new.kind == .directory
        var mode = mode
        var gid = new.gid
        // What is made in a set-group-id directory belongs to its group (`man 7 inode`).
        if directory.row.attributes.mode & 0o2000 != 0 {
            gid = directory.row.attributes.gid
            if isDirectory { mode |= 0o2000 }
        }
        return InodeRow(
            attributes: Attributes(
                ino: ino,
                kind: new.kind,
                mode: mode,
                uid: new.uid,
                gid: gid,
                linkCount: isDirectory ? 2 : 1,
                size: UInt64(new.target.count),
                blocks512: 0,
                rdev: new.rdev,
                accessed: now,
                modified: now,
                changed: now
            ),
            parent: isDirectory ? directory.ino : InodeNumber(0),
            nextCookie: isDirectory ? InodeRow.firstCookie : 0,
            entryCount: 0,
            xattrBytes: 0,
            blockCount: 0
        )
    }

    func link(
        _ ino: InodeNumber,
        as name: EntryName,
        in parent: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) -> Attributes {
        let directory = try directory(parent)
        let inode = try inode(ino)
        guard !inode.isDirectory else {
            throw FileSystemError(
                .notPermitted,
                "directory \(ino.rawValue) cannot have a second name"
            )
        }
        guard inode.row.attributes.linkCount > 0 || unnamed.contains(ino) else {
            throw FileSystemError(.notFound, "inode \(ino.rawValue) is removed")
        }
        guard inode.row.attributes.linkCount < Self.linksMax else {
            throw FileSystemError(
                .tooManyLinks,
                "inode \(ino.rawValue) has \(Self.linksMax) names, the most there are"
            )
        }
        if try child(name, in: directory) != nil { throw exists(name, in: parent) }

        if unnamed.remove(ino) != nil { changes.orphans[ino] = false }
        inode.row.attributes.linkCount += 1
        inode.row.attributes.changed = now
        markDirty(inode)
        addEntry(name, to: inode, in: directory, now: now)
        changes.operations += 1
        return inode.row.attributes
    }

    func unlink(
        _ name: EntryName,
        in parent: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) -> Unlinked {
        let directory = try directory(parent)
        let inode = try inode(of: try existing(name, in: directory), named: name)
        guard !inode.isDirectory else {
            throw FileSystemError(
                .isDirectory,
                "\"\(name)\" in directory \(parent.rawValue) is a directory"
            )
        }
        removeEntry(name, of: inode, in: directory, now: now)
        let unlinked = dropLink(inode, now: now)
        changes.operations += 1
        return unlinked
    }

    func removeDirectory(
        _ name: EntryName,
        in parent: InodeNumber,
        now: Timestamp
    ) throws(FileSystemError) -> Unlinked {
        let directory = try directory(parent)
        let inode = try inode(of: try existing(name, in: directory), named: name)
        guard inode.isDirectory else {
            throw FileSystemError(
                .notDirectory,
                "\"\(name)\" in directory \(parent.rawValue) is not a directory"
            )
        }
        guard inode.row.entryCount == 0 else { throw notEmpty(name, in: parent) }
        removeEntry(name, of: inode, in: directory, now: now)
        let unlinked = dropLink(inode, now: now)
        changes.operations += 1
        return unlinked
    }

    // MARK: Second halves: cannot fail

    /// Makes an inode that no name leads to yet.
    func addInode(
        _ new: NewInode,
        _ inheritance: Inheritance,
        in directory: Inode,
        now: Timestamp
    ) -> Inode {
        let ino = InodeNumber(nextInode)
        nextInode += 1
        changes.nextInode = nextInode
        let inode = Inode(row(of: new, ino: ino, mode: inheritance.mode, in: directory, now: now))
        inode.isComplete = true
        inode.xattrs = [:]
        inode.fileKey = .some(nil)
        inodes.insert(inode, for: ino)
        markDirty(inode)
        totals.inodes += 1
        if new.kind == .regular { totals.files += 1 }
        if new.kind == .symbolicLink {
            inode.target = new.target
            changes.targets[ino] = new.target
        }
        for list in inheritance.lists { putXattr(list.name, list.bytes, of: inode) }
        return inode
    }

    /// Adds a name for `inode` at the end of `directory`.
    func addEntry(
        _ name: EntryName,
        to inode: Inode,
        in directory: Inode,
        cookie: UInt64? = nil,
        now: Timestamp
    ) {
        if cookie == nil, directory.row.entryCount == 0,
            directory.row.nextCookie >= limits.cookiesRenewedFrom
        {
            // No listing can have been given an entry twice: those it was given are gone.
            directory.row.nextCookie = InodeRow.firstCookie
        }
        let child = Child(ino: inode.ino, cookie: cookie ?? directory.row.nextCookie)
        if cookie == nil { directory.row.nextCookie += 1 }
        directory.row.entryCount += 1
        setEntry(name, to: child, in: directory)
        if inode.isDirectory {
            directory.row.attributes.linkCount &+= 1
            inode.row.parent = directory.ino
            markDirty(inode)
        }
        touch(directory, now: now)
    }

    func removeEntry(_ name: EntryName, of inode: Inode, in directory: Inode, now: Timestamp) {
        let key = EntryKey(parent: directory.ino, name: name)
        entries.insert(.absent, for: key)
        changes.entries[key] = .remove
        directory.row.entryCount -= min(1, directory.row.entryCount)
        if inode.isDirectory {
            directory.row.attributes.linkCount -= min(1, directory.row.attributes.linkCount)
        }
        touch(directory, now: now)
    }

    func setEntry(_ name: EntryName, to child: Child, in directory: Inode) {
        let key = EntryKey(parent: directory.ino, name: name)
        entries.insert(child, for: key)
        changes.entries[key] = .put(child)
    }

    /// Takes one name from `inode`; without any it becomes an orphan.
    func dropLink(_ inode: Inode, now: Timestamp) -> Unlinked {
        if inode.isDirectory {
            inode.row.attributes.linkCount = 0
        } else {
            inode.row.attributes.linkCount -= min(1, inode.row.attributes.linkCount)
        }
        inode.row.attributes.changed = now
        markDirty(inode)
        if inode.row.attributes.linkCount == 0 { changes.orphans[inode.ino] = true }
        return Unlinked(
            ino: inode.ino,
            kind: inode.kind,
            linkCount: inode.row.attributes.linkCount
        )
    }

    /// The contents of `directory` have changed.
    func touch(_ directory: Inode, now: Timestamp) {
        directory.row.attributes.modified = now
        directory.row.attributes.changed = now
        markDirty(directory)
    }

    // MARK: Errors

    func exists(_ name: EntryName, in parent: InodeNumber) -> FileSystemError {
        FileSystemError(.exists, "\"\(name)\" exists already in directory \(parent.rawValue)")
    }

    func notEmpty(_ name: EntryName, in parent: InodeNumber) -> FileSystemError {
        FileSystemError(
            .directoryNotEmpty,
            "directory \"\(name)\" in directory \(parent.rawValue) is not empty"
        )
    }
}
